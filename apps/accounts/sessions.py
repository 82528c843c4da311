"""Sessions of browsers, kept in PostgreSQL with who they belong to, so that a person can see and end the own ones."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from apps.accounts.models import Session


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
        self.seen = (row.seen_at, row.address)
        loaded: dict[str, Any] = self.decode(row.session_data)
        return loaded

    @classmethod
    def contents(cls, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What each of these sessions holds, by key, in one query; those that are none or over are left out."""
        rows = cls.get_model_class().objects.filter(session_key__in=set(keys), expire_date__gt=timezone.now())
        store = cls()
        return {row.session_key: store.decode(row.session_data) for row in rows}

    def create(self) -> None:
        self.seen = None
        super().create()

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row = cast(Session, super().create_model_instance(data))
        row.user_id = UUID(data[SESSION_KEY]) if SESSION_KEY in data else None
        return row
