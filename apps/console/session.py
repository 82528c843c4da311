"""The operators' session: inside that of the site, and stricter.

It begins with a second factor shown at the console's own door (a code of the authenticator, a recovery code or a
passkey), ends `console.idle_minutes` after it was last used, at the latest `console.session_minutes` after it began,
and when the operator closes it. What opens it is a cookie of its own, which browsers send to the console's path only:
who learns the site's cookie, or runs a script in one of its pages, has not got it. Only its digest is kept, in the
site's session, so that signing out ends it too.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

KEY: Final = "console"
NOTED_EVERY_S: Final = 30


def path() -> str:
    """Where the console is, with slashes around it."""
    return f"/{settings.ATTRACTOR.console.path}/"


def cookie_name() -> str:
    """As the site's, so that two checkouts on one host do not end each other's.

    Its path is not "/", which `__Host-` asks for: under https the name begins with `__Secure-`, the next strictest.
    """
    name = settings.SESSION_COOKIE_NAME.removeprefix("__Host-")
    return f"{'__Secure-' if settings.SESSION_COOKIE_SECURE else ''}console_{name}"


def begin(request: HttpRequest, answer: HttpResponse) -> None:
    """Begin it: the person has just shown the second factor."""
    token, now = secrets.token_urlsafe(32), int(time.time())
    request.session[KEY] = {"digest": _digest(token), "of": str(request.user.pk), "began": now, "seen": now}
    answer.set_cookie(
        cookie_name(), token, path=path(), secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Strict"
    )


def end(request: HttpRequest, answer: HttpResponse) -> None:
    """End it; the person stays signed in to the site."""
    request.session.pop(KEY, None)
    answer.delete_cookie(cookie_name(), path=path(), samesite="Strict")


def is_open(request: HttpRequest) -> bool:
    """Whether there is one that is neither over nor left alone for too long; notes that it is used."""
    kept: Any = request.session.get(KEY)
    if not isinstance(kept, dict) or kept.get("of") != str(request.user.pk):
        return False
    limits, now = settings.ATTRACTOR.console, time.time()
    old = now - kept["began"] >= limits.session_minutes * 60 or now - kept["seen"] >= limits.idle_minutes * 60
    if old or not constant_time_compare(kept["digest"], _digest(request.COOKIES.get(cookie_name(), ""))):
        return False
    if now - kept["seen"] >= NOTED_EVERY_S:
        request.session[KEY] = {**kept, "seen": int(now)}
    return True


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
