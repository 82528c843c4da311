"""Which addresses may be told: nobody can use a webhook to reach what only the server can reach."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

LOW_PORTS: Final = frozenset({80, 443})
"""Ports below 1024 that may be spoken to; others belong to protocols that HTTP could be smuggled into."""

LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

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
    if "@" in parts.netloc:
        raise Forbidden("It must hold no user name or password; the signature tells who sends.")
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
    check_ip(literal)


def _check_name(host: str) -> None:
    # Resolvers, HTTP libraries and people read odd names in ways of their own; there is no need for any (RFC 1123).
    if host.endswith("."):
        raise Forbidden("Its host must not end with a dot.")
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in host.split(".")):
        raise Forbidden("Its host is no name: write names that are not ASCII as xn--….")


def resolve(host: str, port: int) -> list[IPAddress]:
    """Where a host is, each place checked. Raises `Forbidden` if any of them may not be told, OSError if none is known.

    One forbidden place refuses the host: a name that points inside and outside is no accident.
    """
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        check_ip(literal)
        return [literal]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    places = [ipaddress.ip_address(str(place[0]).partition("%")[0]) for _, _, _, _, place in found]
    for ip in places:
        check_ip(ip)
    return places


def check_ip(ip: IPAddress) -> None:
    """Raises `Forbidden` unless the address is one of the public Internet, whatever it is wrapped in."""
    if settings.ATTRACTOR.webhooks.insecure:
        return
    for one in _meant(ip):
        site_local = isinstance(one, ipaddress.IPv6Address) and one.is_site_local
        if not one.is_global or one.is_multicast or one.is_reserved or site_local:
            raise Forbidden(f"{ip} is not an address of the public Internet.")


def _meant(ip: IPAddress) -> list[IPAddress]:
    """The addresses that a connection to this one could reach.

    A mapped address (RFC 4291) and one of NAT64 (RFC 6052) are another way to write an IPv4 address. One of 6to4 (RFC
    3056) and of Teredo (RFC 4380) goes through the IPv4 addresses that it carries and must itself be public too.
    """
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    if ip in NAT64:
        return [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    carried = [ip.sixtofour, *(ip.teredo or ())]
    return [ip, *(one for one in carried if one is not None)]
