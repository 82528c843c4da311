"""The Valkey stream of one run: names, bounds, and the worker's end of it.

Everything here may be lost at any moment: PostgreSQL has the events and the state, and a viewer that finds a hole
reads it there. An entry has one field, `m`, with a message as `apps.live.codec` packs it.
"""

from __future__ import annotations

from uuid import UUID

import redis

BYTES = 32 * 1024 * 1024
"""Bytes a stream keeps, about: with large frames fewer entries are kept than its length allows."""
FEWEST_ENTRIES = 32
KEEP_SECONDS = 600
"""Life of a stream nobody writes to any more."""
MESSAGE = b"m"


def stream_key(run: UUID | str) -> str:
    return f"run:{run}:live"


def demand_key(run: UUID | str) -> str:
    return f"run:{run}:demand"


class StreamWriter:
    """Appends one run's messages to its stream, in batches of one round trip. `length`: entries kept, about."""

    def __init__(self, client: redis.Redis, run: UUID | str, length: int) -> None:
        self._client = client
        self._key = stream_key(run)
        self._length = length
        self._mean_bytes = 0.0

    def write(self, payloads: list[bytes]) -> None:
        """Append packed messages.

        Raises:
            redis.RedisError: the server is away; what was given is lost and need not be given again.
        """
        pipeline = self._client.pipeline(transaction=False)
        for payload in payloads:
            pipeline.xadd(self._key, {MESSAGE: payload}, maxlen=self._entries(len(payload)), approximate=True)
        pipeline.expire(self._key, KEEP_SECONDS)
        pipeline.execute()

    def _entries(self, size: int) -> int:
        """Entries to keep so that the stream stays within both bounds, given the sizes seen lately."""
        self._mean_bytes += (size - self._mean_bytes) / 32
        return max(FEWEST_ENTRIES, min(self._length, int(BYTES / max(self._mean_bytes, 1.0))))
