"""Refusing a handshake so that nobody learns whether there was something to watch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

NOT_FOUND = 4404
"""Close code where the server cannot answer a handshake with an HTTP status."""

CLOSING_SECONDS = 0.02

_BODY = b"There is nothing to watch here."
_HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(_BODY)).encode())]


async def refuse(scope: dict[str, Any], send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Answer the handshake with HTTP 404, or close with 4404 under a server without `websocket.http.response`."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": 404, "headers": _HEADERS})
        await send({"type": "websocket.http.response.body", "body": _BODY})
        # uvicorn reports an application that returns before the connection is closed as one that gave no answer.
        await asyncio.sleep(CLOSING_SECONDS)
    else:
        await send({"type": "websocket.close", "code": NOT_FOUND})


async def nothing_here(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """ASGI application for socket addresses that do not exist."""
    await receive()
    await refuse(scope, send)
