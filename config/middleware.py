"""Binds the id of a request to everything that is logged while it is answered, and logs what was refused."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import empty

from apps.ops.callers import address_of

HEADER = "X-Request-ID"
_PLAIN = re.compile(r"[A-Za-z0-9_-]{8,64}")

log = structlog.get_logger(__name__)


class RequestContext:
    """Gives each request an id, binds it to the log context and sends it back in `X-Request-ID`.

    An id that the reverse proxy sends is kept if it is short and plain; otherwise, and where there is no proxy, one is
    drawn: the log is not for whoever asks to write in. Every answer of 400 and above leaves one line that says who
    asked for what from where, and what it was refused with.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.headers.get(HEADER, "") if settings.ATTRACTOR.web.behind_proxy else ""
        request_id = sent if _PLAIN.fullmatch(sent) else uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            if 400 <= response.status_code < 500:
                log.warning("refused", **_refusal(request, response))
                # Django's own line would say less, and nothing of who it was.
                response._has_been_logged = True  # type: ignore[attr-defined]
        response.headers[HEADER] = request_id
        return response


def _refusal(request: HttpRequest, response: HttpResponse) -> dict[str, Any]:
    """Who, what, from where; the path without its query, which may hold anything."""
    data = getattr(response, "data", None)
    workspace = getattr(request, "workspace", None)
    user = _looked_at(request)
    key = getattr(user, "api_key", None)
    return {
        "status": response.status_code,
        "code": data.get("code") if isinstance(data, dict) else None,
        "method": request.method,
        "path": request.path,
        "address": address_of(request),
        "user_id": str(user.pk) if user is not None and user.is_authenticated else None,
        "key": None if key is None else str(key.pk),
        "workspace_id": None if workspace is None else str(workspace.pk),
    }


def _looked_at(request: HttpRequest) -> Any:
    """Who it is, if somebody has asked already: a line of the log is no reason to look."""
    user = getattr(request, "user", None)
    return None if getattr(user, "_wrapped", None) is empty else user
