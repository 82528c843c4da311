"""ID tokens made by another library (joserfc), good ones and each kind of bad one."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from apps.accounts.oidc.id_token import IdTokenRefused, claims_of

ISSUER = "https://id.example.org"
CLIENT = "attractor"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
KEYS = {"keys": [KEY.as_dict(private=False), OTHER.as_dict(private=False)]}


def good(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": ISSUER, "sub": "s", "aud": CLIENT, "exp": now + 600, "iat": now, "nonce": "n", **more}


def signed(claims: dict[str, Any], key: Any = KEY, alg: str = "RS256", kid: str | None = "one") -> str:
    header = {"alg": alg} if kid is None else {"alg": alg, "kid": kid}
    return jwt.encode(header, claims, key, algorithms=[alg])


def read(token: str, keys: dict[str, Any] = KEYS) -> dict[str, Any]:
    return claims_of(token, keys, ISSUER, CLIENT, "n")


@pytest.mark.parametrize("alg", ["RS256", "PS384"])
@pytest.mark.parametrize("more", [{}, {"aud": [CLIENT]}, {"aud": [CLIENT, "x"], "azp": CLIENT}])
def test_what_a_server_says(more: dict[str, Any], alg: str) -> None:
    keys = {"keys": [{**one, "alg": alg} for one in KEYS["keys"]]}
    assert read(signed(good(**more), alg=alg), keys)["sub"] == "s"


@pytest.mark.parametrize(
    "more",
    [
        {"iss": "https://evil.example.org"},
        {"iss": f"{ISSUER}/"},
        {"aud": "somebody-else"},
        {"aud": [CLIENT, "x"]},
        {"aud": [CLIENT, "x"], "azp": "x"},
        {"exp": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600},
        {"nonce": "of another login"},
        {"nonce": ""},
        {"nonce": 7},
    ],
)
def test_a_token_for_something_else(more: dict[str, Any]) -> None:
    with pytest.raises(IdTokenRefused):
        read(signed(good(**more)))


@pytest.mark.parametrize("gone", ["iss", "sub", "aud", "exp", "iat", "nonce"])
def test_a_token_that_leaves_something_out(gone: str) -> None:
    claims = good()
    del claims[gone]
    with pytest.raises(IdTokenRefused):
        read(signed(claims))


def test_a_token_of_another_key() -> None:
    with pytest.raises(IdTokenRefused):
        read(signed(good(), OTHER))
    with pytest.raises(IdTokenRefused):
        read(signed(good(), kid="three"))
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    with pytest.raises(IdTokenRefused):
        read(signed(good(), stranger))


def test_a_token_that_is_signed_with_what_everybody_knows() -> None:
    """The public key as a shared secret, the oldest trick there is; and no signature at all."""
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "one"}, good())
    )
    mac = hmac.digest(KEY.as_pem(private=False), head + b"." + body, "sha256")
    with pytest.raises(IdTokenRefused):
        read(b".".join((head, body, base64.urlsafe_b64encode(mac).rstrip(b"="))).decode())
    unsigned = jwt.encode({"alg": "none", "kid": "one"}, good(), KEY, algorithms=["none"])
    with pytest.raises(IdTokenRefused):
        read(unsigned)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.e30"])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(IdTokenRefused):
        read(token)
