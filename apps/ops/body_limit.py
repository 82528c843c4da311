"""How much of a request is taken in at all.

Django keeps the whole body of a request, on the disk if it is long, before anybody looks who sends it. So the length is
judged first, by the header or else while it comes; and of a body that is to be longer than most, who sends it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from django.conf import settings

from apps.ops.problems import CONTENT_TYPE, problem_body

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

FILES: Final = re.compile(r"/api/v1/workspaces/[^/]+/imports/")
"""The one address that takes files."""


class BodyTooLong(Exception):
    """More came than may."""


def brings_file(scope: Mapping[str, Any]) -> bool:
    """Whether the body of a request is a file that may be longer than other bodies, and says or does not say to be."""
    if not FILES.fullmatch(scope["path"]) or scope["method"] != "POST":
        return False
    said = declared(scope)
    return said is None or said > settings.ATTRACTOR.limits.request_bytes


def declared(scope: Mapping[str, Any]) -> int | None:
    """Bytes that the request says it has; None where it does not say."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return None


def bounded(receive: Receive, most: int) -> Receive:
    """The messages of a request. Raises `BodyTooLong` once its body is longer."""
    taken = 0

    async def receive_bounded() -> Mapping[str, Any]:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise BodyTooLong
        return message

    return receive_bounded


async def refuse(send: Send, most: int) -> None:
    """413, whatever the address. The connection ends with it: nobody reads what else comes."""
    title = "The request body is too large"
    await _answer(send, 413, "payload_too_large", title, f"It may have {most} bytes. Send less.")


async def put_off(send: Send) -> None:
    """503: nobody can say who sends it, so nothing of it is read."""
    title = "The database cannot be reached"
    await _answer(send, 503, "unavailable", title, "A file is taken when it is known who sends it. Try again later.")


async def _answer(send: Send, status: int, code: str, title: str, detail: str) -> None:
    body = json.dumps(problem_body(status, code, title, detail)).encode()
    headers = {
        "content-type": CONTENT_TYPE, "content-length": str(len(body)), "connection": "close",
        "cache-control": "no-store", "x-content-type-options": "nosniff",
    }  # fmt: skip
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
