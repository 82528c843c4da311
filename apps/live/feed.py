"""One run as this server process sees it, for all its viewers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis
from django.db import DatabaseError

from apps.live import codec
from apps.live.demand import REFRESH_SECONDS
from apps.live.ending import end
from apps.live.frame import LiveFrame
from apps.live.reader import StreamReader
from apps.live.selectors import PAGE, RunArchive, Snapshot
from apps.live.shared_read import SharedRead
from apps.live.subscription import union
from apps.live.viewer import Viewer
from apps.workspaces.missing import NotFound

logger = logging.getLogger(__name__)

AWAY_POLL_SECONDS = 1.0
"""Between looks into PostgreSQL while nothing comes from the stream because its server is away."""
QUIET_POLL_SECONDS = 2.0
"""Between looks while the stream is silent: its writer may be dead, and some events are written by others."""
ENDED_POLL_SECONDS = 10.0
DEMAND_RETRY_SECONDS = 0.5


class RunFeed:
    """Joins stream and archive into one gapless sequence of events, and collects what the viewers want.

    The stream is quick but may lose anything; the archive is the truth. A hole in the numbers, a progress message
    that names a later event, a silent stream and a server that is away all end in reading the archive.
    """

    def __init__(
        self,
        run: str,
        archive: RunArchive,
        reader: StreamReader,
        write_demand: Callable[[str, list[Any]], Awaitable[None]],
    ) -> None:
        self.run = run
        self.archive = archive
        self.away: str | None = "the live transport is being connected"
        self.viewers: set[Viewer] = set()
        self.greeting = SharedRead(archive.greeting)
        """The run as it is now; clients who all come back at once share the reading."""
        self._pages: dict[int, SharedRead[list[dict[str, Any]]]] = {}
        self._reader = reader
        self._write_demand = write_demand
        self._head: int | None = None
        self._missed = asyncio.Event()
        self._demand_changed = asyncio.Event()
        self._heard = time.monotonic()
        self._snapshot: Snapshot | None = None
        self._refusals: dict[tuple[str, str], dict[str, Any]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Take up the stream first and only then the archive's last number, so that nothing falls in between."""
        await self._reader.watch(self.run, self)
        self._head = await self.archive.last_event()
        self._tasks = [
            asyncio.create_task(self._poll(), name=f"run-{self.run}-poll"),
            asyncio.create_task(self._demand(), name=f"run-{self.run}-demand"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._on_end)

    async def close(self) -> None:
        self._reader.unwatch(self.run)
        await end(self._tasks)
        try:
            await self._write_demand(self.run, [])
        except (redis.RedisError, OSError) as error:
            logger.info("a demand was left to go stale: %s", error, extra={"run_id": self.run})

    async def events_after(self, seq: int) -> list[dict[str, Any]]:
        """A page of the archive; clients who miss the same share the reading."""
        page = self._pages.get(seq)
        if page is None:
            page = self._pages[seq] = SharedRead(
                lambda: self.archive.events_after(seq), on_idle=lambda: self._pages.pop(seq, None)
            )
        return await page()

    def demand_changed(self) -> None:
        self._demand_changed.set()

    def refusal_of(self, key: tuple[str, str]) -> dict[str, Any] | None:
        """What the worker has said about a port that cannot be watched; it says so only once."""
        return self._refusals.get(key)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            if not isinstance(error, NotFound):
                logger.error("the feed of a run broke", exc_info=error, extra={"run_id": self.run})
            for viewer in self.viewers:
                viewer.fail(error)

    # What the reader calls.

    def on_message(self, message: dict[str, Any]) -> None:
        self._heard = time.monotonic()
        kind = message.get("kind")
        try:
            if kind in ("frame", "scalar"):
                self._offer_frame(codec.decode(message))
            elif message["seq"] is not None:
                self._offer_event(message)
            elif kind == "error":
                self._offer_refusal(message)
            else:
                self._offer_progress(message)
        except (KeyError, TypeError, codec.UnknownForm):
            logger.exception("a stream entry was not understood", extra={"run_id": self.run})

    def on_live(self) -> None:
        was_away, self.away = self.away, None
        self._missed.set()
        if was_away is not None:
            self._demand_changed.set()
            self._tell({"live": True, "reason": None})

    def on_away(self, reason: str) -> None:
        was_live, self.away = self.away is None, reason
        self._missed.set()
        if was_live:
            self._tell({"live": False, "reason": reason})

    def _offer_frame(self, frame: LiveFrame) -> None:
        for viewer in self.viewers:
            viewer.offer_frame(frame)

    def _offer_progress(self, message: dict[str, Any]) -> None:
        last = message["last_event"]
        if last is not None and self._head is not None and last > self._head:
            self._missed.set()
        self._tell(message["payload"])

    def _offer_event(self, message: dict[str, Any]) -> None:
        seq = message["seq"]
        if self._head is None or seq > self._head + 1:
            self._missed.set()
        elif seq == self._head + 1:
            self._head = seq
            for viewer in self.viewers:
                viewer.offer_event(message)

    def _offer_refusal(self, message: dict[str, Any]) -> None:
        """A port that cannot be watched: for those who asked for it, and for those who will."""
        key = (message["payload"]["node"], message["payload"]["port"])
        self._refusals[key] = message
        for viewer in self.viewers:
            if any(wanted.key == key for wanted in viewer.wanted):
                viewer.reply(message)

    def _tell(self, payload: dict[str, Any]) -> None:
        for viewer in self.viewers:
            viewer.offer_status({"kind": "status", "seq": None, "payload": payload})

    # Reading the archive.

    async def _poll(self) -> None:
        while True:
            missed = await _wait(self._missed, self._patience())
            self._missed.clear()
            if not missed and time.monotonic() - self._heard < self._patience():
                continue
            try:
                await self._read_events()
                if not missed or self.away is not None:
                    await self._read_snapshot()
            except DatabaseError as error:
                logger.warning("the events of a run could not be read: %s", error, extra={"run_id": self.run})
                await asyncio.sleep(AWAY_POLL_SECONDS)
                self._missed.set()

    def _patience(self) -> float:
        if self._snapshot is not None and self._snapshot.ended:
            return ENDED_POLL_SECONDS
        return AWAY_POLL_SECONDS if self.away is not None else QUIET_POLL_SECONDS

    async def _read_events(self) -> None:
        while True:
            page = await self.archive.events_after(self._head or 0)
            for message in page:
                # The stream may have brought some of these while the query ran.
                if self._head is None or message["seq"] > self._head:
                    self._head = message["seq"]
                    for viewer in self.viewers:
                        viewer.offer_event(message)
            if len(page) < PAGE:
                return

    async def _read_snapshot(self) -> None:
        snapshot = await self.archive.snapshot()
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            self._tell(snapshot.status)

    async def _demand(self) -> None:
        refresh = REFRESH_SECONDS
        while True:
            await _wait(self._demand_changed, refresh)
            self._demand_changed.clear()
            wanted = union(wish for viewer in self.viewers for wish in viewer.wanted)
            try:
                await self._write_demand(self.run, list(wanted.values()))
                refresh = REFRESH_SECONDS
            except (redis.RedisError, OSError) as error:
                # The reader tells the viewers that live is away; here it is only tried again.
                logger.info("the demand was not written: %s", error, extra={"run_id": self.run})
                refresh = DEMAND_RETRY_SECONDS


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set within that time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
