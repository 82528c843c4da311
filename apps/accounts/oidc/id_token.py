"""ID tokens (OpenID Connect Core 1.0, section 3.1.3.7)."""

from __future__ import annotations

import hmac
from typing import Any, Final

import jwt

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a key that only the server has. `none` is none, and a secret that two share proves too little."""
LEEWAY_S: Final = 60
NEEDED: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")


class IdTokenRefused(Exception):
    """The token proves nothing."""


def claims_of(token: str, keys: dict[str, Any], issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """What a token says, once everything about it was checked.

    Args:
        keys: the server's, as its `jwks_uri` gives them.
        nonce: that the login was begun with.

    Raises `IdTokenRefused`.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token, _key_of(token, keys), algorithms=list(ALGORITHMS), audience=client_id, issuer=issuer,
            leeway=LEEWAY_S, options={"require": list(NEEDED)},
        )  # fmt: skip
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise IdTokenRefused(f"The ID token is not valid: {error}") from error
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != client_id:
        raise IdTokenRefused("The ID token was made for somebody else.")
    if not isinstance(claims["nonce"], str) or not hmac.compare_digest(claims["nonce"].encode(), nonce.encode()):
        raise IdTokenRefused("The ID token belongs to another login.")
    return claims


def _key_of(token: str, keys: dict[str, Any]) -> jwt.PyJWK:
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in ALGORITHMS:
        raise IdTokenRefused(f"ID tokens signed by {header.get('alg')!r} are not taken.")
    found = [key for key in jwt.PyJWKSet.from_dict(keys).keys if key.public_key_use in (None, "sig")]
    if "kid" in header:
        found = [key for key in found if key.key_id == header["kid"]]
    if len(found) != 1:
        raise IdTokenRefused("The server has no such key.")
    return found[0]
