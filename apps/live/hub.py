"""The feeds of a server process: one reader, one demand writer, one feed for each run that is watched."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from apps.live import valkey
from apps.live.demand import DemandWriter
from apps.live.door import Door
from apps.live.doorkeeper import Doorkeeper
from apps.live.feed import RunFeed
from apps.live.reader import StreamReader
from apps.live.selectors import RunArchive
from apps.live.viewer import Viewer

logger = logging.getLogger(__name__)


class Hub:
    """Opens a feed with a run's first viewer and closes it with the last; connected only while anything is watched.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self.door = Door()
        self.doorkeeper = Doorkeeper()
        self._process = uuid.uuid4().hex
        self._feeds: dict[str, RunFeed] = {}
        self._opening = asyncio.Lock()
        self._reader: StreamReader | None = None
        self._demand: DemandWriter | None = None

    @asynccontextmanager
    async def watched(self, run: str, viewer: Viewer, archive: Callable[[], RunArchive]) -> AsyncIterator[RunFeed]:
        """The run's feed, with the viewer attached: what is committed after entering reaches the viewer."""
        async with self._opening:
            feed = self._feeds.get(run)
            if feed is None:
                feed = await self._opened(run, archive())
            feed.viewers.add(viewer)
        try:
            yield feed
        finally:
            feed.viewers.discard(viewer)
            feed.demand_changed()
            async with self._opening:
                if not feed.viewers and self._feeds.get(run) is feed:
                    await self._closed(run, feed)

    async def _opened(self, run: str, archive: RunArchive) -> RunFeed:
        if self._reader is None or self._demand is None:
            self._reader = StreamReader(valkey.blocking_client(), valkey.async_client(), self._process)
            self._demand = DemandWriter(valkey.async_client(), self._process)
            self._reader.start()
        feed = RunFeed(run, archive, self._reader, self._demand.write)
        self._feeds[run] = feed
        try:
            await feed.open()
        except BaseException:
            await self._closed(run, feed)
            raise
        return feed

    async def _closed(self, run: str, feed: RunFeed) -> None:
        del self._feeds[run]
        await feed.close()
        if not self._feeds and self._reader is not None and self._demand is not None:
            reader, demand = self._reader, self._demand
            self._reader = self._demand = None
            await reader.stop()
            await demand.aclose()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop, of which a server process has one."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
