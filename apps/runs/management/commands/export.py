"""manage.py export: the process that writes exports which wait. The sweeper starts it when there are any."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.runs import exports


class Command(BaseCommand):
    help = "Writes the exports that wait, and ends when there are none."

    def handle(self, *_: Any, **__: Any) -> None:
        put_off: set[Any] = set()
        while found := [one for one in exports.due(100) if one not in put_off]:
            # One whose storage is away waits again; it is not asked twice by one process.
            put_off.add(found[0])
            exports.write_export(*found[0])
