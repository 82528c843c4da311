"""The thread that keeps a run's lease and tells the parent that the child is alive."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import Error as DatabaseError
from django.db import connection

from apps.runs.execution.pipe import Pipe

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0


class Lease(threading.Thread):
    """Renews every `every` seconds on its own connection, for as long as the process computes or waits.

    `renew` returns whether this attempt still holds the run. Once it does not, or once no renewal has succeeded for
    `length` seconds (then somebody else may hold it), `on_lost` is called and the thread ends.
    """

    def __init__(
        self,
        renew: Callable[[], bool],
        every: float,
        length: float,
        pipe: Pipe,
        tick: Callable[[], int],
        on_lost: Callable[[], None],
    ) -> None:
        super().__init__(name="run-lease", daemon=True)
        self._renew = renew
        self._every = every
        self._length = length
        self._pipe = pipe
        self._tick = tick
        self._on_lost = on_lost
        self._closing = threading.Event()

    def close(self) -> None:
        self._closing.set()
        self.join()

    def run(self) -> None:
        try:
            if not self._keep():
                self._on_lost()
        finally:
            connection.close()

    def _keep(self) -> bool:
        """Hold the lease until closed (True) or lost (False)."""
        renewed = time.monotonic()
        due = renewed + self._every
        while not self._closing.wait(BEAT_SECONDS):
            self._pipe.send({"op": "beat", "tick": self._tick()})
            now = time.monotonic()
            if now < due:
                continue
            try:
                if not self._renew():
                    logger.warning("the lease of this run was lost to the sweeper or another worker")
                    return False
                renewed, due = now, now + self._every
            except DatabaseError as error:
                connection.close()
                logger.warning("the lease could not be renewed: %s", error)
                if time.monotonic() - renewed > self._length:
                    logger.error("the lease of this run has run out; the run is stopped")  # noqa: TRY400
                    return False
        return True
