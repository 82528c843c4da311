"""An authenticator and a browser in software: python-fido2's data and rules, and keys of the package cryptography.

Nothing here is of the library that the site checks with.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.test import Client
from fido2.cose import ES256
from fido2.rpid import verify_rp_id
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialRequestOptions,
    UserVerificationRequirement,
)

FLAG = AuthenticatorData.FLAG
ORIGIN = "http://localhost"
PRESENT = FLAG.UP | FLAG.UV


def browser() -> Client:
    """A browser that has the site open where passkeys work."""
    return Client(SERVER_NAME="localhost")


@dataclass
class SoftPasskey:
    """A passkey and the browser in front of it; what it signs can be bent.

    Attributes:
        count: how often it has signed; -1: it does not count.
    """

    count: int = 0
    flags: FLAG = PRESENT
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    handle: bytes = b""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def created(self, options: dict[str, Any], origin: str = ORIGIN, **bent: Any) -> str:
        """The answer to `navigator.credentials.create`."""
        asked = PublicKeyCredentialCreationOptions.from_dict(options)
        assert asked.rp.id is not None
        if not bent:
            assert verify_rp_id(asked.rp.id, origin), "a browser would refuse it"
            assert self.id not in [one.id for one in asked.exclude_credentials or ()], "so would an authenticator"
        assert ES256.ALGORITHM in [one.alg for one in asked.pub_key_cred_params]
        self.handle = asked.user.id
        public = ES256.from_cryptography_key(self.key.public_key())
        held = AttestedCredentialData.create(Aaguid.NONE, self.id, public)
        data = self._data(bent.get("rp_id", asked.rp.id), FLAG.AT, held)
        client = self._client("webauthn.create", asked.challenge, origin, bent)
        return self._answer(client, attestationObject=AttestationObject.create("none", data, {}), transports=["usb"])

    def signed(self, options: dict[str, Any], origin: str = ORIGIN, **bent: Any) -> str:
        """The answer to `navigator.credentials.get`."""
        asked = PublicKeyCredentialRequestOptions.from_dict(options)
        assert asked.user_verification == UserVerificationRequirement.REQUIRED
        assert asked.rp_id is not None
        if not bent:
            assert verify_rp_id(asked.rp_id, origin), "a browser would refuse it"
            assert self.id in [one.id for one in asked.allow_credentials or ()], "an authenticator would not answer"
        if self.count >= 0:
            self.count += 1
        data = self._data(bent.get("rp_id", asked.rp_id))
        client = self._client("webauthn.get", bent.get("challenge", asked.challenge), origin, bent)
        signature = bent.get("key", self.key).sign(data + client.hash, ec.ECDSA(SHA256()))
        handle = bent.get("handle", self.handle)
        return self._answer(client, authenticatorData=data, signature=signature, userHandle=handle)

    def _data(self, rp_id: str, more: int = 0, held: bytes = b"") -> AuthenticatorData:
        return AuthenticatorData.create(sha256(rp_id.encode()), FLAG(self.flags | more), max(self.count, 0), held)

    def _client(self, kind: str, challenge: bytes, origin: str, bent: dict[str, Any]) -> CollectedClientData:
        return CollectedClientData.create(bent.get("kind", kind), challenge, origin, bent.get("framed", False))

    def _answer(self, client: CollectedClientData, **parts: Any) -> str:
        name = websafe_encode(self.id)
        response = {key: websafe_encode(value) if isinstance(value, bytes) else value for key, value in parts.items()}
        response["clientDataJSON"] = websafe_encode(client)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def asked(client: Client, purpose: str) -> dict[str, Any]:
    """What the site has a browser ask its passkeys."""
    answer = client.post(f"/account/passkeys/options/{purpose}/")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def add(client: Client, passkey: SoftPasskey, name: str = "Key", **bent: Any) -> Any:
    """Add the passkey by the page; what the page answers."""
    form = {"name": name, "passkey": passkey.created(asked(client, "add"), **bent)}
    return client.post("/account/passkeys/new/", form)
