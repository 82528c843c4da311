"""How many requests are worked on at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

UNTURNED: Final = "/health/"


class Admission:
    """Lets `web.requests_at_once` requests of a process be worked on together; the others wait their turn, in order.

    An ASGI server gives every request a thread of its own. A burst would have hundreds of them take the interpreter
    from each other and wait for a connection of the pool, until all are late and some fail. Here the first is answered
    as quickly as on an idle server, and whoever waits costs no thread and no connection.

    Must be the first middleware. The body has been read and the answer is sent outside of a turn: a slow client holds
    up nobody. Requests about the health of the process do not wait: they would call a busy process a dead one. In a
    synchronous server, which has threads of its own number, nothing is done.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = self._answer = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)
            self._turns = asyncio.Semaphore(settings.ATTRACTOR.web.requests_at_once)
            self._answer = self._in_turn

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        answer: HttpResponseBase | Awaitable[HttpResponseBase] = self._answer(request)
        return answer

    async def _in_turn(self, request: HttpRequest) -> HttpResponseBase:
        turn = contextlib.nullcontext() if request.path_info.startswith(UNTURNED) else self._turns
        async with turn:
            response: HttpResponseBase = await self._get_response(request)
        return response
