"""Which ports the viewers of a run want, as a Valkey hash the server writes and the worker reads.

One field per server process holds that process's union, packed with a counter that rises with every refresh. A
field whose value has stood still for `STALE_SECONDS` on the reader's own clock belongs to a process that is gone, so
no two clocks are compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from uuid import UUID

import msgpack
import redis
import redis.asyncio

from apps.live.stream import demand_key
from apps.live.subscription import Subscription, union

REFRESH_SECONDS = 4.0
STALE_SECONDS = 15.0
KEEP_SECONDS = 30


class DemandWriter:
    """The server's end: this process's wants, one field in each run's hash."""

    def __init__(self, client: redis.asyncio.Redis, process: str) -> None:
        self._client = client
        self._process = process
        self._refresh = 0

    async def write(self, run: UUID | str, wanted: Iterable[Subscription]) -> None:
        """Say what this process wants of a run; nothing at all removes the field. Raises redis.RedisError."""
        fields = [one.packed() for one in wanted]
        key = demand_key(run)
        if not fields:
            await self._client.hdel(key, self._process)
            return
        self._refresh += 1
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hset(key, self._process, msgpack.packb([self._refresh, fields]))
        pipeline.expire(key, KEEP_SECONDS)
        await pipeline.execute()

    async def aclose(self) -> None:
        await self._client.aclose()


class DemandReader:
    """The worker's end: the union over all server processes that are alive."""

    def __init__(self, client: redis.Redis, run: UUID | str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._key = demand_key(run)
        self._clock = clock
        self._seen: dict[bytes, tuple[bytes, float]] = {}

    def read(self) -> dict[tuple[str, str], Subscription]:
        """What is wanted now, by (node, port). Raises redis.RedisError."""
        now = self._clock()
        fields: dict[bytes, bytes] = self._client.hgetall(self._key)  # type: ignore[assignment]
        seen: dict[bytes, tuple[bytes, float]] = {}
        wanted: list[Subscription] = []
        for process, value in fields.items():
            before = self._seen.get(process)
            changed = now if before is None or before[0] != value else before[1]
            seen[process] = (value, changed)
            if now - changed < STALE_SECONDS:
                wanted += [Subscription(*packed) for packed in msgpack.unpackb(value)[1]]
        self._seen = seen
        return union(wanted)
