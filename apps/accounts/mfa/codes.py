"""Taking a code, of whatever kind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from apps.accounts.mfa import guesses, patience, recovery, totp
from apps.accounts.mfa.factors import factors
from apps.accounts.mfa.patience import Kind
from apps.accounts.mfa.secret import opened
from apps.accounts.models import TotpDevice
from apps.accounts.notices import Notice, tell

if TYPE_CHECKING:
    from apps.accounts.mfa.factors import Factor
    from apps.accounts.models import User


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a code.

    Attributes:
        device: the authenticator whose code it was, after a recovery code a factor of the person; None when it was
            refused.
        wait_s: seconds until another may be tried; with 0 it was looked at.
        recovery_left: after a recovery code, how many are left.
    """

    device: Factor | None
    wait_s: int = 0
    recovery_left: int | None = None

    @property
    def problem(self) -> str:
        """What to say to the person; empty for a code that was taken."""
        if self.device is not None:
            return ""
        if self.wait_s:
            return f"Too many wrong codes. Wait {patience.spoken(self.wait_s)}, then try again."
        return "This code is not right, or it was used already. Wait for the next one."


def check(user: User, text: str) -> Verdict:
    """Take a code of the person's authenticator, or a recovery code; each is taken once.

    What is refused is counted (`patience`), also when the caller answers with an error: it must not be called inside a
    transaction that such an answer rolls back.
    """
    with transaction.atomic():
        counts = patience.held(user)
        code = recovery.plain(text)
        kind = Kind.RECOVERY if recovery.is_code(code) else Kind.TOTP
        until = patience.wait_until(counts, (kind, Kind.ACCOUNT))
        if until is not None:
            return Verdict(None, max(1, math.ceil((until - timezone.now()).total_seconds())))
        device = _recovered(user, code) if kind == Kind.RECOVERY else _taken(user, code)
        if device is None:
            guesses.note(user, counts, kind)
            return Verdict(None)
        patience.forget(user)
        if kind == Kind.TOTP:
            return Verdict(device)
        left = recovery.left(user)
        tell(user, Notice.RECOVERY_USED, left=left)
        return Verdict(device, recovery_left=left)


def _recovered(user: User, code: str) -> Factor | None:
    """A factor of the person's, if the recovery code is one."""
    device = next(iter(factors(user)), None)
    return device if device is not None and recovery.take(user, code) else None


def _taken(user: User, code: str) -> TotpDevice | None:
    """The person's authenticator, if the code is of it."""
    device: TotpDevice | None = TotpDevice.objects.filter(user=user, confirmed=True).first()
    if device is None or not totp.is_code(code):
        return None
    step = totp.matching_step(opened(device.key), code, device.last_step)
    if step is None:
        return None
    # `patience.held` has made others wait, and all the same: the step only ever goes up.
    written = TotpDevice.objects.filter(pk=device.pk, last_step__lt=step).update(last_step=step)
    return device if written == 1 else None
