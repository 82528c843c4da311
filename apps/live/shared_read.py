"""One read for many who want the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Whoever asks while a read is under way shares the next one, which begins when that is over: what one is given was
    read after one had asked, and a thousand who ask together cost two reads.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], on_idle: Callable[[], object] = lambda: None) -> None:
        """`on_idle` is called when a read is over and nobody has asked for another, however those who asked fared."""
        self._read = read
        self._on_idle = on_idle
        self._under_way: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """What `read` gives, or raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn(self._under_way))
        return await asyncio.shield(self._next)

    async def _in_turn(self, before: asyncio.Task[T] | None) -> T:
        if before is not None:
            await asyncio.wait({before})
        self._under_way, self._next = self._next, None
        try:
            return await self._read()
        finally:
            if self._next is None:
                self._on_idle()
