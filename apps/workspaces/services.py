"""Writes on the tenant boundary: workspaces and the audit log. Those on members are in `members`."""

import secrets
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.utils.text import slugify

from apps.accounts import acting
from apps.ops.preconditions import ANY, Precondition
from apps.ops.refusal import Fault, Invalid
from apps.workspaces.domains import is_domain
from apps.workspaces.models import AuditEvent, Membership, Role, Visibility, Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.rows import Digested
from apps.workspaces.scope import current_workspace_id, scope, user_scope

if TYPE_CHECKING:
    from apps.accounts.models import User

_SLUG_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
MOST_DOMAINS = 50


def create_personal_workspace(user: "User") -> Workspace:
    """A workspace of one's own, with the user as owner."""
    return _create(user, uuid.uuid4(), f"{user.get_full_name()}'s workspace", _free_slug(user.get_full_name()), True)


def create_workspace(actor: "User", name: str, workspace_id: UUID | None = None) -> Workspace:
    """A workspace with the actor as its owner, under an address that nobody guesses.

    Args:
        workspace_id: its id, where one is known before.

    Raises:
        Invalid: the actor owns as many as one person may.
        PermissionDenied: the actor came with an API key, which belongs to one workspace.
    """
    refuse_key(actor)
    most = settings.ATTRACTOR.workspaces.per_owner
    with user_scope(actor.pk):
        owned = Membership.of_user.filter(user_id=actor.pk, role=Role.OWNER).count()
    if owned >= most:
        mend = "Delete one, or hand one over."
        raise Invalid([Fault("name", f"You own {owned} workspaces, as many as one person may.", mend)])
    return _create(actor, workspace_id or uuid.uuid4(), name, _free_slug(name), False)


def _create(user: "User", workspace_id: UUID, name: str, slug: str, personal: bool) -> Workspace:
    workspace = Workspace(id=workspace_id, slug=slug, name=name, personal=personal)
    with scope(workspace.id, user.pk):
        workspace.save(force_insert=True)
        Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
        audit(user, "workspace.create", workspace, personal=personal, name=name)
    return workspace


def change_workspace(
    actor: "User",
    workspace: Workspace,
    precondition: Precondition = ANY,
    *,
    new_address: bool = False,
    **changes: Any,
) -> Workspace:
    """Change name, allowed_domains or default_visibility.

    Args:
        new_address: draw a new address from the name. From then on nothing answers at the old one.

    Raises:
        Invalid: a value is not allowed; every reason is listed.
        PermissionDenied: the actor does not manage the workspace.
        PreconditionRequired, PreconditionFailed: it is not as the actor knows it.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WORKSPACE)
        held = locked_workspace()
        precondition.check(held.revision)
        if "allowed_domains" in changes:
            changes["allowed_domains"] = _domains(changes["allowed_domains"])
        if changes.get("default_visibility", held.default_visibility) not in Visibility.values:
            raise Invalid([Fault("default_visibility", "There is no such choice.", "Give anyone or signed_in.")])
        for field, value in changes.items():
            setattr(held, field, value)
        if new_address:
            changes["slug"] = held.slug = _free_slug(held.name)
        held.revision += 1
        held.save(update_fields=["revision", *sorted(changes)])
        audit(actor, "workspace.change", held, **changes)
    return held


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
        locked = locked_workspace()
        precondition.check(int(locked.require_mfa))
        before, locked.require_mfa = locked.require_mfa, required
        locked.revision += 1
        locked.save(update_fields=["require_mfa", "revision"])
        audit(actor, "workspace.require_mfa", locked, required=required, required_before=before)
    return locked


def _domains(given: Sequence[str]) -> list[str]:
    found = sorted({one.strip().lower().removeprefix("@") for one in given} - {""})
    faults = [
        Fault("allowed_domains", f"{one[:80]} is no domain.", "Give names such as example.org.")
        for one in found
        if not is_domain(one)
    ]
    if len(found) > MOST_DOMAINS:
        faults.append(Fault("allowed_domains", f"There are {len(found)}.", f"Give at most {MOST_DOMAINS}."))
    if faults:
        raise Invalid(faults)
    return found


def locked_workspace() -> Workspace:
    """The workspace in force, its row held until the transaction ends: whoever changes members comes one by one."""
    return Workspace.objects.select_for_update(no_key=True).get(pk=current_workspace_id())


def refuse_key(actor: "User") -> None:
    """Raises `PermissionDenied` for somebody who came with an API key, or acts in another's name."""
    acting.refuse()
    if actor.api_key is not None:
        raise PermissionDenied("An API key belongs to one workspace. Do this on the site, signed in.")


def audit(actor: "User | None", action: str, target: Digested, /, *, gone: bool = False, **data: Any) -> AuditEvent:
    """Note one write in the workspace in force, after it is done, or before a row is deleted.

    Args:
        actor: None is the system itself.
        gone: the row is deleted by it.
        data: JSON-able facts, without secrets.
    """
    before = target.digest_before()
    as_ = acting.current()
    if as_ is not None:
        # Both are named, whichever of them is the actor.
        data = {**data, "impersonated_by": as_.operator, "impersonated": as_.user}
    return AuditEvent.objects.create(
        workspace_id=current_workspace_id(),
        actor=actor,
        key=None if actor is None or actor.api_key is None else actor.api_key.pk,
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
        action=action,
        object_type=target._meta.label_lower,
        object_id=str(target.pk),
        before=before,
        after="" if gone else target.digest_now(),
        data=data,
    )


def _free_slug(name: str) -> str:
    # The random end keeps names of workspaces from being guessed and two people of one name apart.
    end = "".join(secrets.choice(_SLUG_ALPHABET) for _ in range(8))
    start = slugify(name)[:40].strip("-") or "workspace"
    return f"{start}-{end}"
