"""manage.py end_sessions: signs a person, or everybody, out of every browser."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts import endings
from apps.accounts.models import User, UserManager


class Command(BaseCommand):
    help = (
        "Sign the browsers of one account out, or with --everybody those of all. Sockets close within live.recheck "
        "seconds. API keys stay: they are revoked on their own."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("email", nargs="?", help="address of the account")
        whose.add_argument("--everybody", action="store_true", help="end every session there is")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["everybody"]:
            self.stdout.write(f"{endings.end_all_sessions()} sessions were ended.")
            return
        user = User.objects.filter(email=UserManager.normalize_email(options["email"])).first()
        if user is None:
            raise CommandError(f"There is no account with the address {options['email']}.")
        self.stdout.write(f"{endings.end_other_sessions(user, None)} sessions of {user.email} were ended.")
