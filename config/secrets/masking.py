"""What is hidden in every text that leaves the process for a log or for a report of errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from config.secrets.redactor import REDACTOR

HIDDEN: Final = "(secret)"
# API keys, of which each of the first letters may be written as an address may write it; and the tokens of invitations
# and shared links, which are in addresses.
_SECRET: Final = re.compile(
    r"(?:a|%61)(?:t|%74)(?:k|%6[Bb])(?:_|%5[Ff])[A-Za-z0-9_%-]+|(?<![A-Za-z0-9])(?:inv|shr)_[A-Za-z0-9_-]{16,}"
)
# What stands in addresses of mails that reset a password or confirm an address, and in answers of other sites. A text
# that begins so is a query by itself, as reports have it.
_IN_ADDRESS: Final = re.compile(
    r"(?P<before>/accounts/(?:password/reset/key|confirm-email)/|(?:[?&]|\A)(?:code|state|id_token|access_token)=)"
    r"[^\s/&?#\"'\\]{12,}"
)


def masked(text: str) -> str:
    """The text without keys, tokens and secrets of the configuration, wherever in it one got to."""
    return REDACTOR.hide(_IN_ADDRESS.sub(rf"\g<before>{HIDDEN}", _SECRET.sub(HIDDEN, text)))


def all_masked(value: Any) -> Any:
    """The same in all texts of a structure of mappings and lists."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, bytes):
        return masked(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {all_masked(key): all_masked(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [all_masked(one) for one in value]
    return value
