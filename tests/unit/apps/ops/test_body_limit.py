"""Bodies that are too long are refused before anything is kept of them, whoever sends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import path

from apps.ops.admission import AdmittingHandler

MOST, FILE = 4096, 20_000
IMPORTS = "/api/v1/workspaces/w/imports/"
CHUNK = 1000
seen: list[int] = []


def view(request: HttpRequest, name: str) -> HttpResponse:
    seen.append(len(request.body))
    return HttpResponse("taken")


urlpatterns = [path("<path:name>", view)]


@pytest.fixture(autouse=True)
def small(settings: Any) -> None:
    seen.clear()
    limits = settings.ATTRACTOR.limits.model_copy(update={"request_bytes": MOST, "file_bytes": FILE})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"limits": limits})
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10**6
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []


class Sender:
    """Sends a body in pieces, and knows how much of it was asked for."""

    def __init__(self, size: int) -> None:
        self.left, self.asked_for = size, 0
        self.got: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self.left == 0 and self.asked_for:
            await asyncio.Event().wait()
        piece = min(CHUNK, self.left)
        self.left -= piece
        self.asked_for += piece
        return {"type": "http.request", "body": b"x" * piece, "more_body": self.left > 0}

    async def send(self, message: dict[str, Any]) -> None:
        self.got.append(message)

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])


asked: list[Mapping[str, Any]] = []
KEY = (b"authorization", b"Bearer of-somebody")


def knows(scope: Mapping[str, Any]) -> bool:
    """Somebody has this key; the database is away for another."""
    asked.append(scope)
    if (b"authorization", b"Bearer away") in scope["headers"]:
        raise OperationalError("no server")
    return KEY in scope["headers"]


def sent(address: str, size: int, *headers: tuple[bytes, bytes]) -> Sender:
    asked.clear()
    sender = Sender(size)
    scope = {
        "type": "http", "method": "POST", "path": address, "query_string": b"", "http_version": "1.1", "scheme": "http",
        "headers": [(b"host", b"testserver"), *headers],
    }  # fmt: skip

    async def ask() -> None:
        handled = asyncio.ensure_future(AdmittingHandler(knows)(scope, sender.receive, sender.send))
        while not handled.done() and not any(one["type"] == "http.response.body" for one in sender.got):
            await asyncio.sleep(0.001)
        await asyncio.wait_for(handled, 30)

    asyncio.run(ask())
    return sender


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", str(size).encode()


@pytest.fixture(params=["said", "unsaid"])
def said(request: Any) -> Any:
    """With the header that says how long the body is, and without."""
    return (lambda size: (length(size),)) if request.param == "said" else (lambda _: ())


def test_a_body_of_the_limit_is_taken(said: Any) -> None:
    assert sent("/api/v1/x/", MOST, *said(MOST)).status == 200
    assert seen == [MOST]


def test_a_longer_one_is_refused_and_no_more_of_it_is_read(said: Any) -> None:
    sender = sent("/accounts/login/", 10**7, *said(10**7))
    assert sender.status == 413
    assert sender.asked_for <= (MOST + CHUNK)
    assert seen == []
    problem = json.loads(sender.got[1]["body"])
    assert (problem["status"], problem["code"]) == (413, "payload_too_large")


def test_one_that_is_said_to_be_too_long_is_not_read_at_all() -> None:
    assert sent("/", 10, length(10**12)).asked_for == 0


def test_one_that_is_longer_than_it_says_is_refused() -> None:
    assert sent("/", 10**6, length(10)).status == 413


def test_a_file_of_somebody_may_be_longer_where_files_are_taken(said: Any) -> None:
    assert sent(IMPORTS, FILE, KEY, *said(FILE)).status == 200
    assert sent(IMPORTS, FILE + 1, KEY, *said(FILE + 1)).status == 413
    for other in (f"{IMPORTS}x/", "/w/imports/", "/api/v1/workspaces/a/b/imports/", "/api/v1/workspaces//imports/"):
        assert sent(other, FILE, KEY, *said(FILE)).status == 413
        assert asked == []


@pytest.mark.parametrize(
    "pretended", [(), ((b"cookie", b"sessionid=x"),), ((b"authorization", b"Bearer of-nobody"),), ((b"cookie", b""),)]
)
def test_of_a_file_of_nobody_no_more_is_read_than_of_any_body(pretended: Any, said: Any) -> None:
    """Whatever it says that it is: what is said is looked up, before more is read."""
    sender = sent(IMPORTS, 10**7, *pretended, *said(10**7))
    assert sender.status == 413
    assert sender.asked_for <= (0 if said(1) else MOST + CHUNK)
    assert len(asked) == 1
    assert seen == []


def test_who_sends_a_small_file_is_not_looked_up_twice() -> None:
    assert sent(IMPORTS, MOST, KEY, length(MOST)).status == 200
    assert asked == []


def test_of_a_file_nothing_is_read_while_nobody_can_say_who_sends_it(said: Any) -> None:
    sender = sent(IMPORTS, FILE, (b"authorization", b"Bearer away"), *said(FILE))
    assert (sender.status, sender.asked_for, seen) == (503, 0, [])
    assert json.loads(sender.got[1]["body"])["code"] == "unavailable"
