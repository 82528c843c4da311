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
from apps.live.selectors import in_thread, looked_at

logger = logging.getLogger(__name__)

UNSEEN_SECONDS = 60.0
"""Longest time for which somebody may watch whose permit could not be looked at."""

# Not the pool of the sockets: a round would wait there behind everything that they read.
_in_own_thread = partial(in_thread, executor=ThreadPoolExecutor(1, thread_name_prefix="live-permits"))


class Guest(Protocol):
    """A socket that somebody watches by. What is called is called on the event loop and must not block."""

    permit: Permit

    def permit_changed(self) -> None:
        """The rows of the permit are gone or are others."""

    def permit_unseen(self) -> None:
        """The rows of the permit could not be looked at for too long."""


class Doorkeeper:
    """Compares the permits of all sockets of an event loop with the rows, every `live.recheck` seconds.

    All sockets together cost two queries a round and one transaction of three for each workspace that is watched, so
    that thousands of them can be looked at often enough. At work only while there are any.
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
        # Nobody may watch unseen: whoever is here is looked at alone, and the rounds go on.
        logger.error("the look at permits broke", exc_info=error)
        self._begin()
        for guest in list(self._guests):
            guest.permit_changed()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(settings.ATTRACTOR.live.recheck)
            guests, began = list(self._guests), time.monotonic()
            permits = {guest.permit for guest in guests}
            try:
                valid, unseen = await _in_own_thread(looked_at)(permits)
            except Error as error:
                logger.warning("permits could not be looked at just now: %s", error)
                valid, unseen = set(), permits
            for guest in guests:
                if guest not in self._guests:
                    continue
                if guest.permit in valid:
                    self._guests[guest] = began
                elif began - self._guests[guest] > UNSEEN_SECONDS:
                    guest.permit_unseen()
                elif guest.permit not in unseen:
                    guest.permit_changed()
