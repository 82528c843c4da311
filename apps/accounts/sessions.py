"""Sessions of browsers, kept in PostgreSQL with who they belong to, so that a person can see and end the own ones.

A login is over `web.session_days` after it was made, and when it was not used for `web.session_idle_hours`, whatever
its cookie says.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import Session


def oldest() -> tuple[datetime, datetime]:
    """When a login that still holds was made, and was last used, at the earliest."""
    web, now = settings.ATTRACTOR.web, timezone.now()
    return now - timedelta(days=web.session_days), now - timedelta(hours=web.session_idle_hours)


def holding() -> Q:
    """The sessions that still hold."""
    made, used = oldest()
    return Q(expire_date__gt=timezone.now(), created_at__gt=made, seen_at__gt=used)


class SessionStore(DatabaseStore):
    """Django's store on `apps.accounts.models.Session`."""

    seen: tuple[datetime, str | None] | None = None
    """When and from where its row says that it was last used; None until it was read."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def load(self) -> dict[str, Any]:
        row: Session | None = super()._get_session_from_db()  # type: ignore[misc]
        if row is None:
            return {}
        made, used = oldest()
        if row.created_at <= made or row.seen_at <= used:
            self.delete(row.session_key)
            self._session_key = None
            return {}
        self.seen = (row.seen_at, row.address)
        loaded: dict[str, Any] = self.decode(row.session_data)
        return loaded

    @classmethod
    def contents(cls, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What each of these sessions holds, by key, in one query; those that are none or over are left out."""
        rows = cls.get_model_class().objects.filter(holding(), session_key__in=set(keys))
        store = cls()
        return {row.session_key: store.decode(row.session_data) for row in rows}

    def create(self) -> None:
        self.seen = None
        super().create()

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row = cast(Session, super().create_model_instance(data))
        row.user_id = UUID(data[SESSION_KEY]) if SESSION_KEY in data else None
        return row
