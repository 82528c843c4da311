"""manage.py deliver: the process that brings messages to webhooks."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from apps.webhooks.courier import Courier


class Command(BaseCommand):
    help = "Delivers messages to webhooks until SIGTERM; those under way are brought to their end."

    def handle(self, *_: Any, **__: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        Courier(stopping).work()
