"""Requests that come together are worked on a few at a time, in order; each still gets its answer."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import markcoroutinefunction
from django.http import HttpResponse
from django.test import RequestFactory

from apps.ops.admission import Admission


class Site:
    """Answers when it is told to; knows how many requests it has at once."""

    def __init__(self) -> None:
        markcoroutinefunction(self)
        self.here: list[str] = []
        self.came: list[str] = []
        self.most = 0
        self.doors: dict[str, asyncio.Event] = {}

    async def __call__(self, request: Any) -> HttpResponse:
        path = request.path
        self.here.append(path)
        self.came.append(path)
        self.most = max(self.most, len(self.here))
        try:
            await self.doors.setdefault(path, asyncio.Event()).wait()
            if path == "/broken":
                raise RuntimeError(path)
        finally:
            self.here.remove(path)
        return HttpResponse(path)


@pytest.fixture
def two_at_once(settings: Any) -> None:
    settings.ATTRACTOR = SimpleNamespace(web=SimpleNamespace(requests_at_once=2))


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_few_are_worked_on_at_once_in_order_and_all_are_answered(two_at_once: None) -> None:
    site = Site()
    admission = Admission(site)
    paths = [f"/{number}" for number in range(5)] + ["/broken", "/last"]
    requests = [asyncio.ensure_future(admission(RequestFactory().get(path))) for path in paths]  # type: ignore[arg-type]
    for number, path in enumerate(paths):
        await until(lambda number=number: len(site.came) >= min(number + 2, len(paths)))
        site.doors[path].set()
    answers = await asyncio.gather(*requests, return_exceptions=True)
    assert site.came == paths
    assert site.most == 2
    assert [one.content.decode() for one in answers if isinstance(one, HttpResponse)] == [*paths[:5], "/last"]
    assert [str(one) for one in answers if isinstance(one, RuntimeError)] == ["/broken"]


@pytest.mark.asyncio
async def test_a_client_that_goes_while_it_waits_gives_its_turn_away_and_health_needs_none(two_at_once: None) -> None:
    site = Site()
    admission = Admission(site)

    def ask(path: str) -> Any:
        return asyncio.ensure_future(admission(RequestFactory().get(path)))  # type: ignore[arg-type]

    first, second, gone, last = (ask(path) for path in ("/1", "/2", "/gone", "/last"))
    await until(lambda: len(site.here) == 2)
    health = ask("/health/live")
    await until(lambda: "/health/live" in site.here)
    gone.cancel()
    for path in ("/1", "/2", "/health/live"):
        site.doors[path].set()
    await until(lambda: "/last" in site.here)
    site.doors["/last"].set()
    await asyncio.gather(first, second, health, last)
    assert "/gone" not in site.came


def test_a_synchronous_server_is_left_alone(two_at_once: None) -> None:
    admission = Admission(lambda request: HttpResponse(request.path))
    assert admission(RequestFactory().get("/x")).content == b"/x"  # type: ignore[union-attr]
