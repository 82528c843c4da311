"""Waits after wrong codes: longer with each, never for ever.

Six digits of which three are good at a moment would be guessed in an hour by who could ask a hundred times a second.
After a few tries each further one has to wait twice as long as the one before, up to a quarter of an hour: 96 tries a
day hit with a chance of 1 in 3,000. The right code ends it, and so does a new password that is chosen signed in. One by
a link in a mail does not: who reads the mailbox would guess on without waiting. It ends the guessing of everybody else,
and with that the waits within a quarter of an hour; so nobody is kept out for good.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from apps.accounts.models import CodeFailures

if TYPE_CHECKING:
    from apps.accounts.models import User

Kind = CodeFailures.Kind
LONGEST: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Rule:
    """So many wrong codes cost nothing; the next costs `first`, and each further one twice as much."""

    free: int
    first: timedelta

    def wait(self, count: int) -> timedelta:
        """How long after the last of so many wrong ones the next may come."""
        if count <= self.free:
            return timedelta()
        doublings: int = min(count - self.free - 1, 30)
        longer: timedelta = self.first * 2**doublings
        return min(longer, LONGEST)


RULES: Final[Mapping[str, Rule]] = {
    Kind.TOTP: Rule(4, timedelta(seconds=2)),
    Kind.RECOVERY: Rule(4, timedelta(seconds=2)),
    Kind.PASSKEY: Rule(4, timedelta(seconds=2)),
    Kind.ACCOUNT: Rule(8, timedelta(seconds=4)),
}
WARN_AFTER: Final = 5
"""So many wrong codes in a row, and the person is told by mail: somebody else may know the password."""


def held(user: User) -> dict[str, CodeFailures]:
    """The person's counts by kind, locked until the transaction ends: one code after the other is looked at."""
    CodeFailures.objects.bulk_create([CodeFailures(user=user, kind=kind) for kind in Kind], ignore_conflicts=True)
    rows = CodeFailures.objects.select_for_update(no_key=True).filter(user=user).order_by("kind")
    return {row.kind: row for row in rows}


def wait_until(counts: Mapping[str, CodeFailures], kinds: Iterable[str]) -> datetime | None:
    """When the next code of these kinds may come; None for now."""
    times = [row.last_at + RULES[kind].wait(row.count) for kind in kinds if (row := counts[kind]).last_at is not None]
    latest = max(times, default=None)
    return latest if latest is not None and latest > timezone.now() else None


def spoken(seconds: int) -> str:
    """A wait, as people say it."""
    return f"{seconds} s" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"


def count(counts: Mapping[str, CodeFailures], kinds: Iterable[str]) -> None:
    """One more wrong code of these kinds."""
    for kind in kinds:
        row = counts[kind]
        row.count, row.last_at = row.count + 1, timezone.now()
        row.save(update_fields=["count", "last_at"])


def forget(user: User) -> None:
    """Begin to count anew."""
    CodeFailures.objects.filter(user=user).update(count=0, last_at=None)
