"""Requests that come together are worked on a few at a time, in order; each still gets its answer. All by the whole
chain of middlewares, as the server calls it."""

import asyncio
import threading
import traceback
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from apps.ops.admission import AdmittingHandler


class Site:
    """Answers when it is told to; knows how many requests it has at once, and by which code they came."""

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        self.here: list[str] = []
        self.came: list[str] = []
        self.most = 0
        self.threads: set[threading.Thread] = set()  # kept: the system gives their numbers again
        self.counting = threading.Lock()
        self.stacks: dict[str, list[str]] = {}
        self.doors: dict[str, threading.Event] = {}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path
        self.came.append(path)
        self.threads.add(threading.current_thread())
        self.stacks[path] = [frame.filename for frame in traceback.extract_stack()]
        with self.counting:
            self.most = max(self.most, len(self.here) + 1)
            self.here.append(path)  # seen by who then lets others go: all is noted by then
        try:
            self.door(path).wait(60)
            if path == "/broken":
                raise RuntimeError(path)
        finally:
            self.here.remove(path)
        return HttpResponse(path)

    def door(self, path: str) -> threading.Event:
        return self.doors.setdefault(path, threading.Event())


site = Site()


def view(request: HttpRequest, name: str) -> HttpResponse:
    return site(request)


urlpatterns = [path("<path:name>", view)]


@pytest.fixture
def handler(settings: Any) -> AdmittingHandler:
    site.empty()
    web = settings.ATTRACTOR.web.model_copy(update={"requests_at_once": 2})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"web": web})
    settings.ROOT_URLCONF = __name__
    return AdmittingHandler()


class Caller:
    """One client of the server: what it is sent, and how it goes away."""

    def __init__(self, handler: AdmittingHandler, path: str) -> None:
        self.sent: list[dict[str, Any]] = []
        self._asked = False
        self._gone = asyncio.Event()
        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [(b"host", b"testserver")],
            "http_version": "1.1", "scheme": "http",
        }  # fmt: skip
        self.answered = asyncio.ensure_future(handler(scope, self._receive, self._send))

    def leave(self) -> None:
        self._gone.set()

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent[1:]).decode()


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.asyncio
async def test_few_are_worked_on_at_once_in_order_and_all_are_answered(handler: AdmittingHandler) -> None:
    asked: list[str] = []
    turn = handler._in_turn

    async def noted(scope: Any, body: Any, receive: Any) -> Any:
        asked.append(scope["path"])
        return await turn(scope, body, receive)

    handler._in_turn = noted  # type: ignore[method-assign]
    paths = [f"/{number}" for number in range(5)] + ["/broken", "/last"]
    callers = {path: Caller(handler, path) for path in paths}
    await until(lambda: len(asked) == len(paths))
    for number, one in enumerate(asked):
        await until(lambda number=number: len(site.came) >= min(number + 2, len(paths)))
        site.door(one).set()
        await callers[one].answered
    assert set(site.came[:2]) == set(asked[:2])
    assert site.came[2:] == asked[2:]
    assert site.most == 2
    assert {path: caller.status for path, caller in callers.items()} == {
        path: 500 if path == "/broken" else 200 for path in paths
    }
    assert all(callers[path].body == path for path in paths if path != "/broken")


@pytest.mark.asyncio
async def test_a_client_that_goes_while_it_waits_gives_its_turn_away_and_health_needs_none(
    handler: AdmittingHandler,
) -> None:
    first, second = Caller(handler, "/1"), Caller(handler, "/2")
    await until(lambda: len(site.here) == 2)
    gone, last = Caller(handler, "/gone"), Caller(handler, "/last")
    health = Caller(handler, "/health/live")
    await until(lambda: "/health/live" in site.here)
    # What only begins so, as an address that there is not, waits as everything does.
    beside = [Caller(handler, path) for path in ("/health/", "/health/nothing", "/health/ready/", "/health/live/x")]
    gone.leave()
    await gone.answered
    for one in ("/1", "/2", "/health/live"):
        site.door(one).set()
    await until(lambda: "/last" in site.here)
    assert site.most == 3
    for one in ("/last", "/health/", "/health/nothing", "/health/ready/", "/health/live/x"):
        site.door(one).set()
    await asyncio.gather(*(caller.answered for caller in (first, second, health, last, *beside)))
    assert site.most == 3
    assert "/gone" not in site.came
    assert gone.sent == []


@pytest.mark.asyncio
async def test_a_request_is_carried_into_its_thread_once(handler: AdmittingHandler) -> None:
    """Between the first middleware and the view nothing goes back to the event loop."""
    site.door("/1").set()
    await Caller(handler, "/1").answered
    files = site.stacks["/1"]
    first = next(number for number, file in enumerate(files) if file.endswith("config/middleware.py"))
    assert files[-1] == __file__
    assert not [file for file in files[first:] if "asgiref" in file or "asyncio" in file]


@pytest.mark.asyncio
async def test_threads_answer_one_request_after_another(handler: AdmittingHandler) -> None:
    for number in range(6):
        site.door(f"/{number}").set()
        await Caller(handler, f"/{number}").answered
    assert len(site.came) == 6
    assert len(site.threads) <= 2


class Endless:
    """An answer without an end; knows whether it was closed."""

    closed = False

    async def __aiter__(self) -> Any:
        while True:
            await asyncio.sleep(0)
            yield b"more"

    def close(self) -> None:
        self.closed = True


@pytest.mark.asyncio
async def test_an_answer_that_goes_on_ends_with_its_client(
    handler: AdmittingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = Endless()

    def answered(_: HttpRequest) -> StreamingHttpResponse:
        streaming = StreamingHttpResponse(endless.__aiter__())
        streaming._resource_closers.append(endless.close)  # type: ignore[attr-defined]
        return streaming

    monkeypatch.setattr(handler, "get_response", answered)
    caller = Caller(handler, "/endless")
    await until(lambda: len(caller.sent) > 3)
    assert not endless.closed
    caller.leave()
    await caller.answered
    assert endless.closed


@pytest.mark.asyncio
async def test_signals_of_a_request_come_once_and_in_its_thread(handler: AdmittingHandler) -> None:
    heard: list[tuple[str, threading.Thread]] = []

    def began(**_: Any) -> None:
        heard.append(("began", threading.current_thread()))

    def ended(**_: Any) -> None:
        heard.append(("ended", threading.current_thread()))

    request_started.connect(began)
    request_finished.connect(ended)
    try:
        site.door("/1").set()
        await Caller(handler, "/1").answered
    finally:
        request_started.disconnect(began)
        request_finished.disconnect(ended)
    assert [what for what, _ in heard] == ["began", "ended"]
    assert {thread for _, thread in heard} == site.threads


@pytest.mark.asyncio
async def test_a_process_that_hangs_with_what_it_needs_still_says_that_it_lives(handler: AdmittingHandler) -> None:
    asking = [Caller(handler, "/health/ready") for _ in range(4)]
    await until(lambda: len(site.here) == 2)
    site.door("/health/live").set()
    live = Caller(handler, "/health/live")
    await live.answered
    assert live.status == 200
    site.door("/health/ready").set()
    await asyncio.gather(*(one.answered for one in asking))


@pytest.mark.asyncio
@pytest.mark.parametrize("steps", range(6))
async def test_a_request_that_is_given_up_as_its_turn_comes_leaves_it_to_others(
    handler: AdmittingHandler, steps: int
) -> None:
    handler._turns = asyncio.Semaphore(1)
    await handler._turns.acquire()
    given_up = Caller(handler, "/given-up")
    await until(lambda: handler._turns._waiters)  # type: ignore[attr-defined]
    site.door("/given-up").set()
    handler._turns.release()
    for _ in range(steps):
        await asyncio.sleep(0)
    given_up.answered.cancel()
    await asyncio.wait((given_up.answered,))
    site.door("/next").set()
    following = Caller(handler, "/next")
    async with asyncio.timeout(30):
        await following.answered
    assert following.status == 200
