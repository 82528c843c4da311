"""Refusing a handshake, so that nobody learns whether there was something to watch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

NOT_FOUND = 4404
"""Close code where the server cannot answer a handshake with an HTTP status."""

PLAIN = 4403
"""The same for a handshake that came without TLS."""

CLOSING_SECONDS = 0.02

_WORDS = {
    NOT_FOUND: b"There is nothing to watch here.",
    PLAIN: b"Sockets are served over wss only. A key that was sent could be read on its way: revoke it, make another.",
}


async def refuse(
    scope: dict[str, Any], send: Callable[[dict[str, Any]], Awaitable[None]], code: int = NOT_FOUND
) -> None:
    """Answer the handshake with HTTP 404, or close with 4404 under a server without `websocket.http.response`.

    Args:
        code: `NOT_FOUND` or `PLAIN`, which is 403 and 4403.
    """
    if "websocket.http.response" in scope.get("extensions", {}):
        body = _WORDS[code]
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await send({"type": "websocket.http.response.start", "status": code - 4000, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body})
        # uvicorn reports an application that returns before the connection is closed as one that gave no answer.
        await asyncio.sleep(CLOSING_SECONDS)
    else:
        await send({"type": "websocket.close", "code": code})


async def nothing_here(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """ASGI application for socket addresses that do not exist."""
    await receive()
    await refuse(scope, send)
