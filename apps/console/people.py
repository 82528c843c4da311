"""What operators do with accounts. Each act leaves an event in their log and one in the person's own; each look, one in
theirs.

Two things can also be done by whoever has the server's shell (`manage.py`): there nobody is asked who it is, the event
names no operator, and everything else is the same.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final
from uuid import UUID

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet

from apps.accounts import acting, visit
from apps.accounts.mfa import enrolment
from apps.accounts.models import Session, User, UserManager
from apps.accounts.notices import Notice, tell
from apps.console import impersonation, rights
from apps.console.log import given, note
from apps.console.rights import Right
from apps.ops.refusal import Fault, Refusal
from apps.workspaces.domains import MACHINES
from apps.workspaces.missing import NotFound

if TYPE_CHECKING:
    from django.http import HttpRequest

SAFE: Final = "Choose another account."
SHELL: Final = "manage.py"
_STATES: Final = {"active": Q(is_active=True), "off": Q(is_active=False), "operators": Q(is_staff=True)}


class NotSo(Refusal):
    """The account is not in the state that this needs."""

    code = "account_state"
    title = "The account is not as this needs it"


def deactivate(actor: User, user_id: UUID, reason: str) -> User:
    """Switch an account off: it is signed out everywhere, its keys open nothing, and nobody signs in to it.

    Raises:
        Invalid: there is no reason.
        NotSo: it is off already.
        PermissionDenied: the actor has no right to, it is the actor's own, or an operator's and the actor no superuser.
    """
    why = given(reason)
    with transaction.atomic():
        user = _held(actor, user_id)
        if not user.is_active:
            raise _not_so("It is switched off already.")
        user.is_active = False
        user.save(update_fields=["is_active"])
        sessions = _end_sessions(user)
        note(actor, "person.deactivate", user, why, sessions=sessions)
        _tell(user, Notice.DEACTIVATED, reason=why)
    return user


def reactivate(actor: User, user_id: UUID, reason: str) -> User:
    """Switch an account on again. Raises as `deactivate`; `NotSo`: it is on, or the person has deleted it."""
    why = given(reason)
    with transaction.atomic():
        user = _held(actor, user_id)
        if user.is_active:
            raise _not_so("It is switched on.")
        if user.deleted_at is not None:
            raise _not_so("The person has deleted it.")
        user.is_active = True
        user.save(update_fields=["is_active"])
        note(actor, "person.reactivate", user, why)
        _tell(user, Notice.REACTIVATED)
    return user


def sign_out(actor: User, user_id: UUID, reason: str) -> int:
    """Sign an account out everywhere; how many sessions there were. Raises as `deactivate`."""
    why = given(reason)
    with transaction.atomic():
        user = _held(actor, user_id)
        sessions = _end_sessions(user)
        note(actor, "person.sign_out", user, why, sessions=sessions)
        _tell(user, Notice.ENDED_BY_OPERATOR, reason=why)
    return sessions


def reset_second_factor(actor: User, user_id: UUID, reason: str) -> User:
    """Ask for no second factor any more, for who has lost it, and end all sessions.

    Raises as `deactivate`; `NotSo`: there is none.
    """
    why = given(reason)
    with transaction.atomic():
        user = _held(actor, user_id)
        _reset_second_factor(actor, user, why)
    return user


def reset_second_factor_by_shell(email: str, reason: str) -> User:
    """The same, for `manage.py`. Raises `Invalid`: there is no reason; `NotFound`; `NotSo`: there is none."""
    why = given(reason)
    with transaction.atomic():
        user = _with_address(email)
        _reset_second_factor(None, user, why, by=SHELL)
    return user


def _reset_second_factor(actor: User | None, user: User, why: str, **data: str) -> None:
    if user.mfa_since is None:
        raise _not_so("It has no two-step sign-in.")
    with visit.of_nobody():
        enrolment.switch_off(user, reason=why)
    sessions = _end_sessions(user)
    note(actor, "person.reset_second_factor", user, why, sessions=sessions, **data)


def resend_confirmation(actor: User, user_id: UUID, reason: str, request: HttpRequest | None = None) -> str:
    """Send the link by which the person confirms the address once more; which address that is.

    Args:
        request: for the site's name in the link.

    Raises as `deactivate`; `NotSo`: there is nothing to confirm.
    """
    why = given(reason)
    with transaction.atomic():
        user = _held(actor, user_id)
        address = EmailAddress.objects.filter(user=user, verified=False).order_by("primary", "pk").last()
        if not user.is_active or (address is None and EmailAddress.objects.filter(user=user).exists()):
            raise _not_so("It has no address that waits to be confirmed.")
        if address is None:
            address = EmailAddress.objects.create(user=user, email=user.email, primary=True)
        note(actor, "person.resend_confirmation", user, why, email=address.email)
        _tell(user, Notice.CONFIRMATION_SENT, email=address.email, reason=why)
        sent = address
        transaction.on_commit(lambda: sent.send_confirmation(request))
    return str(address.email)


def set_rights(actor: User, user_id: UUID, staff: bool, chosen: Collection[Right], reason: str) -> User:
    """Say whether somebody is an operator, and what the person may do as one.

    Raises:
        Invalid: there is no reason.
        NotSo: the account is off.
        PermissionDenied: the actor is no superuser, or it is the actor's own account or another superuser's.
    """
    why = given(reason)
    if not actor.is_superuser:
        raise PermissionDenied("Only a superuser says who is an operator.")
    with transaction.atomic():
        user = _held(actor, user_id)
        if user.is_superuser:
            raise PermissionDenied(f"A superuser may everything. It ends by {SHELL} withdraw_superuser only.")
        if not user.is_active:
            raise _not_so("It is switched off.")
        held = sorted(chosen) if staff else []
        before = rights_of(user)
        user.is_staff = staff
        user.save(update_fields=["is_staff"])
        impersonation.end_all_of(user)
        if staff:
            impersonation.end_all_in_name_of(user)
        user.groups.clear()
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="console", codename__in=[str(one) for one in held])
        )
        note(
            actor, "person.set_rights", user, why, staff=staff, rights=[str(one) for one in held],
            rights_before=[str(one) for one in before],
        )  # fmt: skip
        _tell(user, Notice.RIGHTS, reason=why)
    return user


def withdraw_superuser(email: str, reason: str) -> User:
    """Make an ordinary account of a superuser's, and end its sessions. For `manage.py`: no superuser does it to one.

    Raises:
        Invalid: there is no reason.
        NotFound: there is no such account.
        NotSo: it is no superuser's.
    """
    why = given(reason)
    with transaction.atomic():
        user = _with_address(email)
        if not user.is_superuser:
            raise _not_so("It is no superuser's.")
        user.is_superuser = user.is_staff = False
        user.save(update_fields=["is_superuser", "is_staff"])
        user.groups.clear()
        user.user_permissions.clear()
        sessions = _end_sessions(user)
        note(None, "person.withdraw_superuser", user, why, sessions=sessions, by=SHELL)
        _tell(user, Notice.RIGHTS, reason=why)
    return user


def rights_of(user: User) -> list[Right]:
    """What the person may as an operator, by own permissions."""
    held = user.user_permissions.filter(content_type__app_label="console").values_list("codename", flat=True)
    return [right for right in Right if right in set(held)]


def person(actor: User, user_id: UUID) -> User:
    """An account, to look at, which is noted. Raises `NotFound`, `PermissionDenied`."""
    rights.require(actor, Right.PEOPLE)
    found = User.objects.filter(pk=user_id).first()
    if found is None:
        raise NotFound(f"person {user_id}")
    note(actor, "person.look", found)
    return found


def listed(actor: User, sought: str, state: str) -> QuerySet[User]:
    """Accounts, the newest first, without those of machines; the look is noted.

    Args:
        sought: part of an address or name; empty: all.
        state: active, off or operators; empty: all.

    Raises `PermissionDenied`.
    """
    rights.require(actor, Right.PEOPLE)
    found = User.objects.exclude(email__endswith=f"@{MACHINES}").order_by("-date_joined", "pk")
    if sought:
        found = found.filter(Q(email__icontains=sought) | Q(name__icontains=sought))
    if state:
        found = found.filter(_STATES[state])
    asked = {"sought": sought, "state": state}
    note(actor, "people.list", None, **{name: value for name, value in asked.items() if value})
    return found


def _held(actor: User, user_id: UUID) -> User:
    """The account, its row held, if the actor may do something with it."""
    acting.refuse()
    rights.require(actor, Right.PEOPLE)
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None or rights.is_machine(user):
        raise NotFound(f"person {user_id}")
    if user.pk == actor.pk:
        raise PermissionDenied("This is your own account. Ask another operator.")
    if (user.is_staff or user.is_superuser) and not actor.is_superuser:
        raise PermissionDenied("This is an operator's account. Ask a superuser.")
    return user


def _with_address(email: str) -> User:
    """The account, its row held, for whoever has the server's shell. Raises `NotFound`."""
    user = User.objects.select_for_update(no_key=True).filter(email=UserManager.normalize_email(email)).first()
    if user is None or rights.is_machine(user):
        raise NotFound("person")
    return user


def _end_sessions(user: User) -> int:
    """All of them, and what goes on in them in somebody else's name."""
    impersonation.end_all_of(user)
    return Session.objects.filter(user=user).delete()[0]


def _tell(user: User, notice: Notice, **facts: str) -> None:
    # The address from which an operator works is nothing that the person's log should say.
    with visit.of_nobody():
        tell(user, notice, **facts)


def _not_so(message: str) -> NotSo:
    return NotSo([Fault("account", message, SAFE)])
