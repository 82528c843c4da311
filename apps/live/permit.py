"""What lets somebody watch a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from apps.workspaces.models import Membership

if TYPE_CHECKING:
    from apps.accounts.models import User


@dataclass(frozen=True, slots=True)
class Permit:
    """The rows by which a socket was opened, as they were then: while they are the same, so is the answer.

    Attributes:
        user_id, password: who it is; a change of the password ends logins.
        workspace_id, slug, role: where, by which address, and as what.
        session_key, key_id: how the person came, by a login or by an API key; the other is None.
        impersonation_id: in which an operator acts in the person's name; None: it is the person.
    """

    user_id: UUID
    password: str
    workspace_id: UUID
    slug: str
    role: str
    session_key: str | None
    key_id: UUID | None
    impersonation_id: UUID | None = None

    @classmethod
    def of(cls, user: User, membership: Membership, session_key: str | None) -> Permit:
        workspace = membership.workspace
        return cls(
            user_id=user.pk,
            password=user.password,
            workspace_id=workspace.pk,
            slug=workspace.slug,
            role=str(membership.role),
            session_key=None if user.api_key is not None else session_key,
            key_id=None if user.api_key is None else user.api_key.pk,
            impersonation_id=user.impersonation_id,
        )
