"""Print the effective configuration."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """`manage.py show_config [KEY…]`: each key's value and the place that said it; secrets are masked."""

    help = "Print the effective configuration: every key, its value (secrets masked) and where it came from."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("prefix", nargs="*", help="only keys that start so, e.g. database")

    def handle(self, *args: Any, **options: Any) -> None:
        prefixes = tuple(options["prefix"]) or ("",)
        rows = [row for row in settings.LOADED.effective() if row[0].startswith(prefixes)]
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        for key, value, place in rows:
            self.stdout.write(f"{key:{widths[0]}}  {value:{widths[1]}}  {place}")
