"""Whether this worker still consumes: after a reconnect some live on and take nothing any more."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

PATIENCE = 4
"""A message that has not come back after this many intervals is lost."""
LOST_IN_A_ROW = 2
"""The first may have been lost by the broker; when the next one is too, nothing is consumed."""


class Canary(threading.Thread):
    """Sends this worker a message through its own queue every `every` seconds while it is idle, and ends the process
    when the messages go out but never come back, so that whoever keeps it running starts it anew.

    `send` puts the message into the queue and says whether the broker took it; `heard` is called by its task. A
    worker with runs is left alone: they need no broker.
    """

    def __init__(
        self,
        every: float,
        idle: Callable[[], bool],
        send: Callable[[], bool],
        give_up: Callable[[], None] = lambda: os._exit(1),
    ) -> None:
        super().__init__(name="worker-canary", daemon=True)
        self._every = every
        self._idle = idle
        self._send = send
        self._give_up = give_up
        self._closing = threading.Event()
        self._sent_at: float | None = None
        self._lost = 0

    def heard(self) -> None:
        """The message came back."""
        self._sent_at = None
        self._lost = 0

    def close(self) -> None:
        self._closing.set()

    def run(self) -> None:
        while not self._closing.wait(self._every):
            sent_at = self._sent_at
            if not self._idle():
                # All slots may be taken, so that the message has to wait; it says nothing then.
                self.heard()
            elif sent_at is None:
                self._post()
            elif time.monotonic() - sent_at > PATIENCE * self._every:
                self._lost += 1
                if self._lost >= LOST_IN_A_ROW:
                    logger.critical("this worker consumes nothing any more; it ends, to be started again")
                    self._give_up()
                    return
                self._post()

    def _post(self) -> None:
        self._sent_at = time.monotonic()
        if not self._send():
            # The broker is away: silence is its fault, not the consumer's.
            self.heard()
