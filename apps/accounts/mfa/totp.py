"""Time-based codes (RFC 6238 with SHA-1, six digits, steps of 30 s); the computing is django-otp's."""

from __future__ import annotations

import hmac
import re
import time
from typing import Final

from django_otp.oath import hotp

STEP_S: Final = 30
DIGITS: Final = 6
DRIFT_STEPS: Final = 1
"""A clock may be so many steps early or late (RFC 6238, section 5.2)."""
_CODE: Final = re.compile(r"[0-9]{6}")


def code_at(secret: bytes, step: int) -> str:
    """The code of one step since 1970."""
    return f"{hotp(secret, step, DIGITS):0{DIGITS}d}"


def step_now() -> int:
    """The step that the site's clock is in."""
    return int(time.time()) // STEP_S


def is_code(text: str) -> bool:
    """Whether it has the form of a code."""
    return _CODE.fullmatch(text) is not None


def matching_step(secret: bytes, text: str, after: int) -> int | None:
    """The step whose code this is, later than `after` and no further from now than the drift; None for none."""
    now = step_now()
    found = None
    # All of them are computed whichever matches: the time taken says nothing.
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if hmac.compare_digest(code_at(secret, step), text) and step > after and found is None:
            found = step
    return found
