"""A thread of a run whose log lines carry the run's ids."""

from __future__ import annotations

import contextvars
import logging
import threading
from abc import abstractmethod
from collections.abc import Callable

from django.db import connection

logger = logging.getLogger(__name__)


class RunThread(threading.Thread):
    """Runs `work` in the context variables of whoever made it, and gives its database connection back at the end.

    What `work` raises is logged and handed to `on_broken`: no thread of a run ends unnoticed.
    """

    def __init__(self, name: str, on_broken: Callable[[BaseException], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._on_broken = on_broken
        self._context = contextvars.copy_context()

    def run(self) -> None:
        try:
            self._context.run(self.work)
        except BaseException as error:  # noqa: BLE001 handed on, whatever it is
            self._context.run(logger.error, "a thread of the run broke", exc_info=error)
            self._on_broken(error)
        finally:
            connection.close()

    @abstractmethod
    def work(self) -> None:
        """What the thread does."""
