"""Writes on the tenant boundary."""

import secrets
import uuid
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils.text import slugify

from apps.ops.preconditions import ANY, Precondition
from apps.ops.refusal import Fault, Invalid
from apps.workspaces.models import AuditEvent, Membership, Role, Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import current_workspace_id, scope

if TYPE_CHECKING:
    from apps.accounts.models import User

_SLUG_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def create_personal_workspace(user: "User") -> Workspace:
    """A workspace of one's own, with the user as owner."""
    workspace = Workspace(
        id=uuid.uuid4(),
        slug=_free_slug(user.get_full_name()),
        name=f"{user.get_full_name()}'s workspace",
        personal=True,
    )
    with scope(workspace.id, user.pk):
        workspace.save(force_insert=True)
        Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
        audit(user, "workspace.create", workspace, personal=True)
    return workspace


def add_member(actor: "User", workspace: Workspace, user: "User", role: Role) -> Membership:
    """Let a person into a workspace. Raises `PermissionDenied` unless the actor manages it."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WORKSPACE)
        membership = Membership.objects.create(workspace=workspace, user=user, role=role)
        audit(actor, "member.add", membership, user=str(user.pk), role=role.value)
    return membership


def set_require_mfa(actor: "User", workspace: Workspace, required: bool, precondition: Precondition = ANY) -> Workspace:
    """Let only members with two-step sign-in enter, or everybody again. Open sockets of others end soon.

    Raises:
        PermissionDenied: the actor does not own the workspace.
        Invalid: the actor, who would be kept out, has no two-step sign-in.
        PreconditionRequired, PreconditionFailed: it is not as the actor knows it.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.SECURE_WORKSPACE)
        if required and actor.mfa_since is None:
            raise Invalid(
                [
                    Fault(
                        "require_mfa", "You would keep yourself out.", "Set up two-step sign-in for your account first."
                    )
                ]
            )
        locked = Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        precondition.check(int(locked.require_mfa))
        before, locked.require_mfa = locked.require_mfa, required
        locked.save(update_fields=["require_mfa"])
        audit(actor, "workspace.require_mfa", locked, before=before, after=required)
    return locked


def audit(actor: "User | None", action: str, target: models.Model, /, **data: Any) -> AuditEvent:
    """Note one write in the workspace in force. `actor` None is the system itself; `data` must be JSON."""
    return AuditEvent.objects.create(
        workspace_id=current_workspace_id(),
        actor=actor,
        action=action,
        object_type=target._meta.label_lower,
        object_id=str(target.pk),
        data=data,
    )


def _free_slug(name: str) -> str:
    # The random end keeps names of workspaces from being guessed and two people of one name apart.
    end = "".join(secrets.choice(_SLUG_ALPHABET) for _ in range(8))
    start = slugify(name)[:40].strip("-") or "workspace"
    return f"{start}-{end}"
