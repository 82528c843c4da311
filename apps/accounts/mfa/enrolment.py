"""Switching the second factor on and off."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.utils import timezone

from apps.accounts.mfa import patience, recovery, secret, totp
from apps.accounts.mfa.factors import end_sessions
from apps.accounts.models import Passkey, PasskeyChallenge, RecoveryCode, Session, TotpDevice, User
from apps.accounts.notices import Notice, tell
from apps.ops.refusal import Fault, Refusal

if TYPE_CHECKING:
    from uuid import UUID

KEPT: Final = timedelta(hours=1)
"""A secret that was shown and not confirmed is good for so long."""


class SecondFactorState(Refusal):
    """The second factor is not in the state that this needs."""

    code = "second_factor_state"
    title = "The second factor is not as this needs it"


def has_app(user: User) -> bool:
    """Whether codes of an authenticator app open the account."""
    return bool(TotpDevice.objects.filter(user=user, confirmed=True).exists())


def begin(user: User) -> TotpDevice:
    """Draw a secret for the person's authenticator, in place of one that was drawn and not confirmed.

    Raises `SecondFactorState` when there is a confirmed one already.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if has_app(user):
            raise SecondFactorState([Fault("mfa", "An authenticator app is set up already.", "Remove it first.")])
        TotpDevice.objects.filter(user=user).delete()
        made = TotpDevice(user=user, name="Authenticator", confirmed=False, key=secret.sealed(secret.draw()))
        made.save(force_insert=True)
    return made


def begun(user: User) -> TotpDevice | None:
    """What `begin` has drawn, while it waits to be confirmed."""
    drawn = TotpDevice.objects.filter(user=user, confirmed=False, created_at__gt=timezone.now() - KEPT)
    found: TotpDevice | None = drawn.first()
    return found


def confirm(user: User, text: str, session_key: str | None) -> tuple[TotpDevice, list[str]] | None:
    """Let codes open the account, with one of what `begin` has drawn; None when it is wrong.

    A person's first second factor switches two-step sign-in on: every other session ends.

    Args:
        session_key: of the session in which it is done; it goes on.

    Returns:
        The authenticator, and the recovery codes if it is the first factor, which are told here and never again.
    """
    with transaction.atomic():
        found = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        device = begun(user)
        code = recovery.plain(text)
        if device is None or not totp.is_code(code):
            return None
        step = totp.matching_step(secret.opened(device.key), code, device.last_step)
        if step is None:
            return None
        device.confirmed, device.last_step = True, step
        device.save(update_fields=["confirmed", "last_step"])
        if found.mfa_since is None:
            codes = switch_on(found, "authenticator app", session_key)
        else:
            codes = []
            tell(found, Notice.APP_ADDED)
    user.mfa_since = found.mfa_since
    return device, codes


def switch_on(user: User, factor: str, session_key: str | None) -> list[str]:
    """Ask for a second factor from now on, after the first was added. Call it with the person's row locked.

    Every other session of the person ends: none of them has shown it.

    Args:
        factor: what it is, to be said in a mail.

    Returns:
        Recovery codes, which are told here and never again.
    """
    user.mfa_since = timezone.now()
    user.save(update_fields=["mfa_since"])
    patience.forget(user)
    Session.objects.filter(user=user).exclude(session_key=session_key).delete()
    tell(user, Notice.MFA_ON, factor=factor)
    return recovery.renew(user)


def remove_app(user: User, session_key: str | None) -> TotpDevice | None:
    """Let codes of the authenticator app open nothing any more, and end the sessions that were begun with one.

    Args:
        session_key: of the session in which it is done; it goes on.

    Returns:
        What was removed; None where there was none.

    Raises `SecondFactorState` when it is the only second factor.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        device: TotpDevice | None = TotpDevice.objects.filter(user=user, confirmed=True).first()
        if device is None:
            return None
        if not Passkey.objects.filter(user=user, confirmed=True).exists():
            fault = Fault("mfa", "It is your only second step.", "Add a passkey first, or switch two-step sign-in off.")
            raise SecondFactorState([fault])
        TotpDevice.objects.filter(user=user).delete()
        end_sessions(device, session_key)
        tell(user, Notice.APP_REMOVED)
    return device


def renew_recovery_codes(user: User) -> list[str]:
    """New recovery codes in place of the old ones, told here and never again.

    Raises `SecondFactorState` without a second factor.
    """
    with transaction.atomic():
        if User.objects.select_for_update(no_key=True).get(pk=user.pk).mfa_since is None:
            raise SecondFactorState([Fault("mfa", "There is no second factor.", "Set one up first.")])
        codes = recovery.renew(user)
        tell(user, Notice.RECOVERY_RENEWED)
    return codes


def switch_off(user: User, *, reason: str | None = None) -> None:
    """Ask for no second factor any more. Does nothing where there is none.

    Args:
        reason: why an operator does it, which the person is told; None: it is the person.
    """
    with transaction.atomic():
        found = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if found.mfa_since is None:
            return
        for model in (TotpDevice, Passkey, PasskeyChallenge):
            model._default_manager.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        patience.forget(user)
        found.mfa_since = None
        found.save(update_fields=["mfa_since"])
        if reason is None:
            tell(found, Notice.MFA_OFF)
        else:
            tell(found, Notice.MFA_RESET, reason=reason)
    user.mfa_since = None


def reseal(device_id: int | UUID) -> None:
    """Seal the secret of an authenticator under the site's present key. Raises `secret.Unopened`."""
    with transaction.atomic():
        device = TotpDevice.objects.select_for_update().get(pk=device_id)
        device.key = secret.sealed(secret.opened(device.key))
        device.save(update_fields=["key"])
