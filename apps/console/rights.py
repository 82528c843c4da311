"""What an operator may do: a staff account with two-step sign-in, and a right of Django's for each kind of thing."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied

from apps.accounts import acting
from apps.workspaces.domains import MACHINES, domain_of

if TYPE_CHECKING:
    from apps.accounts.models import User


class Right(StrEnum):
    """One kind of thing; a superuser may all of them."""

    LOOK = "look"
    PEOPLE = "manage_people"
    WORKSPACES = "manage_workspaces"
    RUNS = "manage_runs"
    AUDIT = "read_audit"
    SITE = "manage_site"
    IMPERSONATE = "impersonate"


def is_operator(person: User) -> bool:
    """Whether the person is one, whatever the rights."""
    return person.is_active and person.is_staff and person.mfa_since is not None


def is_machine(person: User) -> bool:
    """Whether it is no person, but what keys of a workspace work as."""
    return domain_of(person.email) == MACHINES


def may(person: User, right: Right) -> bool:
    """Whether an operator has a right."""
    return is_operator(person) and person.has_perm(f"console.{right}")


def require(person: User, right: Right) -> None:
    """Raises `PermissionDenied` unless it is an operator with this right, signed in as nobody else and by no key."""
    acting.refuse()
    if person.api_key is not None or not may(person, right):
        raise PermissionDenied(f"This needs an operator's right ({right}). Ask a superuser for it.")
