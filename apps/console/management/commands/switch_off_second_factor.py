"""manage.py switch_off_second_factor: for who has lost the authenticator and the recovery codes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.console import by_shell, people


class Command(BaseCommand):
    help = (
        "Switch two-step sign-in of one account off, for somebody who has lost authenticator and recovery codes. As by "
        "the console all sessions end, the operators' log says so, and the person is told by mail. Make sure first who "
        "asks for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        by_shell.add_arguments(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        user = by_shell.do(people.reset_second_factor_by_shell, options["email"], options["reason"])
        self.stdout.write(f"Two-step sign-in of {user.email} is off, and all its sessions were ended.")
