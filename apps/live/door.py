"""Where those who open a socket wait to be let in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

from apps.live.permit import Permit
from apps.live.selectors import Knock, Watched, in_thread, let_in
from apps.workspaces.missing import NotFound

Answer: TypeAlias = tuple[Watched, Permit] | None

AT_ONCE = 250
"""Most that one look answers, so that nobody waits for a crowd that came later."""


class Door:
    """Answers all who knocked during one look by the next: when a thousand clients come back at once, as after a
    restart, most of what they read is the same, and each way to the database and back is gone once for all of them.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Knock, asyncio.Future[Answer]]] = deque()
        self._looking: asyncio.Task[None] | None = None

    async def let_in(self, knock: Knock) -> tuple[Watched, Permit]:
        """The run, and by what it may be watched; as it was after the knock. Raises NotFound, whatever the reason."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((knock, answer))
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="live-door")
        if (found := await answer) is None:
            raise NotFound(f"run {knock.run_id}")
        return found

    async def _look(self) -> None:
        try:
            while self._waiting:
                these = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                await self._answer(these)
        finally:
            self._looking = None

    async def _answer(self, these: Sequence[tuple[Knock, asyncio.Future[Answer]]]) -> None:
        look = in_thread(let_in)([knock for knock, _ in these])
        found: list[Answer] | BaseException
        (found,) = await asyncio.gather(look, return_exceptions=True)
        for number, (_, answer) in enumerate(these):
            if answer.done():  # who knocked is gone
                continue
            if isinstance(found, BaseException):
                answer.set_exception(found)
            else:
                answer.set_result(found[number])
