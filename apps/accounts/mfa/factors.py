"""What a person has for the second step, of whatever kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.models import Device

from apps.accounts.models import Passkey, Session, TotpDevice

if TYPE_CHECKING:
    from apps.accounts.models import User

Factor = TotpDevice | Passkey


def factors(user: User) -> list[Factor]:
    """Those that open the account, the authenticator app first."""
    return [
        *TotpDevice.objects.filter(user=user, confirmed=True),
        *Passkey.objects.filter(user=user, confirmed=True).order_by("created_at", "pk"),
    ]


def named_in(session: Mapping[str, Any]) -> Device | None:
    """The factor by which the session was begun, as its row is now; None when there is none, or no more."""
    name = session.get(DEVICE_ID_SESSION_KEY)
    return Device.from_persistent_id(name) if isinstance(name, str) else None


def is_of(user: User, device: Device | None) -> bool:
    """Whether it is a factor of the person that opens the account."""
    return isinstance(device, TotpDevice | Passkey) and device.user_id == user.pk and bool(device.confirmed)


def end_sessions(factor: Factor, kept: str | None) -> None:
    """End the person's sessions that were begun by a factor which is taken away, so that their sockets close too.

    Args:
        kept: key of the session in which it is taken away; it goes on.
    """
    name = factor.persistent_id
    rows = Session.objects.filter(user_id=factor.user_id).exclude(session_key=kept)
    begun = [row.session_key for row in rows if row.get_decoded().get(DEVICE_ID_SESSION_KEY) == name]
    Session.objects.filter(session_key__in=begun).delete()
