"""Which addresses may be told, by what the operator allows; `apps.ops.outbound` judges them."""

from __future__ import annotations

from django.conf import settings

from apps.ops.outbound import address
from apps.ops.outbound.address import Forbidden, IPAddress

__all__ = ["Forbidden", "check_url", "resolve"]


def check_url(url: str) -> None:
    """Refuse an address by what is written in it. Raises `Forbidden`."""
    address.check_url(url, insecure=settings.ATTRACTOR.webhooks.insecure)


def resolve(host: str, port: int) -> list[IPAddress]:
    """Where a host is. Raises `Forbidden` if any of the places may not be told, OSError if none is known."""
    return address.resolve(host, port, _check)


def _check(ip: IPAddress) -> None:
    if not settings.ATTRACTOR.webhooks.insecure:
        address.check_ip(ip)
