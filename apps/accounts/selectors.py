"""Reads on people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import QuerySet

from apps.accounts.models import AccountEvent, Session
from apps.accounts.sessions import holding

if TYPE_CHECKING:
    from apps.accounts.models import User


def events(user: User) -> QuerySet[AccountEvent]:
    """What was done with the account, newest first."""
    return AccountEvent.objects.filter(user=user).order_by("-at", "-id")


def sessions(user: User) -> QuerySet[Session]:
    """Where the person is signed in, the one used last first."""
    return Session.objects.filter(holding(), user=user).order_by("-seen_at", "-created_at")
