"""How much of a request is taken in at all.

Django keeps the whole body of a request, on the disk if it is long, before anybody looks who sends it. So the length is
judged first, by the header or else while it comes.
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
LOGINS: Final = frozenset({b"authorization", b"cookie"})


class BodyTooLong(Exception):
    """More came than may."""


def most_bytes(scope: Mapping[str, Any]) -> int:
    """Bytes that the body of a request may have. Files are taken of who at least says who it is."""
    limits = settings.ATTRACTOR.limits
    names = {name.lower() for name, _ in scope["headers"]}
    brings_file = FILES.fullmatch(scope["path"]) and names & LOGINS
    most: int = limits.file_bytes if brings_file else limits.request_bytes
    return most


def declared(scope: Mapping[str, Any]) -> int:
    """Bytes that the request says it has; 0 where it does not say."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return 0


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
    body = json.dumps(problem_body(413, "payload_too_large", title, f"It may have {most} bytes. Send less.")).encode()
    headers = {
        "content-type": CONTENT_TYPE, "content-length": str(len(body)), "connection": "close",
        "cache-control": "no-store", "x-content-type-options": "nosniff",
    }  # fmt: skip
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 413, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
