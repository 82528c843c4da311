"""The web server and messages that can be read in two ways (RFC 9112, section 6.3)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

ENDS = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[int, list[str]]]:
    """Port of a server as the launcher starts it, before an application that notes the paths it was asked for."""
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        seen.append(scope["path"])
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    yield listener.getsockname()[1], seen
    server.should_exit = True
    thread.join(10)


def said(port: int, message: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
        wire.sendall(message.encode())
        wire.settimeout(3)
        answer = b""
        try:
            while part := wire.recv(4096):
                answer += part
        except TimeoutError:
            return answer
    return answer


@pytest.mark.parametrize(
    "head",
    [
        "".join(ENDS),
        "".join(reversed(ENDS)),
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length: 5x\r\n",
        "Content-Length: -5\r\n",
    ],
)
def test_two_lengths_of_one_message_are_refused(served: tuple[int, list[str]], head: str) -> None:
    port, seen = served
    smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = said(port, f"POST /outer HTTP/1.1\r\nHost: x\r\n{head}\r\n{smuggled}")
    assert b"200" not in answer.partition(b"\r\n")[0]
    assert "/smuggled" not in seen


def test_messages_of_one_meaning_are_answered(served: tuple[int, list[str]]) -> None:
    port, _ = served
    assert said(port, "POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi").startswith(
        b"HTTP/1.1 200"
    )
    head = "POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert said(port, f"{head}2\r\nhi\r\n0\r\n\r\n").startswith(b"HTTP/1.1 200")
