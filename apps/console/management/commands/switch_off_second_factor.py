"""manage.py switch_off_second_factor: for who has lost the authenticator and the recovery codes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.mfa import enrolment
from apps.accounts.models import User, UserManager


class Command(BaseCommand):
    help = (
        "Switch two-step sign-in of one account off, for somebody who has lost authenticator and recovery codes. "
        "Make sure first who asks for it. The person is told by mail."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="address of the account")

    def handle(self, *_: Any, **options: Any) -> None:
        user = User.objects.filter(email=UserManager.normalize_email(options["email"])).first()
        if user is None:
            raise CommandError(f"There is no account with the address {options['email']}.")
        if user.mfa_since is None:
            raise CommandError("This account has no two-step sign-in.")
        enrolment.switch_off(user)
        self.stdout.write(f"Two-step sign-in of {user.email} is off.")
