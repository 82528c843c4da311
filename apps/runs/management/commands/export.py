"""manage.py export: the process that writes exports and puts recordings together which wait. The sweeper starts it."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.runs import exports, recordings


class Command(BaseCommand):
    help = "Writes the exports and puts the recordings together that wait, and ends when there are none."

    def handle(self, *_: Any, **__: Any) -> None:
        recordings.gather_due()
        put_off: set[Any] = set()
        while found := [one for one in exports.due(100) if one not in put_off]:
            # One whose storage is away waits again; it is not asked twice by one process.
            put_off.add(found[0])
            exports.write_export(*found[0])
            recordings.gather_due()
