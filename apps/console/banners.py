"""What operators tell everybody, on every page, for a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.console import board
from apps.console.log import given, note
from apps.console.models import Banner
from apps.console.rights import Right, require
from apps.ops.refusal import Fault, Invalid
from apps.workspaces.missing import NotFound

if TYPE_CHECKING:
    from apps.accounts.models import User

_BOARD: Final = "banners"
_RANK: Final = {Banner.Severity.CRITICAL: 0, Banner.Severity.WARNING: 1, Banner.Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Shown:
    """A banner as pages show it."""

    id: UUID
    text: str
    severity: str
    begins_at: datetime
    ends_at: datetime | None
    dismissible: bool


def shown(dismissed: Collection[str] = ()) -> list[Shown]:
    """What is to be told now, the most urgent first.

    Args:
        dismissed: ids of those that the reader has put away.
    """
    now = timezone.now()
    found = [
        one
        for one in map(_shown, board.kept(_BOARD, _read))
        if one.begins_at <= now and (one.ends_at is None or now < one.ends_at)
        and not (one.dismissible and str(one.id) in dismissed)
    ]  # fmt: skip
    return sorted(found, key=lambda one: (_RANK[Banner.Severity(one.severity)], one.begins_at))


def put_up(
    actor: User, text: str, severity: str, begins_at: datetime | None, ends_at: datetime | None, dismissible: bool,
    reason: str,
) -> Banner:  # fmt: skip
    """Tell everybody something.

    Args:
        begins_at: from then on; None: now.
        ends_at: until then; None: until it is taken down.

    Raises:
        Invalid: something is not allowed, or there is no reason.
        PermissionDenied: the actor has no right to.
    """
    require(actor, Right.SITE)
    why = given(reason)
    made = Banner(
        text=text.strip(), severity=severity, begins_at=begins_at or timezone.now(), ends_at=ends_at,
        dismissible=dismissible,
    )  # fmt: skip
    try:
        made.full_clean()
    except ValidationError as error:
        faults = [Fault(place, " ".join(texts), "Give another.") for place, texts in sorted(error.message_dict.items())]
        raise Invalid(faults) from None
    with transaction.atomic():
        made.save(force_insert=True)
        ends = None if made.ends_at is None else made.ends_at.isoformat()
        note(actor, "banner.put_up", made, why, text=made.text, severity=made.severity,
             begins_at=made.begins_at.isoformat(), ends_at=ends, dismissible=dismissible)  # fmt: skip
        board.changed(_BOARD)
    return made


def take_down(actor: User, banner_id: UUID, reason: str) -> None:
    """Tell it no more. Raises as `put_up`; `NotFound`: there is none, or it is over."""
    require(actor, Right.SITE)
    why = given(reason)
    with transaction.atomic():
        held = current().select_for_update().filter(pk=banner_id).first()
        if held is None:
            raise NotFound(f"banner {banner_id}")
        # One that has not begun never does: it begins and ends now.
        now = timezone.now()
        held.begins_at, held.ends_at = min(now, held.begins_at), now
        held.save(update_fields=["begins_at", "ends_at"])
        note(actor, "banner.take_down", held, why)
        board.changed(_BOARD)


def current() -> QuerySet[Banner]:
    """Those that are not over, also those that have not begun."""
    return Banner.objects.exclude(ends_at__lte=timezone.now()).order_by("begins_at", "pk")


def _read() -> list[dict[str, Any]]:
    return [
        {
            "id": str(row.pk), "text": row.text, "severity": row.severity, "begins_at": row.begins_at.isoformat(),
            "ends_at": None if row.ends_at is None else row.ends_at.isoformat(), "dismissible": row.dismissible,
        }
        for row in current()
    ]  # fmt: skip


def _shown(kept: dict[str, Any]) -> Shown:
    ends = kept["ends_at"]
    return Shown(
        UUID(kept["id"]), kept["text"], kept["severity"], datetime.fromisoformat(kept["begins_at"]),
        None if ends is None else datetime.fromisoformat(ends), kept["dismissible"],
    )  # fmt: skip
