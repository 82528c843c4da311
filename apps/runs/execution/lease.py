"""The thread that keeps a run's lease and tells the parent that the child is alive."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connection

from apps.runs import services
from apps.runs.execution.pipe import Pipe
from apps.runs.execution.thread import RunThread
from apps.runs.models import RunAttempt
from apps.runs.refusals import Fenced

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0


class Lease(RunThread):
    """Renews every `every` seconds on its own connection, for as long as the process computes or waits.

    When the attempt does not hold the run any more, `on_lost` is called and the thread ends. When no renewal has
    succeeded for `length` seconds somebody else may hold it: `on_late` says whether it is given up.
    """

    def __init__(
        self,
        attempt: RunAttempt,
        every: float,
        length: float,
        pipe: Pipe,
        tick: Callable[[], int],
        on_lost: Callable[[str], None],
        on_late: Callable[[], bool],
        on_broken: Callable[[BaseException], None],
    ) -> None:
        super().__init__("run-lease", on_broken)
        self._attempt = attempt
        self._every = every
        self._length = length
        self._pipe = pipe
        self._tick = tick
        self._on_lost = on_lost
        self._on_late = on_late
        self._closing = threading.Event()

    def close(self) -> None:
        self._closing.set()
        self.join()

    def work(self) -> None:
        renewed = time.monotonic()
        due = renewed + self._every
        while not self._closing.wait(min(BEAT_SECONDS, self._every)):
            self._pipe.send({"op": "beat", "tick": self._tick()})
            now = time.monotonic()
            if now < due:
                continue
            try:
                services.renew(self._attempt)
                renewed, due = now, now + self._every
            except Fenced:
                self._on_lost("another worker or the sweeper has the run")
                return
            except (OperationalError, InterfaceError) as error:
                connection.close()
                logger.warning("the lease could not be renewed: %s", error)
                if now - renewed > self._length and self._on_late():
                    return
