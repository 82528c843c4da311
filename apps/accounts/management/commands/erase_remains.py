"""manage.py erase_remains: files of workspaces that are no more."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.deletion import erase_remains


class Command(BaseCommand):
    help = "Delete the files of deleted workspaces that could not be deleted at once. May be repeated."

    def handle(self, *_: Any, **__: Any) -> None:
        done, failed = erase_remains()
        self.stdout.write(f"Deleted the files of {done} workspaces.")
        if failed:
            raise CommandError(f"The files of {failed} workspaces could not be reached. Run this again.")
