"""The secret that an authenticator app shares with the site, and how it is kept.

The site computes the same codes, so a hash is not enough: the secret is encrypted under a key made from the site's own.
"""

import base64
import secrets
from urllib.parse import quote, urlencode

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.encoding import force_bytes

SECRET_BYTES = 20
"""As long as the hash of the codes, as RFC 4226 recommends (section 4, R6)."""
ISSUER = "Attractor"


class Unopened(Exception):
    """What is kept was sealed under a key that the site does not know any more."""


def draw() -> bytes:
    """A new secret."""
    return secrets.token_bytes(SECRET_BYTES)


def sealed(secret: bytes) -> str:
    """The secret as it is kept."""
    return _vault().encrypt(secret).decode()


def opened(kept: str) -> bytes:
    """The secret of what is kept. Raises `Unopened`."""
    try:
        return _vault().decrypt(kept.encode())
    except InvalidToken as error:
        raise Unopened("The secret was sealed under another key of the site.") from error


def written(secret: bytes) -> str:
    """The secret as people type it: base32 in groups of four."""
    text = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def address(secret: bytes, email: str) -> str:
    """What the QR code says (Key URI Format of Google Authenticator)."""
    label = f"{ISSUER}:{quote(email, safe='')}"
    query = {
        "secret": base64.b32encode(secret).decode().rstrip("="),
        "issuer": ISSUER, "algorithm": "SHA1", "digits": 6, "period": 30,
    }  # fmt: skip
    return f"otpauth://totp/{label}?{urlencode(query)}"


def _vault() -> MultiFernet:
    # Keys of before still open what they sealed, while the operator changes the site's key.
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys])


def _derived(key: str | bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"attractor second factors").derive(force_bytes(key))
