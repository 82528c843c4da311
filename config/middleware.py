"""Binds the id of a request to everything that is logged while it is answered."""

import re
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-ID"
_PLAIN = re.compile(r"[A-Za-z0-9_-]{8,64}")


class RequestContext:
    """Gives each request an id, binds it to the log context and sends it back in `X-Request-ID`.

    An id that the reverse proxy sends is kept if it is short and plain; otherwise a new one is drawn.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.headers.get(HEADER, "")
        request_id = sent if _PLAIN.fullmatch(sent) else uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response.headers[HEADER] = request_id
        return response
