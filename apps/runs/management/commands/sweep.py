"""manage.py sweep: the process that looks after runs whose worker or message got lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError
from django.db import connection

from apps.console import impersonation
from apps.runs import exports, recordings
from apps.runs.sweeping import sweep

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Hands on the runs of lost workers and sends lost messages again, every runs.sweep seconds, until SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="one round only")

    def handle(self, *_: Any, once: bool, **__: Any) -> None:
        if once:
            swept = sweep()
            self.stdout.write(f"lost: {swept.lost}, sent again: {swept.resent}, tidied up: {swept.forgotten}")
            return
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        writer = Writer()
        while not stopping.is_set():
            try:
                sweep()
                impersonation.end_expired()
                writer.tend()
            except DatabaseError as error:
                # It comes back, or somebody looks after it; the next round tries again.
                log.warning("sweep_failed", error=str(error))
            finally:
                connection.close()
            stopping.wait(settings.ATTRACTOR.runs.sweep)
        writer.stop()


class Writer:
    """The process that writes exports and puts recordings together, while there are any: it takes its time, and needs
    the engine and memory, all of which this one must not."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def tend(self) -> None:
        """Start it when something waits for it and it is not running."""
        if self._process is not None and self._process.poll() is None:
            return
        if exports.due(1) or recordings.to_gather(recordings.GATHER_AFTER_SECONDS, 1):
            self._process = subprocess.Popen([sys.executable, "-m", "django", "export"])

    def stop(self) -> None:
        """End it; what it was writing is written anew by the next."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
