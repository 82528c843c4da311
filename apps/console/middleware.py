"""Requests of an operator who acts in somebody's name are answered as that person's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.accounts import acting
from apps.console import impersonation, session
from apps.console.models import Impersonation

OF_THE_ACCOUNT: Final = ("accounts/", "account/")
LOOKED_AT: Final = frozenset({"web:account_profile", "web:account_sessions", "web:account_security"})
HEALTH: Final = "/health/"
ALLOWED: Final = frozenset({"account_logout", "web:end_impersonation"})


class ImpersonationMiddleware:
    """Puts the person in the operator's place, except in the console, and has every write name both.

    Comes after the middleware of the second factor: it is the operator who has shown one. `request.operator` is who
    acts, None for nobody. Pages of the account are looked at and not used: sign-in, password, second factor, addresses,
    sessions, download and end are the person's own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.operator = None  # type: ignore[attr-defined]
        found = self._of(request)
        if found is None:
            return self.get_response(request)
        person: Any = found.user
        request.operator, request.impersonation = found.operator, found  # type: ignore[attr-defined]
        request.user = person
        request.auser = sync_to_async(lambda: person)
        with (
            acting.acting(impersonation.as_acting(found)),
            structlog.contextvars.bound_contextvars(operator_id=str(found.operator_id)),
        ):
            return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        """Raises `WhileImpersonating` for what only the person does."""
        match = request.resolver_match
        if acting.current() is None or match is None or match.view_name in ALLOWED:
            return
        looks = request.method in ("GET", "HEAD") and match.view_name in LOOKED_AT
        if match.route.startswith(OF_THE_ACCOUNT) and not looks:
            acting.refuse()

    def _of(self, request: HttpRequest) -> Impersonation | None:
        # A key is no session, in the console the operator is the operator, and of health nobody's session is looked up.
        if (
            getattr(request, "with_key", False)
            or settings.SESSION_COOKIE_NAME not in request.COOKIES
            or request.path_info.startswith((session.path(), HEALTH))
            or impersonation.KEY not in request.session
        ):
            return None
        found = impersonation.going_on(request.session, request.user)
        if found is None and request.user.is_authenticated:
            impersonation.leave(request)
        return found
