"""Writes on who belongs to a workspace, and as what.

Each holds the workspace's row until it is done, so that of two who demote each other, or leave together, the second
sees what the first did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models.functions import Now
from django.dispatch import Signal

from apps.accounts import acting
from apps.ops.preconditions import ANY, Precondition
from apps.ops.refusal import Fault, Invalid
from apps.workspaces.domains import MACHINES, domain_of
from apps.workspaces.missing import NotFound
from apps.workspaces.models import ApiKey, Invitation, Membership, Role, Workspace
from apps.workspaces.permissions import Verb, above, require
from apps.workspaces.refusals import LastOwner, NotForMachines
from apps.workspaces.scope import scope
from apps.workspaces.services import audit, locked_workspace

if TYPE_CHECKING:
    from apps.accounts.models import User

member_leaving: Final = Signal()
"""Sent with `user_id` in the scope and transaction in which somebody leaves or is removed. A receiver closes what the
person has opened to others, and returns how many of what: a dict."""
PEOPLE = (Role.OWNER, Role.ADMIN, Role.EDITOR, Role.VIEWER)
"""Roles that people have; the other is the machine's."""
MANAGING = frozenset({Role.OWNER, Role.ADMIN})
"""Who gives or takes one of these does what harms a workspace in wrong hands, and proves first who it is."""
CHOICES = [(role.value, role.label) for role in PEOPLE]


def add_member(actor: User, workspace: Workspace, user: User, role: Role) -> Membership:
    """Let a person into a workspace.

    Raises:
        PermissionDenied: the actor does not manage it, or the role is above the actor's.
    """
    with scope(workspace.id, actor.pk):
        own = require(actor, Verb.MANAGE_WORKSPACE)
        locked_workspace()
        refuse_above(own.role, role)
        membership = Membership.objects.create(workspace=workspace, user=user, role=role)
        audit(actor, "member.add", membership, user=str(user.pk), role=role.value)
    return membership


def change_role(
    actor: User, workspace: Workspace, member_id: UUID | str, role: str, precondition: Precondition = ANY
) -> Membership:
    """Give a member another role; it holds from the next request on, and at open sockets within `live.recheck` s.

    Raises:
        Invalid: people do not have this role.
        LastOwner: nobody else would be an owner.
        NotForMachines: the member is no person.
        NotFound: there is no such member.
        PermissionDenied: the actor does not manage the workspace, or the role that is given or taken is above the own.
        PreconditionRequired, PreconditionFailed: the member is not as the actor knows it.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WORKSPACE)
        locked_workspace()
        # Again, now that nobody else changes it: the actor may have been demoted while this waited.
        own = require(actor, Verb.MANAGE_WORKSPACE)
        held = _member(member_id)
        precondition.check(held.revision)
        if role not in PEOPLE:
            raise Invalid([Fault("role", "People do not have this role.", f"Give {', '.join(PEOPLE)}.")])
        if is_machine(held):
            raise NotForMachines
        refuse_above(own.role, held.role)
        refuse_above(own.role, role)
        before = held.role
        if before == Role.OWNER and role != Role.OWNER:
            _refuse_last_owner(held)
        held.role, held.revision = role, held.revision + 1
        held.save(update_fields=["role", "revision"])
        audit(actor, "member.change", held, user=str(held.user_id), role=str(role), before_role=before)
    return held


def remove_member(actor: User, workspace: Workspace, member_id: UUID | str, precondition: Precondition = ANY) -> None:
    """Take somebody out of the workspace, and close the ways in that they have opened. Raises as `change_role`."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WORKSPACE)
        locked_workspace()
        own = require(actor, Verb.MANAGE_WORKSPACE)
        held = _member(member_id)
        precondition.check(held.revision)
        if is_machine(held):
            raise NotForMachines
        refuse_above(own.role, held.role)
        _remove(actor, held, "member.remove")


def leave(actor: User, workspace: Workspace) -> None:
    """Belong to the workspace no more.

    Raises:
        LastOwner: somebody else has to be an owner first.
        PermissionDenied: the actor came with an API key.
    """
    with scope(workspace.id, actor.pk):
        if actor.api_key is not None:
            raise PermissionDenied("An API key does not leave. Do it on the site, signed in.")
        acting.refuse()
        require(actor, Verb.READ)
        locked_workspace()
        held = Membership.objects.select_for_update().filter(user_id=actor.pk).first()
        if held is None:
            raise NotFound(f"member {actor.pk}")
        _remove(actor, held, "member.leave")


def transfer(actor: User, workspace: Workspace, member_id: UUID | str) -> Membership:
    """Make a member the owner in the actor's place, who becomes an administrator.

    Raises:
        Invalid: it is the actor.
        NotForMachines, NotFound: as `change_role`.
        PermissionDenied: the actor is no owner.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.OWN_WORKSPACE)
        locked_workspace()
        own = require(actor, Verb.OWN_WORKSPACE)
        held = _member(member_id)
        if held.pk == own.pk:
            raise Invalid([Fault("member", "This is yourself.", "Choose somebody else.")])
        if is_machine(held):
            raise NotForMachines
        for row, role in ((held, Role.OWNER), (own, Role.ADMIN)):
            row.role, row.revision = role, row.revision + 1
            row.save(update_fields=["role", "revision"])
        audit(actor, "workspace.transfer", held, user=str(held.user_id), from_user=str(actor.pk))
    return held


def is_machine(member: Membership) -> bool:
    """Whether it is the machine member, which the workspace's own keys work as."""
    return domain_of(member.user.email) == MACHINES


def refuse_above(own: str, role: str) -> None:
    """Raises `PermissionDenied` for a role above the own one."""
    if above(role, own):
        raise PermissionDenied(f"The role {Role(role).label.lower()} is above your own. Ask an owner.")


def _member(member_id: UUID | str) -> Membership:
    rows = Membership.objects.select_for_update(of=("self",)).select_related("user")
    found = rows.filter(pk=member_id).first()
    if found is None:
        raise NotFound(f"member {member_id}")
    return found


def _refuse_last_owner(leaving: Membership) -> None:
    if not Membership.objects.filter(role=Role.OWNER).exclude(pk=leaving.pk).exists():
        raise LastOwner


def _shut_out(user_id: UUID) -> dict[str, Any]:
    """Close every way into the workspace in force that the person has opened; how many there were of each kind.

    Whoever comes back does not find the old keys and links open, and what one has offered is offered no more.
    """
    keys = ApiKey.objects.filter(user_id=user_id).delete()[0]
    open_ones = Invitation.objects.filter(invited_by_id=user_id, accepted_at=None, revoked_at=None)
    closed: dict[str, Any] = {"keys": keys, "invitations": open_ones.update(revoked_at=Now())}
    for _, more in member_leaving.send(Membership, user_id=user_id):
        closed |= cast(dict[str, int], more)
    return closed


def _remove(actor: User, held: Membership, action: str) -> None:
    if held.role == Role.OWNER:
        _refuse_last_owner(held)
    audit(
        actor, action, held, gone=True, user=str(held.user_id), role=held.role, **_shut_out(held.user_id)
    )  # fmt: skip
    held.delete()
