"""Looks again and again whether those who watch still may."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError

from apps.live.ending import end
from apps.live.permit import Permit
from apps.live.selectors import in_thread, unchanged

logger = logging.getLogger(__name__)


class Guest(Protocol):
    """A socket that somebody watches by."""

    permit: Permit

    def permit_changed(self) -> None:
        """The rows of the permit are gone or are others. Called on the event loop; must not block."""


class Doorkeeper:
    """Compares the permits of all sockets of an event loop with the rows, every `live.recheck` seconds.

    All sockets together cost two queries a round and one transaction of three for each workspace that is watched, so
    that thousands of them can be looked at often enough. At work only while there are any.
    """

    def __init__(self) -> None:
        self._guests: set[Guest] = set()
        self._rounds: asyncio.Task[None] | None = None

    def admit(self, guest: Guest) -> None:
        self._guests.add(guest)
        if self._rounds is None:
            self._rounds = asyncio.create_task(self._look(), name="live-permits")
            self._rounds.add_done_callback(self._on_end)

    async def dismiss(self, guest: Guest) -> None:
        self._guests.discard(guest)
        if not self._guests and self._rounds is not None:
            rounds, self._rounds = self._rounds, None
            await end([rounds])

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            # Nobody may watch unseen: whoever is here is looked at alone, and the next to come starts anew.
            logger.error("the look at permits broke", exc_info=error)
            self._rounds = None
            for guest in list(self._guests):
                guest.permit_changed()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(settings.ATTRACTOR.live.recheck)
            guests = list(self._guests)
            try:
                valid = await in_thread(unchanged)({guest.permit for guest in guests})
            except DatabaseError as error:
                # Nobody can take a permission away meanwhile either.
                logger.warning("permits could not be looked at just now: %s", error)
                continue
            for guest in guests:
                if guest.permit not in valid and guest in self._guests:
                    guest.permit_changed()
