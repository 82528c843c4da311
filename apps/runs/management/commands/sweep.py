"""manage.py sweep: the process that looks after runs whose worker or message got lost."""

from __future__ import annotations

import signal
import threading
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError
from django.db import connection

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
        while not stopping.is_set():
            try:
                sweep()
            except DatabaseError as error:
                # It comes back, or somebody looks after it; the next round tries again.
                log.warning("sweep_failed", error=str(error))
            finally:
                connection.close()
            stopping.wait(settings.ATTRACTOR.runs.sweep)
