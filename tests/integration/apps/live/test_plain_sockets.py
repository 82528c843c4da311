"""Handshakes with and without TLS, where the site is served over https and where it is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from apps.live.asgi import with_sockets
from apps.live.login import CALLER, KeyOrSession
from apps.live.refusal import NOT_FOUND, PLAIN

SECRET = "atk_" + "x" * 43
PATH = "/ws/v1/runs/00000000-0000-4000-8000-000000000000/"
FORWARDED = ("HTTP_X_FORWARDED_PROTO", "https")
HTTPS, WSS, HTTP, WS = ((b"x-forwarded-proto", said) for said in (b"https", b"wss", b"http", b"ws"))


def handshake(scheme: str | None, *headers: tuple[bytes, bytes], key: bool = True) -> dict[str, Any]:
    mine = (b"authorization", f"Bearer {SECRET}".encode()) if key else (b"origin", b"http://testserver")
    asked = {
        "type": "websocket", "path": PATH, "query_string": b"", "headers": [(b"host", b"testserver"), mine, *headers],
        "subprotocols": [], "client": ("192.0.2.1", 5), "extensions": {},
    }  # fmt: skip
    return asked if scheme is None else {**asked, "scheme": scheme}


def come_in(asked: dict[str, Any]) -> Any:
    """What the application behind the door is told of who asks; else how the handshake was refused."""
    let_in: list[Any] = []

    async def behind(scope: dict[str, Any], receive: Any, send: Any) -> None:
        let_in.append(scope[CALLER].secret)

    async def knock() -> Any:
        socket = ApplicationCommunicator(KeyOrSession(behind), asked)
        await socket.send_input({"type": "websocket.connect"})
        await socket.wait(timeout=10)
        return socket.output_queue.get_nowait() if not socket.output_queue.empty() else None

    answer = asyncio.run(knock())
    return let_in[0] if let_in else answer["code"]


@pytest.mark.parametrize(
    ("behind_proxy", "scheme", "headers", "opens"),
    [
        (False, "ws", (), False),
        (False, None, (), False),  # ASGI: left out it is "ws"
        (False, "wss", (), True),
        (False, "ws", (HTTPS,), False),  # nobody's word but a trusted proxy's
        (True, "ws", (), False),
        (True, "ws", (HTTP,), False),
        (True, "ws", (WS,), False),
        (True, "wss", (HTTP,), False),  # the proxy speaks TLS to us, and whoever asks does not to the proxy
        (True, "ws", (HTTPS,), True),
        (True, "ws", (WSS,), True),
        (True, "wss", (), True),
    ],
)
def test_no_socket_opens_without_tls_where_the_site_has_it(
    settings: Any, behind_proxy: bool, scheme: str | None, headers: tuple[tuple[bytes, bytes], ...], opens: bool
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = FORWARDED if behind_proxy else None
    assert come_in(handshake(scheme, *headers)) == (SECRET if opens else PLAIN)
    assert (come_in(handshake(scheme, *headers, key=False)) == PLAIN) is not opens, "nor with a session"


def test_a_site_without_https_takes_plain_sockets(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = False
    assert come_in(handshake("ws")) == SECRET


@pytest.mark.django_db(transaction=True)
def test_who_is_refused_is_told_what_to_do_about_the_key(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True

    async def knock(scheme: str, **extensions: Any) -> list[dict[str, Any]]:
        socket = ApplicationCommunicator(with_sockets(None), {**handshake(scheme), "extensions": extensions})
        await socket.send_input({"type": "websocket.connect"})
        await socket.wait(timeout=10)
        return [socket.output_queue.get_nowait() for _ in range(socket.output_queue.qsize())]

    start, body = asyncio.run(knock("ws", **{"websocket.http.response": {}}))
    assert start["status"] == 403
    assert b"revoke it" in body["body"]
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    (closed,) = asyncio.run(knock("ws"))
    assert closed == {"type": "websocket.close", "code": PLAIN}
    (closed,) = asyncio.run(knock("wss"))
    assert closed == {"type": "websocket.close", "code": NOT_FOUND}, "the key is looked at, and is none"
