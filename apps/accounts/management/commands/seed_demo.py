import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from apps.accounts.services import ensure_demo
from apps.ops.away import DATABASE_AWAY

VARIABLE = "ATTRACTOR_DEMO_PASSWORD"


class Command(BaseCommand):
    help = "Make the demo account with its workspace and project, or bring its password up to date."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", default="demo@attractor.local", help="e-mail address to log in with")
        parser.add_argument("--password-file", type=Path, help=f"file with the password; without one ${VARIABLE}")

    def handle(self, *args: Any, **options: Any) -> None:
        password = self._password(options["password_file"])
        try:
            made = ensure_demo(options["email"], password)
        except OperationalError as error:
            raise CommandError(f"{DATABASE_AWAY}\n{error}") from None
        self.stdout.write(f"{'made' if made else 'kept'} {options['email']}")

    def _password(self, file: Path | None) -> str:
        if file is not None and not file.is_file():
            raise CommandError(f"There is no file {file}.")
        password = file.read_text("utf-8").strip() if file else os.environ.get(VARIABLE, "")
        if not password:
            raise CommandError(f"The demo account needs a password: --password-file or ${VARIABLE}.")
        return password
