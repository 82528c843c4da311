"""How pages and the API are served by ASGI: so many requests at once, each in one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.db import Error as DatabaseFault
from django.db import close_old_connections, connections
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from apps.ops import body_limit

UNTURNED: Final = {"/health/live": 1, "/health/ready": 2}
"""What is asked of the process itself, with the threads that each has. They use nothing up: the one asks nobody, the
other once a second at most. That one may hang with what it asks, and must not make a dead process of a live one."""

log = structlog.get_logger(__name__)


class AdmittingHandler(ASGIHandler):
    """Lets `web.requests_at_once` requests of a process be worked on together; the others wait their turn, in order.

    An ASGI server gives every request a thread of its own. A burst would have hundreds of them take the interpreter
    from each other and wait for a connection of the pool, until all are late and some fail. Here the first is answered
    as quickly as on an idle server, and whoever waits holds no connection.

    The body has been read and the answer is sent outside of a turn, and without a connection: a slow client holds up
    nobody. Requests about the health of the process do not wait: they would call a busy process a dead one.

    A request is carried into a thread once, for everything from the signal of its beginning to that of its end, and the
    thread answers others after it. Django's own handler makes a thread for every request and another that waits for the
    first, carries the request to and fro between it and the event loop for each signal, for each middleware that can
    do both and for the end, and watches over all of it with two tasks: that takes longer than most views do. Nothing
    that we serve is asynchronous.
    """

    def __init__(self, is_somebody: Callable[[Mapping[str, Any]], bool] | None = None) -> None:
        """`is_somebody`: whether what a scope comes with, a key or a session, opens anything; None: nothing does."""
        super().__init__()
        self._is_somebody = is_somebody
        at_once = settings.ATTRACTOR.web.requests_at_once
        self._turns = asyncio.Semaphore(at_once)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="request")
        self._spare_threads = {path: ThreadPoolExecutor(number, path) for path, number in UNTURNED.items()}

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
            await self._handle(scope, body_limit.bounded(receive, most), send)
        except body_limit.BodyTooLong:
            await body_limit.refuse(send, most)

    async def _handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        try:
            response = await self._in_turn(scope, body, receive)
            if response is None:
                return
            if not response.streaming:
                await self.send_response(response, send)
                return
            try:
                await _while_there(self.send_response(response, send), receive)
            finally:
                await sync_to_async(response.close)()
        finally:
            body.close()

    async def _in_turn(self, scope: Any, body: Any, receive: Any) -> HttpResponseBase | None:
        """The answer; None when the client has gone before its turn came."""
        if spare := self._spare_threads.get(scope["path"]):
            return await self._answered(scope, body, spare)
        if not self._turns.locked():
            await self._turns.acquire()
        elif not await _while_there(self._turns.acquire(), receive, undo=self._turns.release):
            return None
        try:
            return await self._answered(scope, body, self._threads)
        finally:
            self._turns.release()

    async def _answered(self, scope: Any, body: Any, threads: ThreadPoolExecutor) -> HttpResponseBase:
        # By `run_in_executor` alone what asks the event loop in that thread would make a loop of its own.
        return await sync_to_async(self._answer, thread_sensitive=False, executor=threads)(scope, body)

    def _answer(self, scope: Any, body: Any) -> HttpResponseBase:
        """What middlewares and view answer, and all that belongs to it but the sending."""
        try:
            set_script_prefix(get_script_prefix(scope))
            request_started.send(sender=type(self), scope=scope)
            request, refusal = self.create_request(scope, body)
            response: HttpResponseBase = refusal if request is None else self.get_response(request)  # type: ignore[assignment]
            response._handler_class = type(self)  # type: ignore[attr-defined]
            if isinstance(response, FileResponse):
                response.block_size = self.chunk_size
            if not response.streaming:  # it is whole
                response.close()
            return response
        finally:
            _give_back_connections()

    async def _most_bytes(self, scope: Any) -> int:
        """Bytes that the body may have: files are taken of somebody, which costs a turn and the look of any request."""
        limits = settings.ATTRACTOR.limits
        known = self._is_somebody
        if known is not None and body_limit.brings_file(scope):
            async with self._turns:
                if await sync_to_async(_looked, thread_sensitive=False, executor=self._threads)(known, scope):
                    return int(limits.file_bytes)
        return int(limits.request_bytes)


async def _while_there(
    work: Coroutine[Any, Any, Any], receive: Any, undo: Callable[[], None] = lambda: None
) -> bool:  # fmt: skip
    """Do something unless the client goes before it is done; whether it was done. `undo` is for what was done when the
    request itself is given up in the same moment."""
    doing, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
    try:
        await asyncio.wait((doing, gone), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
            await asyncio.wait((doing,))
    except asyncio.CancelledError:
        if not doing.cancel() and not doing.cancelled() and doing.exception() is None:
            undo()
        raise
    finally:
        gone.cancel()
    if doing.cancelled():
        return False
    doing.result()
    return True


def _give_back_connections() -> None:
    """The thread goes on to other requests, and what one has left must not be theirs."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            # A connection that is closed within a transaction remembers it for ever.
            log.error("transaction_left_open", alias=connection.alias)
            connection.close()
            del connections[connection.alias]
    close_old_connections()


def _looked(known: Callable[[Mapping[str, Any]], bool], scope: Mapping[str, Any]) -> bool:
    try:
        return known(scope)
    finally:
        _give_back_connections()
