"""Taking what a passkey has signed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from django.db import transaction
from django.utils import timezone
from webauthn.helpers.structs import CredentialDeviceType

from apps.accounts.mfa import ceremony, challenges, guesses, patience
from apps.accounts.mfa.passkeys import passkeys
from apps.accounts.mfa.patience import Kind
from apps.accounts.notices import Notice, tell

if TYPE_CHECKING:
    from apps.accounts.mfa.challenges import Purpose
    from apps.accounts.mfa.relying_party import RelyingParty
    from apps.accounts.models import Passkey, User

log = structlog.get_logger(__name__)

LATE: Final = "This took too long, or the passkey was used for it already. Try once more."
WRONG: Final = "This passkey was not taken. Try once more, or use a code."
COPIED: Final = (
    "This passkey was refused: it has counted backwards, as a copy of it would. Use a code, and remove the passkey in "
    "Security."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it.

    Attributes:
        passkey: the person's passkey that has signed; None when it was refused.
        problem: what to say to the person; empty when it was taken.
    """

    passkey: Passkey | None
    problem: str = ""


def check(user: User, text: str, party: RelyingParty, purpose: Purpose, session_key: str | None) -> Answer:
    """Take what one of the person's passkeys has signed for this purpose, in this session.

    What is refused is counted (`patience`), also when the caller answers with an error: it must not be called inside a
    transaction that such an answer rolls back.
    """
    challenge = challenges.take(user, purpose, session_key)
    if challenge is None:
        return Answer(None, LATE)
    with transaction.atomic():
        counts = patience.held(user)
        until = patience.wait_until(counts, (Kind.PASSKEY, Kind.ACCOUNT))
        if until is not None:
            seconds = max(1, math.ceil((until - timezone.now()).total_seconds()))
            return Answer(None, f"Too many wrong tries. Wait {patience.spoken(seconds)}, then try again.")
        answer = _looked_at(user, text, party, challenge)
        if answer.passkey is not None:
            patience.forget(user)
        else:
            guesses.note(user, counts, Kind.PASSKEY)
    return answer


def _looked_at(user: User, text: str, party: RelyingParty, challenge: bytes) -> Answer:
    credential = ceremony.parsed(user, text)
    # Whose passkey it is says the browser, when it knows.
    if credential is None or (credential.response.user_handle or user.pk.bytes) != user.pk.bytes:
        return Answer(None, WRONG)
    mine = passkeys(user).select_for_update(no_key=True).filter(rp_id=party.id)
    passkey = mine.filter(credential_id=credential.raw_id).first()
    if passkey is None:
        return Answer(None, WRONG)
    signed = ceremony.verified(user, credential, passkey, party, challenge)
    synced = signed is not None and signed.credential_device_type == CredentialDeviceType.MULTI_DEVICE
    # An authenticator never changes its word on whether a passkey may leave it (WebAuthn level 3, section 7.2).
    if signed is None or synced != passkey.synced:
        return Answer(None, WRONG)
    counts = signed.new_sign_count > 0 or passkey.sign_count > 0
    if counts and signed.new_sign_count <= passkey.sign_count:
        log.warning("passkey_copied", user_id=str(user.pk), passkey_id=passkey.pk)
        tell(user, Notice.PASSKEY_COPIED, name=passkey.name, count=signed.new_sign_count, kept=passkey.sign_count)
        return Answer(None, COPIED)
    passkey.sign_count, passkey.last_used_at = signed.new_sign_count, timezone.now()
    passkey.save(update_fields=["sign_count", "last_used_at"])
    return Answer(passkey)
