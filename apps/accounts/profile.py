"""What people say about themselves."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.db import transaction

from apps.accounts.models import Theme
from apps.accounts.notices import Notice, tell
from apps.ops.refusal import Fault, Invalid

if TYPE_CHECKING:
    from apps.accounts.models import User

NAME_LENGTH = 120


@cache
def time_zones() -> tuple[str, ...]:
    """The time zones that can be chosen, by name."""
    return tuple(sorted(name for name in available_timezones() if "/" in name or name == "UTC"))


def zone_of(user: User) -> ZoneInfo:
    """The person's time zone; UTC where the machine's list has lost it."""
    try:
        return ZoneInfo(user.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def change_profile(user: User, name: str, time_zone: str, theme: str) -> None:
    """Set it. Raises `Invalid` with a fault for each value that cannot be."""
    faults = []
    if len(name) > NAME_LENGTH or not name.isprintable():
        faults.append(
            Fault(
                "name",
                f"It is longer than {NAME_LENGTH} characters, or has signs that cannot be seen.",
                "Give another.",
            )
        )
    if time_zone not in time_zones():
        faults.append(Fault("time_zone", "There is no such time zone.", "Choose one of the list."))
    if theme not in ("", *Theme.values):
        faults.append(Fault("theme", "There is no such theme.", "Choose light, dark or as the system has it."))
    if faults:
        raise Invalid(faults)
    changed = [
        field
        for field, value in (("name", name), ("time_zone", time_zone), ("theme", theme))
        if getattr(user, field) != value
    ]
    user.name, user.time_zone, user.theme = name, time_zone, theme
    with transaction.atomic():
        user.save(update_fields=["name", "time_zone", "theme"])
        tell(user, Notice.PROFILE, changed=changed)
