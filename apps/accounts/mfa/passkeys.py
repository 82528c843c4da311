"""A person's passkeys: adding, naming and removing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from apps.accounts.mfa import ceremony, challenges, enrolment
from apps.accounts.mfa.challenges import Purpose
from apps.accounts.mfa.enrolment import SecondFactorState
from apps.accounts.mfa.factors import end_sessions
from apps.accounts.models import Passkey, TotpDevice, User
from apps.accounts.notices import Notice, tell
from apps.ops.refusal import Fault, Invalid

if TYPE_CHECKING:
    from apps.accounts.mfa.relying_party import RelyingParty

MOST: Final = 20
"""So many passkeys of one person."""
MAX_NAME: Final = 64


def passkeys(user: User) -> QuerySet[Passkey]:
    """The person's, the oldest first."""
    found: QuerySet[Passkey] = Passkey.objects.filter(user=user, confirmed=True).order_by("created_at", "pk")
    return found


def to_add(user: User, party: RelyingParty, session_key: str | None) -> dict[str, Any]:
    """What the browser is to make, as JSON. Raises `SecondFactorState` when there are `MOST` already."""
    known = list(passkeys(user))
    _check_room(len(known))
    return ceremony.creation_options(user, party, challenges.draw(user, Purpose.ADD, session_key), known)


def to_show(user: User, party: RelyingParty, purpose: Purpose, session_key: str | None) -> dict[str, Any]:
    """What one of the person's passkeys is to sign, as JSON. Raises `SecondFactorState` when none can."""
    known = list(passkeys(user).filter(rp_id=party.id))
    if not known:
        fault = Fault("passkey", f"Your account has no passkey for {party.id}.", "Use a code.")
        raise SecondFactorState([fault])
    return ceremony.request_options(party, challenges.draw(user, purpose, session_key), known)


def add(user: User, party: RelyingParty, name: str, text: str, session_key: str | None) -> tuple[Passkey, list[str]]:
    """Keep what the browser has made, which `to_add` has asked for.

    A person's first second factor switches two-step sign-in on: every other session ends.

    Args:
        text: the browser's answer, JSON.
        session_key: of the session in which it is done; it goes on.

    Returns:
        The passkey, and the recovery codes if it is the first factor, which are told here and never again.

    Raises:
        Invalid: the name is none, or the answer does not hold.
        SecondFactorState: there are `MOST` already.
    """
    challenge = challenges.take(user, Purpose.ADD, session_key)
    name = _checked(name)
    if challenge is None:
        raise Invalid([Fault("passkey", "This took too long, or was done already.", "Try once more.")])
    made = ceremony.registered(user, text, party, challenge)
    if made is None:
        raise Invalid([Fault("passkey", "What your browser has sent is no passkey for this site.", "Try once more.")])
    made.name = name
    with transaction.atomic():
        found = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        _check_room(passkeys(user).count())
        try:
            with transaction.atomic():
                made.save(force_insert=True)
        except IntegrityError:
            # One credential stands for one account (WebAuthn level 3, section 7.1, step 26).
            raise Invalid([Fault("passkey", "This passkey is in use already.", "Make another one.")]) from None
        if found.mfa_since is None:
            codes = enrolment.switch_on(found, f"passkey “{name}”", session_key)
        else:
            codes = []
            tell(found, Notice.PASSKEY_ADDED, name=name)
    user.mfa_since = found.mfa_since
    return made, codes


def rename(user: User, passkey_id: int, name: str) -> None:
    """Call it otherwise. Raises `Passkey.DoesNotExist`, also for somebody else's, and Invalid."""
    name = _checked(name)
    with transaction.atomic():
        passkey = passkeys(user).select_for_update(no_key=True).get(pk=passkey_id)
        before, passkey.name = passkey.name, name
        passkey.save(update_fields=["name"])
        tell(user, Notice.PASSKEY_RENAMED, name=name, name_before=before)


def remove(user: User, passkey_id: int, session_key: str | None) -> Passkey:
    """Take it away, and end the sessions that were begun with it.

    Args:
        session_key: of the session in which it is done; it goes on.

    Raises:
        Passkey.DoesNotExist: also for somebody else's.
        SecondFactorState: it is the only second factor. It goes with two-step sign-in as a whole (`enrolment`).
    """
    with transaction.atomic():
        # Two who each take away one of the last two come after each other.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        passkey: Passkey = passkeys(user).get(pk=passkey_id)
        if passkeys(user).count() == 1 and not TotpDevice.objects.filter(user=user, confirmed=True).exists():
            raise SecondFactorState(
                [
                    Fault(
                        "passkey",
                        "It is your only second step.",
                        "Add another passkey or an authenticator app first, or switch two-step sign-in off.",
                    )
                ]
            )
        passkeys(user).filter(pk=passkey.pk).delete()
        end_sessions(passkey, session_key)
        tell(user, Notice.PASSKEY_REMOVED, name=passkey.name)
    return passkey


def _check_room(count: int) -> None:
    if count >= MOST:
        raise SecondFactorState([Fault("passkey", f"You have {count} passkeys.", "Remove one first.")])


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid([Fault("name", f"A name has 1 to {MAX_NAME} characters.", "Say which passkey it is.")])
    return name
