"""Where a request comes from."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest


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
