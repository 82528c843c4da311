"""The operators' own log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from django.db.models import Model

from apps.accounts import visit
from apps.console.models import OperatorEvent
from apps.ops.refusal import Fault, Invalid

if TYPE_CHECKING:
    from apps.accounts.models import User

MOST_REASON = 500


def note(actor: User | None, action: str, target: Model | None, reason: str = "", **data: Any) -> OperatorEvent:
    """Note one thing that an operator did, in the transaction in which it is done.

    Args:
        actor: None is whoever has the server's shell.
        target: to what; None for the site.
        data: JSON-able facts, without secrets.
    """
    return OperatorEvent.objects.create(
        operator=actor, action=action, reason=reason, data=data, address=visit.current().address,
        object_type="" if target is None else target._meta.label_lower,
        object_id="" if target is None else str(target.pk), request_id=request_id(),
    )  # fmt: skip


def request_id() -> str:
    """Of the request that is being answered; empty outside of any."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def given(reason: str) -> str:
    """The reason without blanks around it. Raises `Invalid` for none and for a long one."""
    text = reason.strip()
    if not text:
        raise Invalid([Fault("reason", "There is none.", "Say why, for those who read the log.")])
    if len(text) > MOST_REASON:
        raise Invalid([Fault("reason", f"It has {len(text)} characters.", f"Give at most {MOST_REASON}.")])
    return text
