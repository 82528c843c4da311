"""As whom the site asks for passkeys: WebAuthn's relying party.

A browser binds a passkey to the host of the page (the party's id) and signs the page's origin with every answer, which
is what no imitation of the site gets past. Both are those of `web.public_url`; without it those of the request, whose
host is one of `web.allowed_hosts`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.request import validate_host

LOCAL: Final = "localhost"


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The site as browsers know it.

    Attributes:
        id: the host.
        origin: scheme, host and port, as a browser writes them.
    """

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Why browsers use no passkey at the address by which the site was opened.

    Attributes:
        reason: to be said to the person.
        origin: where the same site can be opened so that they do; empty when that is not known.
    """

    reason: str
    origin: str = ""


def relying_party(request: HttpRequest) -> RelyingParty | Elsewhere:
    """The party for whoever asks, or why there is none at this address."""
    origin = f"{request.scheme}://{request.get_host()}".lower()
    public: str | None = settings.ATTRACTOR.web.public_url
    if public is not None and origin != public:
        return Elsewhere("Passkeys of this site work at its own address only.", public)
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if (address := _address(host)) is not None:
        local = address.is_loopback and public is None and validate_host(LOCAL, settings.ALLOWED_HOSTS)
        port = f":{parts.port}" if parts.port else ""
        return Elsewhere(
            f"Passkeys belong to the name of a site, and {host} is a number of the network and no name.",
            f"{parts.scheme}://{LOCAL}{port}" if local else "",
        )
    if parts.scheme != "https" and host != LOCAL and not host.endswith(f".{LOCAL}"):
        return Elsewhere("Browsers use passkeys on encrypted pages (https) only, and this one is not.")
    return RelyingParty(host, origin)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
