"""Pages of a run's archive that many sockets ask for at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apps.live.feed import RunFeed

pytestmark = pytest.mark.asyncio


class Archive:
    """Gives a page once `go` is set; `fault` is raised instead."""

    fault: Exception | None = None

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def events_after(self, seq: int) -> list[dict[str, Any]]:
        await self.go.wait()
        if self.fault is not None:
            raise self.fault
        return [{"seq": seq + 1}]

    async def greeting(self) -> dict[str, Any]:
        return {}


def feed_of(archive: Any) -> RunFeed:
    return RunFeed("run", archive, None, None)  # type: ignore[arg-type]  # neither stream nor demand is touched


async def begun() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("fault", [None, ValueError("away")])
async def test_no_page_is_kept_for_askers_who_were_cancelled(fault: Exception | None) -> None:
    archive = Archive()
    archive.fault = fault
    feed = feed_of(archive)
    askers = [asyncio.create_task(feed.events_after(seq)) for seq in range(50)]
    await begun()
    for asker in askers:
        asker.cancel()
    await asyncio.wait(askers)
    assert len(feed._pages) == 50, "the reads are under way"
    archive.go.set()
    await begun()
    assert feed._pages == {}


async def test_a_page_is_read_for_those_who_stay_and_kept_no_longer() -> None:
    archive = Archive()
    feed = feed_of(archive)
    gone, stays = (asyncio.create_task(feed.events_after(7)) for _ in range(2))
    await begun()
    later = asyncio.create_task(feed.events_after(7))
    await begun()
    gone.cancel()
    archive.go.set()
    assert await stays == await later == [{"seq": 8}]
    assert feed._pages == {}
