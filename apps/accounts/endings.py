"""Signing out elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from apps.accounts.models import Session, User
from apps.accounts.notices import Notice, tell
from apps.workspaces.missing import NotFound

if TYPE_CHECKING:
    from uuid import UUID


def end_session(user: User, session_id: UUID) -> None:
    """Sign one of the person's browsers out; its sockets close within `live.recheck` seconds.

    Raises `NotFound`: the person has no such session.
    """
    with transaction.atomic():
        ended, _ = Session.objects.filter(user=user, id=session_id).delete()
        if not ended:
            raise NotFound(f"session {session_id}")
        tell(user, Notice.SESSION_ENDED, session=str(session_id))


def end_other_sessions(user: User, kept: str | None) -> int:
    """Sign all of the person's browsers out but that of the session key `kept`; how many there were."""
    with transaction.atomic():
        ended, _ = Session.objects.filter(user=user).exclude(session_key=kept).delete()
        tell(user, Notice.SESSIONS_ENDED, sessions=ended)
    return ended


def end_all_sessions() -> int:
    """Sign everybody out, for an operator who must assume that sessions were stolen; how many there were."""
    with transaction.atomic():
        people = User.objects.filter(pk__in=Session.objects.exclude(user=None).values("user"))
        for person in people.iterator():
            tell(person, Notice.SESSIONS_ENDED, by="operator")
        ended, _ = Session.objects.all().delete()
    return ended
