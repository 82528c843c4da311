"""Requests of programs come with a key, those of people with a session that is whole."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from apps.accounts import visit
from apps.accounts.mfa.gate import admitted
from apps.accounts.models import Session
from apps.accounts.profile import zone_of
from apps.ops.callers import address_of
from apps.ops.problems import CONTENT_TYPE, problem_body
from apps.ops.refusal import Fault
from apps.workspaces.keys import PREFIX, holder_of

API = "/api/"
NO_PAGES = (API, "/health/", "/static/")
SCHEME = "bearer"
NOTED_EVERY = timedelta(minutes=1)
_KEY: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{16,}}")
_FAULT: Final = Fault(
    "query",
    "There is an API key in the address of the request, where others can read it: in histories and in the logs of "
    "proxies.",
    "Revoke that key, make another, and send it as the header Authorization: Bearer.",
)


def secret_in(authorization: str) -> str | None:
    """The key in an Authorization header (`Bearer atk_…`); None when it holds none."""
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == SCHEME else None


def key_in(address: str) -> bool:
    """Whether a path or query, as it was sent, holds what looks like an API key."""
    return _KEY.search(unquote(address)) is not None


class KeyMiddleware:
    """Lets the API know who holds the key of `Authorization: Bearer …`.

    With such a header a session counts for nothing; with a key that is none the request is nobody's. A key in an
    address is refused, whatever else the request says. Comes after Django's AuthenticationMiddleware and before the one
    of workspaces, which looks at `request.user`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if key_in(request.META.get("QUERY_STRING", "")) or key_in(request.path_info):
            body = problem_body(
                400, "key_in_address", "An API key never belongs in an address", _FAULT.message, (_FAULT,)
            )
            return JsonResponse(body, status=400, content_type=CONTENT_TYPE)
        secret = secret_in(request.headers.get("Authorization", "")) if request.path_info.startswith(API) else None
        if secret is not None:
            request.user = holder_of(secret, address_of(request)) or AnonymousUser()
        request.with_key = secret is not None  # type: ignore[attr-defined]
        return self.get_response(request)


class SecondFactorMiddleware:
    """Makes nobody's of a session that has not shown the second factor its person has. Comes after django-otp's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without looking: most requests never ask who it is.
        request.user = SimpleLazyObject(partial(self._admitted, request, request.user))  # type: ignore[assignment]
        request.auser = sync_to_async(partial(self._looked_at, request))
        return self.get_response(request)

    @staticmethod
    def _admitted(request: HttpRequest, user: Any) -> Any:
        return admitted(user, request.session) if user.is_authenticated else user

    @staticmethod
    def _looked_at(request: HttpRequest) -> Any:
        # Django's own would give the person of a session that is not whole.
        return request.user if request.user.is_authenticated else AnonymousUser()


class TimeZoneMiddleware:
    """Pages say times as their reader's clock does. The API always speaks of UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # A request without the cookie is nobody's, and nobody's has no profile.
        page = not request.path_info.startswith(NO_PAGES) and settings.SESSION_COOKIE_NAME in request.COOKIES
        if not page or not request.user.is_authenticated:
            return self.get_response(request)
        with timezone.override(zone_of(request.user)):
            return self.get_response(request)


class VisitMiddleware:
    """Says of each session from where and when it was last used, to the minute."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with visit.visiting(request) as here:
            response = self.get_response(request)
            session: Any = request.session
            # One that was not looked at tells nothing, and looking would cost a query.
            if session.accessed and session.session_key and SESSION_KEY in session and not _noted(session, here):
                Session.objects.filter(session_key=session.session_key).update(
                    seen_at=timezone.now(), address=here.address, agent=here.agent
                )
        return response


def _noted(session: Any, here: visit.Visit) -> bool:
    if session.seen is None:
        return False
    at, address = session.seen
    return bool(timezone.now() - at < NOTED_EVERY and address == here.address)
