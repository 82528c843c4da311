"""manage.py export: the process that writes exports and puts recordings together which wait. The sweeper starts it."""

import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand

from apps.runs import exports, recordings
from apps.runs.outages import DAY


class Command(BaseCommand):
    help = "Writes the exports and puts the recordings together that wait, and ends when there are none."

    def handle(self, *_: Any, **__: Any) -> None:
        # What it is at goes back to the queue.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            self._write()
        finally:
            signal.signal(signal.SIGTERM, before)

    def _write(self) -> None:
        recordings.gather_due()
        tried: set[Any] = set()
        while found := [one for one in exports.due(100) if one not in tried]:
            # One over which it failed is not asked twice by one process.
            tried.add(found[0])
            # Nobody waits for this process: what became of an export is told to a database when that is back.
            exports.write_export(*found[0], patience=DAY)
            recordings.gather_due()
