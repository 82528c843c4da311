"""What is asked of a browser's passkeys and whether the answer holds (WebAuthn); the computing is py_webauthn's.

The person must be verified by the authenticator (its PIN, a finger, a face), not only present: a passkey also proves on
its own, without the password, that the person is still there, and a security key that was left in a computer answers to
the touch of anybody. Attestation is not asked for: which make of authenticator it is decides nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import (
    options_to_json_dict,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from apps.accounts.models import Passkey

if TYPE_CHECKING:
    from apps.accounts.mfa.relying_party import RelyingParty
    from apps.accounts.models import User

log = structlog.get_logger(__name__)

T = TypeVar("T")
TIMEOUT_MS: Final = 300_000
"""For so long a browser waits for the person (WebAuthn level 3, section 15.1)."""
NAME: Final = "Attractor"
_TRANSPORTS: Final = frozenset(one.value for one in AuthenticatorTransport)


def creation_options(user: User, party: RelyingParty, challenge: bytes, known: Iterable[Passkey]) -> dict[str, Any]:
    """What `navigator.credentials.create` is called with, as JSON.

    Args:
        known: passkeys that the person has: an authenticator that holds one of them makes no other.
    """
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=NAME,
        user_id=user.pk.bytes,
        user_name=user.email,
        user_display_name=user.get_full_name(),
        challenge=challenge,
        timeout=TIMEOUT_MS,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            # Password managers sync these only; a security key without room for one makes another kind.
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_descriptor(one) for one in known],
    )
    return options_to_json_dict(options)


def request_options(party: RelyingParty, challenge: bytes, known: Iterable[Passkey]) -> dict[str, Any]:
    """What `navigator.credentials.get` is called with, as JSON: one of these passkeys is to sign the challenge."""
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        allow_credentials=[_descriptor(one) for one in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def registered(user: User, text: str, party: RelyingParty, challenge: bytes) -> Passkey | None:
    """The passkey that the person's browser has made, not saved; None when the answer does not hold."""

    def verify() -> Passkey:
        credential = parse_registration_credential_json(text)
        _check_frame(credential.response.client_data_json)
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
        return Passkey(
            user=user,
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            rp_id=party.id,
            sign_count=made.sign_count,
            synced=made.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
            transports=sorted(one.value for one in credential.response.transports or ()),
        )

    return _held(user, verify)


def parsed(user: User, text: str) -> AuthenticationCredential | None:
    """What the person's browser says that a passkey has signed, unchecked; None when it cannot be read."""
    return _held(user, lambda: parse_authentication_credential_json(text))


def verified(
    user: User, credential: AuthenticationCredential, passkey: Passkey, party: RelyingParty, challenge: bytes
) -> VerifiedAuthentication | None:
    """What the person's passkey has signed; None when it has not, or something else.

    Whether its count goes up is for the caller to look at: it says something only once the signature holds, and the
    library looks at the count first.
    """

    def verify() -> VerifiedAuthentication:
        _check_frame(credential.response.client_data_json)
        return verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=bytes(passkey.public_key),
            credential_current_sign_count=0,
            require_user_verification=True,
        )

    return _held(user, verify)


def _held(user: User, verify: Callable[[], T]) -> T | None:
    try:
        return verify()
    except Exception as error:  # noqa: BLE001 whatever parsers raise at bytes of a stranger, the answer does not hold
        log.warning("passkey_refused", user_id=str(user.pk), reason=f"{type(error).__name__}: {error}"[:200])
        return None


def _check_frame(client_data: bytes) -> None:
    """The library does not look at it: no page of ours is shown inside a page of somebody else."""
    if parse_client_data_json(client_data).cross_origin:
        raise ValueError("The page was inside a page of another site.")


def _descriptor(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    known = [AuthenticatorTransport(one) for one in passkey.transports if one in _TRANSPORTS]
    return PublicKeyCredentialDescriptor(id=bytes(passkey.credential_id), transports=known or None)
