"""Limits on the requests of the API, and the headers that say how much of them is left."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.ops.callers import network_of
from apps.ops.rate_limits import Limit, Verdict, counter
from apps.ops.refusal import Fault, Refusal

if TYPE_CHECKING:
    from rest_framework.views import APIView  # itself imports what the settings name: this module

_WHOSE: Final = {"caller": "one key or person", "workspace": "all callers of one workspace together"}


class TooManyRequests(Refusal):
    """A limit of requests is used up; the same request is taken after `Retry-After` seconds."""

    status = 429
    code = "throttled"
    title = "Too many requests"


class RequestLimits(BaseThrottle):
    """Counts a request once, for its caller (the API key, else the person, else the address) and for its workspace.

    Requests are let through while Valkey is away; see `RequestCounter`.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Raises `TooManyRequests` instead of returning False, to say which limit it was."""
        plain = request._request
        if hasattr(plain, "rate_limits"):
            return True
        verdict = counter().count(_limits_of(request, self.get_ident(request)))
        plain.rate_limits = verdict  # type: ignore[attr-defined]
        if verdict is not None and verdict.wait_s:
            raise TooManyRequests(
                [_fault(standing.limit, standing.wait_s) for standing in verdict.standings if standing.wait_s]
            )
        return True


def _limits_of(request: Request, address: str) -> list[Limit]:
    allowed = settings.ATTRACTOR.limits
    who = cast(Model, request.auth or request.user)
    caller = f"{who._meta.label_lower}:{who.pk}" if who.pk is not None else f"address:{network_of(address)}"
    limits = [Limit("caller", caller, allowed.requests_per_minute)]
    workspace = getattr(request._request, "workspace", None)
    if workspace is not None:
        limits.append(Limit("workspace", f"workspace:{workspace.pk}", allowed.workspace_requests_per_minute))
    return limits


def _fault(limit: Limit, wait_s: float) -> Fault:
    return Fault(
        limit.name,
        f"{limit.requests} requests a minute are allowed for {_WHOSE[limit.name]}.",
        f"Wait {math.ceil(wait_s)} s, and send fewer: ask for larger pages, or follow a run on its socket.",
    )


class RateLimitHeaders:
    """Says in every counted answer how much of each limit is left."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        verdict: Verdict | None = getattr(request, "rate_limits", None)
        if verdict is not None:
            for name, value in verdict.headers().items():
                response.headers[name] = value
        return response
