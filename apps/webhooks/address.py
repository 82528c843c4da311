"""Which addresses may be told: nobody can use a webhook to reach what only the server can reach."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

LOW_PORTS: Final = frozenset({80, 443})
"""Ports below 1024 that may be spoken to; others belong to protocols that HTTP could be smuggled into."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(Exception):
    """The address is not one that may be told."""


def check_url(url: str) -> None:
    """Refuse an address by what is written in it. Raises `Forbidden`."""
    insecure = settings.ATTRACTOR.webhooks.insecure
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
    if parts.username or parts.password:
        raise Forbidden("It must hold no user name or password; the signature tells who sends.")
    if parts.fragment:
        raise Forbidden("It must have no part after #.")
    if port is not None and port < 1024 and port not in LOW_PORTS and not insecure:
        raise Forbidden("Of the ports below 1024 only 80 and 443 may be used.")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return
    check_ip(literal)


def resolve(host: str, port: int) -> list[IPAddress]:
    """Where a host is, each place checked. Raises `Forbidden` if any of them may not be told, OSError if none is known.

    One forbidden place refuses the host: a name that points inside and outside is no accident.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    places = [ipaddress.ip_address(str(place[0]).partition("%")[0]) for _, _, _, _, place in found]
    for ip in places:
        check_ip(ip)
    return places


def check_ip(ip: IPAddress) -> None:
    """Raises `Forbidden` unless the address is one of the public Internet, whatever it is wrapped in."""
    if settings.ATTRACTOR.webhooks.insecure:
        return
    for one in (ip, *_inside(ip)):
        if not one.is_global or one.is_multicast or one.is_reserved:
            raise Forbidden(f"{ip} is not an address of the public Internet.")


def _inside(ip: IPAddress) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address carries: mapped, 6to4, Teredo, NAT64 (RFC 4291, 3056, 4380, 6052)."""
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    carried = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in ipaddress.ip_network("64:ff9b::/96"):
        carried.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return [one for one in carried if one is not None]
