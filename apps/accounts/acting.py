"""Whether an operator is at work in another person's name while a request is answered.

`apps.console.impersonation` begins and ends that. It is kept beside the request, not on the person: whatever writes
knows it, also where it has read the person anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.exceptions import PermissionDenied


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts as whom.

    Attributes:
        id: of the impersonation.
        operator_id, operator: who acts, and the e-mail address.
        user_id, user: in whose name, and the e-mail address.
        until: it ends then by itself.
    """

    id: UUID
    operator_id: UUID
    operator: str
    user_id: UUID
    user: str
    until: datetime


class WhileImpersonating(PermissionDenied):
    """Only the person does this, and no operator in the person's name."""

    code = "impersonating"
    title = "Not in somebody else's name"

    def __init__(self) -> None:
        super().__init__("An operator who acts in somebody's name may not do this. End the impersonation first.")


_acting: ContextVar[Acting | None] = ContextVar("attractor_acting", default=None)


def current() -> Acting | None:
    """Who acts in another's name just now; None for nobody."""
    return _acting.get()


@contextmanager
def acting(as_: Acting) -> Iterator[None]:
    """Answer a request of an operator in another's name."""
    token = _acting.set(as_)
    try:
        yield
    finally:
        _acting.reset(token)


def refuse() -> None:
    """Raises `WhileImpersonating` for an operator who acts in another's name."""
    if _acting.get() is not None:
        raise WhileImpersonating
