"""How pages and the API are served by ASGI: so many requests at once, each in one thread."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.ops import body_limit

UNTURNED: Final = frozenset({"/health/live", "/health/ready"})
"""What is asked of the process itself. They use nothing up: the one asks nobody, the other once a second at most."""


class AdmittingHandler(ASGIHandler):
    """Lets `web.requests_at_once` requests of a process be worked on together; the others wait their turn, in order.

    An ASGI server gives every request a thread of its own. A burst would have hundreds of them take the interpreter
    from each other and wait for a connection of the pool, until all are late and some fail. Here the first is answered
    as quickly as on an idle server, and whoever waits holds no connection.

    The body has been read and the answer is sent outside of a turn, and without a connection: a slow client holds up
    nobody. Requests about the health of the process do not wait: they would call a busy process a dead one.

    A request goes through middlewares and view in one piece, as in a synchronous server. Django's own handler would
    carry it to and fro between its thread and the event loop, once or twice for each middleware that can do both, which
    takes longer than most views do. Nothing that we serve is asynchronous.
    """

    def __init__(self) -> None:
        super().__init__()
        self._turns = asyncio.Semaphore(settings.ATTRACTOR.web.requests_at_once)

    def load_middleware(self, is_async: bool = False) -> None:
        """The synchronous chain, whatever is asked for."""
        super().load_middleware(is_async=False)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """As Django does, of a body that is not too long."""
        most = body_limit.most_bytes(scope)
        if body_limit.declared(scope) > most:
            await body_limit.refuse(send, most)
            return
        try:
            await super().handle(scope, body_limit.bounded(receive, most), send)
        except body_limit.BodyTooLong:
            await body_limit.refuse(send, most)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """What the middlewares and the view answer, in its turn."""
        turn = contextlib.nullcontext() if request.path_info in UNTURNED else self._turns
        async with turn:
            return await sync_to_async(self._answer)(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        try:
            return self.get_response(request)
        finally:
            close_old_connections()
