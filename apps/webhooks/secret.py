"""Secrets that sign messages, by the rules of Standard Webhooks, and how they are kept.

The server has to sign, so a hash of the secret is not enough: it is encrypted under a key made from the site's own.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.encoding import force_bytes

PREFIX = "whsec_"
SECRET_BYTES = 32


class Unopened(Exception):
    """What is kept was sealed under a key that the site does not know any more."""


def draw() -> str:
    """A new secret as people see it: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sealed(secret: str) -> str:
    """The secret as it is kept."""
    return _vault().encrypt(secret.encode()).decode()


def opened(kept: str) -> str:
    """The secret of what is kept. Raises `Unopened`."""
    try:
        return _vault().decrypt(kept.encode()).decode()
    except InvalidToken as error:
        raise Unopened("The secret was sealed under another key of the site.") from error


def resealed(kept: str) -> str:
    """What is kept, sealed again under the site's present key. Raises `Unopened`."""
    return sealed(opened(kept))


def signature(signing: Sequence[str], message: str, at: datetime, body: bytes) -> str:
    """The header `webhook-signature`: one `v1,<base64 of HMAC-SHA256>` for each secret, of `message.seconds.body`."""
    signed = f"{message}.{int(at.timestamp())}.".encode() + body
    digests = (hmac.digest(base64.b64decode(one.removeprefix(PREFIX)), signed, hashlib.sha256) for one in signing)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _vault() -> MultiFernet:
    # Keys of before still open what they sealed, while the operator changes the site's key.
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys])


def _derived(key: str | bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"attractor webhook secrets").derive(force_bytes(key))
