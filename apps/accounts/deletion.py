"""The end of an account.

What is the person's alone goes: the account's rows, and the workspaces without another member, with their files. In
workspaces of others the work stays, and so does a row that stands for who did it; it has no name, no address and no way
in.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts import mails, visit
from apps.accounts.models import (
    AccountEvent,
    CodeFailures,
    Passkey,
    PasskeyChallenge,
    RecoveryCode,
    Session,
    TotpDevice,
    User,
)
from apps.ops.refusal import Fault, Refusal
from apps.runs.files import AWAY
from apps.runs.models import Run
from apps.runs.states import ACTIVE
from apps.workspaces.deletion import end_now, purge
from apps.workspaces.domains import MACHINES
from apps.workspaces.members import shut_out
from apps.workspaces.models import IdempotencyKey, Membership, Role, Workspace
from apps.workspaces.scope import scope
from apps.workspaces.selectors import memberships_of
from apps.workspaces.services import audit

log = structlog.get_logger(__name__)

OF_THE_ACCOUNT: Final = (
    EmailAddress, SocialAccount, Session, TotpDevice, Passkey, PasskeyChallenge, RecoveryCode, CodeFailures,
    AccountEvent,
)  # fmt: skip
"""Tables whose rows are one person's alone."""


class StillNeeded(Refusal):
    """Something of the account is in the way of deleting it."""

    code = "account_still_needed"
    title = "The account cannot be deleted yet"


def obstacles(user: User) -> list[Fault]:
    """What has to be done first: workspaces with other members that the person alone owns, and runs that go on."""
    return [fault for found in memberships_of(user) if (fault := _obstacle(user, found)) is not None]


def delete_account(user: User) -> None:
    """Delete it; all or nothing. Workspaces without another member are purged after that.

    Raises `StillNeeded` with every obstacle.
    """
    with transaction.atomic():
        # Others who make the person an owner, or leave, come before or after.
        found = User.objects.select_for_update().get(pk=user.pk)
        memberships = memberships_of(found)
        for one in sorted(memberships, key=lambda membership: membership.workspace_id):
            with scope(one.workspace_id, found.pk):
                Workspace.objects.select_for_update().get(pk=one.workspace_id)
        if faults := obstacles(found):
            raise StillNeeded(faults)
        erased = [one.workspace_id for one in memberships if _leave(found, one)]
        address, name = found.email, found.get_full_name()
        _empty(found)
        context = {"name": name, "visit": visit.current(), "at": timezone.now()}
        mails.post("deleted", address, "Your account was deleted", context)
        # What cannot be done now is done by the sweeper.
        for workspace_id in erased:
            transaction.on_commit(partial(purge, workspace_id, AWAY), robust=True)
    log.info("account_deleted", user_id=str(user.pk), workspaces=len(erased))


def _obstacle(user: User, found: Membership) -> Fault | None:
    name = found.workspace.name
    with scope(found.workspace_id, user.pk):
        others = _others(user)
        if not others.exists():
            running = Run.objects.filter(state__in=ACTIVE).count()
            if running:
                return Fault(name, f"{running} of its runs are not over.", "Cancel them, or wait for their end.")
        elif found.role == Role.OWNER and not others.filter(role=Role.OWNER).exists():
            return Fault(name, "You are its only owner, and others belong to it.", "Make somebody else an owner first.")
    return None


def _others(user: User) -> QuerySet[Membership]:
    """The other people in the workspace in force; its machine is none."""
    return Membership.objects.exclude(user=user).exclude(user__email__endswith=f"@{MACHINES}")


def _leave(user: User, found: Membership) -> bool:
    """Leave a workspace; whether nobody was left in it and it is gone."""
    with scope(found.workspace_id, user.pk):
        if not _others(user).exists():
            end_now(user)
            return True
        IdempotencyKey.objects.filter(actor=user).delete()
        audit(user, "member.leave", found, role=found.role, deleted=True, **shut_out(user.pk))
        Membership.objects.filter(pk=found.pk).delete()
        return False


def _empty(user: User) -> None:
    """Leave of the account what stands for it elsewhere."""
    for model in OF_THE_ACCOUNT:
        model._default_manager.filter(user=user).delete()
    user.email = f"deleted-{user.pk}@invalid"
    user.name, user.time_zone, user.theme = "", "UTC", ""
    user.is_active = user.is_staff = user.is_superuser = False
    user.last_login = user.mfa_since = None
    user.deleted_at = timezone.now()
    user.set_unusable_password()
    user.save()
    user.groups.clear()
    user.user_permissions.clear()
    AccountEvent.objects.create(user=user, action="account.delete")
