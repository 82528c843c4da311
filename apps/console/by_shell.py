"""What `manage.py` does with one account: the command line of it, and refusals as it says them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.core.management.base import CommandError, CommandParser

from apps.ops.refusal import Refusal
from apps.workspaces.missing import NotFound

if TYPE_CHECKING:
    from apps.accounts.models import User


def add_arguments(parser: CommandParser) -> None:
    """Whose account, and why."""
    parser.add_argument("email", help="address of the account")
    parser.add_argument("--reason", required=True, help="why, for the operators' log; the person is told it too")


def do(act: Callable[[str, str], User], email: str, reason: str) -> User:
    """The account with which it is done. Raises `CommandError` for whatever is in the way."""
    try:
        return act(email, reason)
    except NotFound:
        raise CommandError(f"There is no account with the address {email}.") from None
    except Refusal as refused:
        raise CommandError(" ".join(fault.message for fault in refused.faults)) from None
