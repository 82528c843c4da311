"""Domains of e-mail addresses."""

import re
from typing import Final

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")

MACHINES: Final = "machine.invalid"
"""Addresses of machine members are here, where no mail arrives (RFC 2606)."""


def is_domain(text: str) -> bool:
    """Whether it is the name of a domain, in lower case, other names than ASCII in their `xn--` form."""
    return len(text) <= 253 and _DOMAIN.fullmatch(text) is not None


def domain_of(email: str) -> str:
    """What stands after the last @, in lower case."""
    return email.rpartition("@")[2].lower()


def admits(allowed: list[str], email: str) -> bool:
    """Whether an address is of one of the domains; of any where none is named. A domain does not mean those below."""
    return domain_of(email) != MACHINES and (not allowed or domain_of(email) in allowed)
