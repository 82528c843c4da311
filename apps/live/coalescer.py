"""What waits to be sent for one port: bounded, newest kept."""

from __future__ import annotations

from apps.live.frame import LiveFrame

FRAME_BYTES = 128 * 1024
"""Bytes of values in one frame of several ticks. A single tick larger than this still travels whole."""
OBJECT_FRAMES = 64
"""Ticks of table or text values kept while waiting."""


class Coalescer:
    """Joins the frames of one (node, port) between two sendings into one, so that a low frame rate loses no
    subscribed tick until the byte bound is met; then the oldest ticks go. Used on both ends: by the worker
    between publications and by the server for each viewer, which is what makes a slow viewer cost bounded memory.
    """

    def __init__(self, limit_bytes: int = FRAME_BYTES) -> None:
        self._limit = limit_bytes
        self._waiting: list[LiveFrame] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def nbytes(self) -> int:
        """Bytes of values held; at most twice the limit, or one tick's."""
        return self._bytes

    def add(self, frame: LiveFrame) -> None:
        """Put a later frame behind those that wait."""
        if not isinstance(frame.data, list):
            frame = frame.newest(self._limit)
        self._waiting.append(frame)
        self._bytes += frame.nbytes
        # The oldest whole frames go as soon as the rest alone fills the bound; `take` trims to the tick.
        while len(self._waiting) > 1 and self._bytes - self._waiting[0].nbytes >= self._limit:
            self._bytes -= self._waiting.pop(0).nbytes
        while len(self._waiting) > OBJECT_FRAMES:
            self._bytes -= self._waiting.pop(0).nbytes

    def take(self) -> LiveFrame | None:
        """Everything that waits as one frame, and forget it; None when nothing waits."""
        if not self._waiting:
            return None
        merged = self._waiting[0]
        for frame in self._waiting[1:]:
            merged = merged.followed_by(frame)
        self._waiting.clear()
        self._bytes = 0
        return merged.newest(self._limit)
