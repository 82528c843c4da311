"""Browsers in which somebody has signed in before.

Whoever types wrong passwords for an address of somebody else is held up, and so would that person be, who cannot help
it. A browser in which the person has signed in, with the second factor where there is one, therefore carries a cookie
that says so ("device cookies", OWASP): wrong passwords from elsewhere do not count against it, and its own count
against it alone. It opens nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

SALT: Final = "apps.accounts.known_browsers"
DAYS: Final = 400
"""Longer than which browsers keep no cookie (RFC 6265bis, section 5.5)."""
AT_MOST: Final = 8
"""People whom one browser remembers."""


def note(request: HttpRequest, email: str) -> None:
    """The person with this address has signed in here; the answer to the request will say so to the browser."""
    digest = _digest(email)
    others = [one for one in _people(request) if one[0] != digest]
    request.known_people = [[digest, secrets.token_urlsafe(12)], *others][:AT_MOST]  # type: ignore[attr-defined]


def name_of(request: HttpRequest, email: str) -> str | None:
    """What the browser goes by for the person with this address; None when that person has never signed in here.

    Asks no database: whether there is such a person takes no time to be found out.
    """
    digest = _digest(email)
    found = [name for one, name in _people(request) if constant_time_compare(one, digest)]
    return found[0] if found else None


def _people(request: HttpRequest) -> list[list[str]]:
    try:
        people: list[list[str]] = signing.loads(
            request.COOKIES.get(settings.KNOWN_COOKIE_NAME, ""), salt=SALT, max_age=DAYS * 86_400
        )
    except signing.BadSignature:
        return []
    return people


def _digest(email: str) -> str:
    return salted_hmac(SALT, email.lower(), algorithm="sha256").hexdigest()[:32]


class KnownBrowserMiddleware:
    """Gives the cookie to a browser in which somebody has just signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        people = getattr(request, "known_people", None)
        if people is not None:
            response.set_cookie(
                settings.KNOWN_COOKIE_NAME, signing.dumps(people, salt=SALT, compress=True), max_age=DAYS * 86_400,
                secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax",
            )  # fmt: skip
        return response
