"""The one reader of run streams in a server process, however many viewers it has."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

import redis
import redis.asyncio

from apps.live import codec
from apps.live.ending import end
from apps.live.stream import MESSAGE, stream_key

Entries = list[tuple[bytes, dict[bytes, bytes]]]
"""Position and fields of each entry, as the client library gives them for protocol 2."""

logger = logging.getLogger(__name__)

BLOCK_MS = 5000
"""Longest wait in one XREAD. The connection's own socket timeout must be longer."""
ENTRIES_A_READ = 200
ADOPT_SECONDS = 2.0
"""Longest wait for the reader to take up a run; past it the run counts as not live and is polled."""
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)


class Listener(Protocol):
    """What the reader tells the feed of one run. Called on the event loop; must not block."""

    def on_message(self, message: dict[str, Any]) -> None: ...

    def on_live(self) -> None:
        """Reading has begun, or begun again: whatever came before may have been missed."""

    def on_away(self, reason: str) -> None: ...


class StreamReader:
    """Reads every watched stream with one blocking XREAD.

    A run that is added while the read blocks is taken up at once because the reader also waits on a stream of its
    own (`wake`), to which `watch` appends.
    """

    def __init__(self, blocking: redis.asyncio.Redis, client: redis.asyncio.Redis, process: str) -> None:
        self._blocking = blocking
        self._client = client
        self._wake = f"live:wake:{process}"
        self._wake_position = b"0-0"
        self._listeners: dict[str, Listener] = {}
        self._positions: dict[str, bytes] = {}
        self._adopted: dict[str, asyncio.Future[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self.away: str | None = "the live transport is being connected"
        """Why nothing is being read, or None while it is."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="live-stream-reader")
        self._task.add_done_callback(self._on_end)

    async def stop(self) -> None:
        if self._task is not None:
            await end([self._task])
            self._task = None
        await self._blocking.aclose()
        await self._client.aclose()

    async def watch(self, run: str, listener: Listener) -> None:
        """Hear of everything appended to a run's stream from now on.

        When this returns, either the position in the stream is fixed and `listener.on_live` has been called, or the
        server is away and `on_live` follows when it is back.
        """
        self._listeners[run] = listener
        adopted = asyncio.get_running_loop().create_future()
        self._adopted[run] = adopted
        try:
            async with asyncio.timeout(ADOPT_SECONDS):
                await self._tried.wait()
                if self.away is None and run not in self._positions:
                    await self._nudge()
                    await adopted
        except (redis.RedisError, OSError, TimeoutError) as error:
            listener.on_away(_reason(error))
        finally:
            self._adopted.pop(run, None)

    def unwatch(self, run: str) -> None:
        self._listeners.pop(run, None)
        self._positions.pop(run, None)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._connect()
                failures = 0
                while True:
                    await self._read()
            except (redis.RedisError, OSError) as error:
                self._tell_away(_reason(error))
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the reader of live streams ended", exc_info=error)
            self._tell_away(_reason(error))

    async def _connect(self) -> None:
        await self._blocking.ping()
        known = list(self._positions)
        self.away = None
        self._tried.set()
        for run in known:
            self._tell_live(run)

    async def _adopt(self) -> None:
        """Fix the position of runs that are watched but not yet read: only this task ever moves a position."""
        for run in [run for run in self._listeners if run not in self._positions]:
            newest: Entries = await self._client.xrevrange(stream_key(run), count=1)  # type: ignore[assignment]
            self._positions[run] = newest[0][0] if newest else b"0-0"
            self._tell_live(run)

    def _tell_live(self, run: str) -> None:
        if listener := self._listeners.get(run):
            listener.on_live()
        adopted = self._adopted.get(run)
        if adopted is not None and not adopted.done():
            adopted.set_result(None)

    async def _nudge(self) -> None:
        pipeline = self._client.pipeline(transaction=False)
        pipeline.xadd(self._wake, {MESSAGE: b""}, maxlen=1, approximate=False)
        pipeline.expire(self._wake, 60)
        await pipeline.execute()

    async def _read(self) -> None:
        await self._adopt()
        runs = {stream_key(run).encode(): run for run in self._positions if run in self._listeners}
        streams: dict[Any, Any] = {key: self._positions[run] for key, run in runs.items()}
        streams[self._wake] = self._wake_position
        reply: Any = await self._blocking.xread(streams, count=ENTRIES_A_READ, block=BLOCK_MS)
        for key, entries in reply or ():
            run = runs.get(key)
            if run is None:
                self._wake_position = entries[-1][0]
            else:
                self._hand_out(run, entries)

    def _hand_out(self, run: str, entries: Entries) -> None:
        listener = self._listeners.get(run)
        for position, fields in entries:
            if run in self._positions:
                self._positions[run] = position
            if listener is None:
                continue
            try:
                message = codec.unpack(fields[MESSAGE])
            except (codec.UnknownForm, KeyError):
                logger.exception("an entry of a run stream could not be read", extra={"run_id": run})
                continue
            listener.on_message(message)

    def _tell_away(self, reason: str) -> None:
        if self.away is None:
            logger.warning("live streams are away: %s", reason)
        self.away = reason
        self._tried.set()
        for listener in list(self._listeners.values()):
            listener.on_away(reason)


def _reason(error: BaseException) -> str:
    return f"the live transport cannot be reached ({type(error).__name__})"
