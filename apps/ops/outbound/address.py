"""Which addresses may be called: nobody can use us to reach what only the server can reach."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

LOW_PORTS: Final = frozenset({80, 443})
"""Ports below 1024 that may be spoken to; others belong to protocols that HTTP could be smuggled into."""

LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
SPECIAL: Final = tuple(
    ipaddress.ip_network(one)
    for one in (
        "192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24",
        "64:ff9b:1::/48", "100:0:0:1::/64", "2620:4f:8000::/48", "3fff::/20", "5f00::/16",
    )
)  # fmt: skip
"""Of IANA's registries of special addresses those that Python's own table leaves out, in one release or another: among
them are the metadata services of some clouds."""
COMPATIBLE: Final = ipaddress.ip_network("::/96")
ISATAP: Final = (0x00005EFE, 0x02005EFE)
"""The upper halves of the interface identifiers of ISATAP (RFC 5214, section 6.1)."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(Exception):
    """The address is not one that may be called."""


def check_url(url: str, *, insecure: bool = False) -> None:
    """Refuse an address by what is written in it. Raises `Forbidden`.

    Args:
        insecure: plain http and any port are let through.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Forbidden(f"It is no address: {error}.") from error
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Forbidden("It holds characters that an address cannot hold; write them percent-encoded.")
    if parts.scheme != "https" and not (insecure and parts.scheme == "http"):
        raise Forbidden("It must begin with https://.")
    if not parts.hostname:
        raise Forbidden("It names no host.")
    if "@" in parts.netloc:
        raise Forbidden("It must hold no user name or password.")
    if parts.fragment:
        raise Forbidden("It must have no part after #.")
    if port == 0:
        raise Forbidden("There is no port 0.")
    if port is not None and port < 1024 and port not in LOW_PORTS and not insecure:
        raise Forbidden("Of the ports below 1024 only 80 and 443 may be used.")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        _check_name(parts.hostname)
        return
    if not insecure:
        check_ip(literal)


def _check_name(host: str) -> None:
    # Resolvers, HTTP libraries and people read odd names in ways of their own; there is no need for any (RFC 1123).
    if host.endswith("."):
        raise Forbidden("Its host must not end with a dot.")
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in host.split(".")):
        raise Forbidden("Its host is no name: write names that are not ASCII as xn--….")


def resolve(host: str, port: int, check: Callable[[IPAddress], None]) -> list[IPAddress]:
    """Where a host is, each place checked. Raises what `check` raises, OSError if no place is known.

    One forbidden place refuses the host: a name that points inside and outside is no accident.
    """
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        check(literal)
        return [literal]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    places = [ipaddress.ip_address(str(place[0]).partition("%")[0]) for _, _, _, _, place in found]
    for ip in places:
        check(ip)
    return places


def check_ip(ip: IPAddress) -> None:
    """Raises `Forbidden` unless the address is one of the public Internet, whatever it is wrapped in."""
    for one in _meant(ip):
        site_local = isinstance(one, ipaddress.IPv6Address) and one.is_site_local
        special = any(one in network for network in SPECIAL)
        if not one.is_global or one.is_multicast or one.is_reserved or site_local or special:
            raise Forbidden(f"{ip} is not an address of the public Internet.")


def _meant(ip: IPAddress) -> list[IPAddress]:
    """The addresses that a connection to this one could reach.

    A mapped address (RFC 4291) and one of NAT64 (RFC 6052) are another way to write an IPv4 address. One of 6to4 (RFC
    3056), of Teredo (RFC 4380) and of ISATAP (RFC 5214) goes through the IPv4 addresses that it carries and must itself
    be public too, as must what is written as an address compatible with IPv4 (RFC 4291, section 2.5.5.1).
    """
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip in NAT64:
        return [inner]
    carried = [ip.sixtofour, *(ip.teredo or ())]
    if ip in COMPATIBLE or (int(ip) >> 32) & 0xFFFFFFFF in ISATAP:
        carried.append(inner)
    return [ip, *(one for one in carried if one is not None)]
