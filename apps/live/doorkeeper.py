"""Looks again and again whether those who watch still may."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from django.conf import settings
from django.db import Error

from apps.live.ending import end
from apps.live.permit import Permit
from apps.live.selectors import in_thread, permits_now

logger = logging.getLogger(__name__)

UNSEEN_SECONDS = 60.0
"""Longest time for which somebody may watch whose permit could not be looked at."""

# Not the pool of the sockets: a round would wait there behind everything that they read.
_in_own_thread = partial(in_thread, executor=ThreadPoolExecutor(1, thread_name_prefix="live-permits"))


class Guest(Protocol):
    """A socket that somebody watches by. What is called is called on the event loop and must not block."""

    permit: Permit

    def permit_is(self, now: Permit | None) -> None:
        """The rows of the permit are others, or (None) do not allow it any more."""

    def permit_unseen(self) -> None:
        """The rows of the permit could not be looked at for too long."""


class Doorkeeper:
    """Compares the permits of all sockets of an event loop with the rows, every `live.recheck` seconds.

    All sockets together cost three queries a round, and whatever a round finds is known without a further one: so that
    thousands of them, in as many workspaces, can be looked at often enough. At work only while there are any.
    """

    def __init__(self) -> None:
        self._guests: dict[Guest, float] = {}
        self._rounds: asyncio.Task[None] | None = None

    def admit(self, guest: Guest) -> None:
        """Look at a guest whose permit was made just now from the rows."""
        self._guests[guest] = time.monotonic()
        if self._rounds is None:
            self._begin()

    async def dismiss(self, guest: Guest) -> None:
        self._guests.pop(guest, None)
        if not self._guests and self._rounds is not None:
            rounds, self._rounds = self._rounds, None
            await end([rounds])

    def _begin(self) -> None:
        self._rounds = asyncio.create_task(self._look(), name="live-permits")
        self._rounds.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None or task is not self._rounds:
            return
        logger.error("the look at permits broke", exc_info=error)
        self._begin()
        self._send_unseen_away()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(settings.ATTRACTOR.live.recheck)
            guests, began = list(self._guests), time.monotonic()
            seen: dict[Permit, Permit | None] = {}
            try:
                seen = await _in_own_thread(permits_now)({guest.permit for guest in guests})
            except Error as error:
                logger.warning("permits could not be looked at just now: %s", error)
            for guest in guests:
                if guest not in self._guests or guest.permit not in seen:
                    continue
                self._guests[guest] = began
                if (now := seen[guest.permit]) != guest.permit:
                    guest.permit_is(now)
            self._send_unseen_away()

    def _send_unseen_away(self) -> None:
        """Nobody may watch for ever whose permit no round could look at."""
        now = time.monotonic()
        for guest, seen in list(self._guests.items()):
            if now - seen > UNSEEN_SECONDS:
                guest.permit_unseen()
