"""Networks that a key opens from."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network


class NoNetwork(ValueError):
    """A text that names no network; it says why."""


def network(text: str) -> str:
    """A network or an address as it is kept, `203.0.113.0/24` or `2001:db8::/32`.

    Raises:
        NoNetwork: it is none, or has bits behind its prefix, which is mostly a mistake.
    """
    try:
        return str(ip_network(text.strip()))
    except ValueError as error:
        raise NoNetwork(f"{text[:60]!r} is no network: {error}.") from None


def within(networks: Sequence[str], address: str | None) -> bool:
    """Whether an address is in one of the networks; in any where none is named. An unknown one is in none."""
    if not networks:
        return True
    known = plain(address)
    return known is not None and any(ip_address(known) in ip_network(one) for one in networks)


def plain(address: str | None) -> str | None:
    """An IP address in its usual form; None for what is none.

    IPv4 that came over an IPv6 socket (::ffff:203.0.113.1) is IPv4.
    """
    try:
        found = ip_address(address or "")
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    # A zone (fe80::1%eth0) says something on the server only.
    return str(found).partition("%")[0]
