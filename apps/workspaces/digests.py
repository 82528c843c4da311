"""How the secrets that the workspace gives out are kept: as a keyed digest, and found by it before anything is known.

The digest is HMAC-SHA-256 under the pepper, a key that is not in the database: who reads the database alone can test no
secret. The pepper is `security.key_pepper`, else made from the site's own secret key. While either is being changed
what was digested under the one before still opens, and is digested anew when it is next used. Keys made before there
was a pepper have a plain SHA-256, which is treated alike. 256 random bits need no salt and no slow hash.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import connection, transaction
from django.utils.encoding import force_bytes


def digest_of(secret: str) -> str:
    """The digest under which a secret is kept from now on, in hexadecimal."""
    return _keyed(_peppers()[0], secret)


def digests_of(secret: str) -> list[str]:
    """All digests under which a secret may be kept, that of today first."""
    return [*(_keyed(pepper, secret) for pepper in _peppers()), hashlib.sha256(secret.encode()).hexdigest()]


@contextmanager
def naming(digests: Sequence[str]) -> Iterator[None]:
    """Tell the database which secret is looked for: its policies show no row of another. Runs in a transaction."""
    with transaction.atomic():
        _name(",".join(digests))
        yield
        _name("")


def _name(digests: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.key_digest', %s, true)", [digests])


def _keyed(pepper: bytes, secret: str) -> str:
    return hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()


def _peppers() -> list[bytes]:
    security = settings.ATTRACTOR.security
    configured = [one.get_secret_value() for one in (security.key_pepper, security.old_key_pepper) if one is not None]
    own = [force_bytes(one) for one in configured]
    return [*own, *(_derived(force_bytes(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))]


@lru_cache(maxsize=16)
def _derived(key: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"attractor api keys").derive(key)
