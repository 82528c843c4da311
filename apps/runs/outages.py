"""Outages of the storage and of the database: what needs them is put off until they are back, and has not failed.

A row that is put off says for what it waits and when it is tried next: after 15 s, then after twice as long each time,
at most a quarter of an hour. When it was put off first is kept, so that it is given up after a bounded time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection, models

from apps.runs.execution.away import is_away

FIRST_SECONDS: Final = 15.0
MOST_SECONDS: Final = 900.0
"""Between two tries."""
RETRY_SECONDS: Final = 1.0
DAY: Final = 86_400.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Cause(models.TextChoices):
    """What is away."""

    NOTHING = "", "Nothing"
    STORAGE = "storage", "The storage"
    DATABASE = "database", "The database"


class PutOff(models.Model):
    """The part of a row that says how it was put off."""

    put_offs = models.PositiveIntegerField(
        default=0, editable=False, help_text="How often the storage or the database was away when it was tried."
    )
    put_off_since = models.DateTimeField(null=True, editable=False, help_text="When that was so first.")
    waits_for = models.CharField(max_length=10, choices=Cause.choices, default=Cause.NOTHING, blank=True)

    class Meta:
        abstract = True

    def put_off(self, cause: Cause, now: datetime, at_most: float) -> datetime | None:
        """Note on a locked row that something is away; when it is tried next, or None when it has waited for `at_most`
        seconds. The caller saves it."""
        wait = min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(self.put_offs, 20))
        self.put_offs += 1
        self.put_off_since = self.put_off_since or now
        if now - self.put_off_since >= timedelta(seconds=at_most):
            self.waits_for = Cause.NOTHING
            return None
        self.waits_for = cause
        # The last try is made when the time is over, not up to a quarter of an hour later.
        return min(now + timedelta(seconds=wait), self.put_off_since + timedelta(seconds=at_most))

    def given_up(self, cause: Cause) -> str:
        """What is said when it has waited for too long."""
        return f"{cause.label} was away in all {self.put_offs} tries since {self.put_off_since:%Y-%m-%d %H:%M} UTC."

    def waiting(self, due_at: datetime) -> str:
        """What is said while it waits until `due_at`; nothing when it does not."""
        if not self.waits_for:
            return ""
        return f"Waiting for the {self.waits_for}, which is away; next try at {due_at:%Y-%m-%d %H:%M:%S} UTC."


PUT_OFF_FIELDS: Final = ("put_offs", "put_off_since", "waits_for")


def put_off_constraint(name: str) -> models.CheckConstraint:
    """That of a table with such rows."""
    return models.CheckConstraint(name=name, condition=models.Q(waits_for__in=Cause.values))


def patiently(write: Callable[[], T], at_most: float) -> T:
    """What a write gives; while the database is away it is tried again, for at most so many seconds.

    Call it in no transaction.

    Raises:
        OperationalError, InterfaceError: the database was away for longer, or is there and refuses.
    """
    since = time.monotonic()
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            if not is_away(error):
                raise
            connection.close()
            if time.monotonic() - since >= at_most:
                raise
            log.warning("database_away", error=str(error))
            time.sleep(RETRY_SECONDS)
