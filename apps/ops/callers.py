"""Where a request comes from."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from django.conf import settings
from django.http import HttpRequest

IPV6_PREFIX: Final = 64
"""What one household or machine is given of IPv6 (RFC 6177): its addresses are one caller's."""


def network_of(address: str | None) -> str:
    """The network that limits are counted for: an IPv4 address, or the /64 of an IPv6 one. Empty for what is none."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))


def address_of(request: HttpRequest) -> str | None:
    """The caller's IP address; None when the server does not know it, as behind a Unix socket."""
    return address_in(request.META.get("REMOTE_ADDR"), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def address_of_socket(client: Sequence[object] | None, forwarded_for: str) -> str | None:
    """The same of a socket, by the `client` and the X-Forwarded-For of its ASGI scope."""
    return address_in(str(client[0]) if client else None, forwarded_for)


def address_in(peer: str | None, forwarded_for: str) -> str | None:
    """The peer's address, or with `web.behind_proxy` what the proxy in front says: the last entry, which it wrote
    itself. Entries before it are the word of whoever asks."""
    said = forwarded_for.rpartition(",")[2].strip()
    if settings.ATTRACTOR.web.behind_proxy and said:
        return said
    return peer or None
