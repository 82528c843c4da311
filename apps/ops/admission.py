"""How pages and the API are served by ASGI: so many requests at once, each in one thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import Error as DatabaseFault
from django.db import close_old_connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.ops import body_limit

UNTURNED: Final = frozenset({"/health/live", "/health/ready"})
"""What is asked of the process itself. They use nothing up: the one asks nobody, the other once a second at most."""

log = structlog.get_logger(__name__)


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

    def __init__(self, is_somebody: Callable[[Mapping[str, Any]], bool] | None = None) -> None:
        """`is_somebody`: whether what a scope comes with, a key or a session, opens anything; None: nothing does."""
        super().__init__()
        self._is_somebody = is_somebody
        self._turns = asyncio.Semaphore(settings.ATTRACTOR.web.requests_at_once)

    def load_middleware(self, is_async: bool = False) -> None:
        """The synchronous chain, whatever is asked for."""
        super().load_middleware(is_async=False)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """As Django does, of a body that is not too long."""
        try:
            most = await self._most_bytes(scope)
        except DatabaseFault as error:
            log.warning("database_unreachable", error=str(error))
            await body_limit.put_off(send)
            return
        if (body_limit.declared(scope) or 0) > most:
            await body_limit.refuse(send, most)
            return
        try:
            await super().handle(scope, body_limit.bounded(receive, most), send)
        except body_limit.BodyTooLong:
            await body_limit.refuse(send, most)

    async def _most_bytes(self, scope: Any) -> int:
        """Bytes that the body may have: files are taken of somebody, which costs a turn and the look of any request."""
        limits = settings.ATTRACTOR.limits
        known = self._is_somebody
        if known is not None and body_limit.brings_file(scope):
            async with self._turns:
                if await sync_to_async(_looked)(known, scope):
                    return int(limits.file_bytes)
        return int(limits.request_bytes)

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


def _looked(known: Callable[[Mapping[str, Any]], bool], scope: Mapping[str, Any]) -> bool:
    try:
        return known(scope)
    finally:
        close_old_connections()
