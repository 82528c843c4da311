"""Recovery codes: ten at a time, each good once.

A code has 28 characters of base32, 140 random bits. What is kept is the SHA-256 of the person's id and the code, which
needs no slow hash: nobody tries 2^140 codes. Those of before have 16 characters, and open until they are renewed.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from apps.accounts.models import RecoveryCode

if TYPE_CHECKING:
    from apps.accounts.models import User

CODES: Final = 10
LENGTH: Final = 28
LENGTHS: Final = (LENGTH, 16)
SIGNS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def renew(user: User) -> list[str]:
    """New codes in place of all that there were; they are told here and never again. Call it in a transaction."""
    codes = [_drawn() for _ in range(CODES)]
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_digest(user, plain(code))) for code in codes)
    return codes


def plain(text: str) -> str:
    """A code as it was typed, without what is only there to be read better."""
    return "".join(text.split()).replace("-", "").upper()


def is_code(text: str) -> bool:
    """Whether it has the length of a code, once it is `plain`."""
    return len(text) in LENGTHS


def take(user: User, text: str) -> bool:
    """Use a `plain` code up; whether it was one. Of two who come with the same one only the first is told yes."""
    taken = RecoveryCode.objects.filter(user=user, digest=_digest(user, text), used_at=None)
    return taken.update(used_at=timezone.now()) == 1


def left(user: User) -> int:
    """How many are still good."""
    return RecoveryCode.objects.filter(user=user, used_at=None).count()


def _drawn() -> str:
    text = "".join(secrets.choice(SIGNS) for _ in range(LENGTH))
    return "-".join(text[start : start + 4] for start in range(0, LENGTH, 4))


def _digest(user: User, text: str) -> str:
    return hashlib.sha256(f"{user.pk}:{text}".encode()).hexdigest()
