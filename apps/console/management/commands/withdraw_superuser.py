"""manage.py withdraw_superuser: the way back from createsuperuser."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.console import by_shell, people


class Command(BaseCommand):
    help = (
        "Make an ordinary account of a superuser's: without rights as an operator, and signed out everywhere. The "
        "operators' log says so, and the person is told by mail. Another one is made by createsuperuser."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        by_shell.add_arguments(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        user = by_shell.do(people.withdraw_superuser, options["email"], options["reason"])
        self.stdout.write(f"{user.email} is no superuser any more.")
