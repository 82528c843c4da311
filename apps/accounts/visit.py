"""From where the request comes that is being answered: what audit and mails say of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest

from apps.ops import callers

MAX_AGENT = 300


@dataclass(frozen=True, slots=True)
class Visit:
    """Who knocks.

    Attributes:
        address: of the caller, IPv4 or IPv6; None when it is not known, or outside of any request.
        agent: the browser as it names itself, cut to `MAX_AGENT` characters.
        site: where the site is for the caller, such as `https://example.org`.
    """

    address: str | None = None
    agent: str = ""
    site: str = ""

    @property
    def device(self) -> str:
        """The browser and the system in words, as far as its name tells."""
        return device_of(self.agent)


_NOBODY = Visit()
_visit: ContextVar[Visit] = ContextVar("attractor_visit", default=_NOBODY)

# The first that is found in the name counts: Edge also says Chrome, and Chrome also says Safari.
_BROWSERS = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("HeadlessChrome/", "Chromium"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"), ("python-", "A Python program"),
)  # fmt: skip
_SYSTEMS = (
    ("Windows", "Windows"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def current() -> Visit:
    """The visit of the request that is being answered; an empty one outside of requests."""
    return _visit.get()


@contextmanager
def visiting(request: HttpRequest) -> Iterator[Visit]:
    """Answer this request."""
    visit = Visit(
        address_of(request),
        "".join(one for one in request.headers.get("User-Agent", "") if one.isprintable())[:MAX_AGENT],
        f"{request.scheme}://{request.get_host()}",
    )
    token = _visit.set(visit)
    try:
        yield visit
    finally:
        _visit.reset(token)


@contextmanager
def of_nobody() -> Iterator[None]:
    """What is written meanwhile does not say from where: it is about another person than who knocks."""
    token = _visit.set(Visit(site=_visit.get().site))
    try:
        yield
    finally:
        _visit.reset(token)


def address_of(request: HttpRequest) -> str | None:
    """The caller's address: the last that the reverse proxy in front has noted, or else the other end of the wire."""
    try:
        return str(ipaddress.ip_address(callers.address_of(request) or ""))
    except ValueError:
        return None


def device_of(agent: str) -> str:
    """A browser's name in words: `Firefox on Linux`."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "An unknown browser")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser
