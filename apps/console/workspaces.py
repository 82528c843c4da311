"""What operators do with workspaces. Each leaves an event in their log and one in the workspace's."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.utils import timezone

from apps.console.log import given, note
from apps.console.rights import Right, require
from apps.ops.refusal import Fault, Invalid, Refusal
from apps.runs.services import cancel_all
from apps.workspaces import plans
from apps.workspaces.missing import NotFound
from apps.workspaces.models import QuotaGrant, Workspace
from apps.workspaces.refusals import NotClosing
from apps.workspaces.scope import scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

MOST = 2**53
"""Largest quota: whole numbers are exact up to here."""


class Suspended(Refusal):
    """It is suspended, or it is not, which this needs otherwise."""

    code = "workspace_suspension"
    title = "The workspace is not as this needs it"


def suspend(actor: User, workspace_id: UUID, reason: str, *, cancel_runs: bool = False) -> Workspace:
    """Let a workspace only be read; shared links lead nowhere.

    Args:
        cancel_runs: cancel what waits or is computed too; else it goes on to its end.

    Raises:
        Invalid: there is no reason.
        NotFound: there is no such workspace.
        PermissionDenied: the actor has no right to.
        Suspended: it is already.
    """
    require(actor, Right.WORKSPACES)
    why = given(reason)
    with scope(workspace_id):
        held = _locked(workspace_id)
        if held.suspended_at is not None:
            raise Suspended([Fault("workspace", "It is suspended already.", "There is nothing more to do.")])
        if cancel_runs:
            cancel_all(actor)
        held.suspended_at = timezone.now()
        held.revision += 1
        held.save(update_fields=["suspended_at", "revision"])
        audit(actor, "workspace.suspend", held, reason=why, cancel_runs=cancel_runs)
        note(actor, "workspace.suspend", held, why, cancel_runs=cancel_runs)
    return held


def resume(actor: User, workspace_id: UUID, reason: str) -> Workspace:
    """Let a suspended workspace be used again. Raises as `suspend`.

    The time that it was suspended is none of the days in which an owner can restore it: no owner could.
    """
    require(actor, Right.WORKSPACES)
    why = given(reason)
    with scope(workspace_id):
        held = _locked(workspace_id)
        if held.suspended_at is None:
            raise Suspended([Fault("workspace", "It is not suspended.", "There is nothing to take back.")])
        if held.delete_at is not None:
            held.delete_at += timezone.now() - held.suspended_at
        held.suspended_at = None
        held.revision += 1
        held.save(update_fields=["suspended_at", "delete_at", "revision"])
        audit(actor, "workspace.resume", held, reason=why)
        note(actor, "workspace.resume", held, why)
    return held


def end_grace(actor: User, workspace_id: UUID, slug: str, reason: str) -> Workspace:
    """Have a workspace that an owner has deleted purged by the sweeper's next round, and not after its days of grace.

    Args:
        slug: its own, typed: nobody does this by mistake.

    Raises:
        Invalid: the slug is another, or there is no reason.
        NotClosing: nobody has deleted it.
        NotFound, PermissionDenied: as `suspend`.
        Suspended: it is, and nothing of it is deleted until that is taken back.
    """
    require(actor, Right.WORKSPACES)
    why = given(reason)
    with scope(workspace_id):
        held = _locked(workspace_id)
        if held.delete_at is None:
            raise NotClosing([Fault("workspace", "No owner has deleted it.", "Suspend it, if it has to stop.")])
        if held.suspended_at is not None:
            raise Suspended([Fault("workspace", "It is suspended, so nothing of it is deleted.", "Resume it first.")])
        if slug.strip() != held.slug:
            raise Invalid([Fault("slug", "This is not its address.", f"Type {held.slug}.")])
        before, held.delete_at = held.delete_at, timezone.now()
        held.revision += 1
        held.save(update_fields=["delete_at", "revision"])
        audit(actor, "workspace.end_grace", held, reason=why, delete_at_before=before.isoformat())
        note(actor, "workspace.end_grace", held, why, slug=held.slug, delete_at_before=before.isoformat())
    return held


def set_quota(actor: User, workspace_id: UUID, name: str, value: float | None, reason: str) -> float:
    """Set one quota of a workspace, over what its plan says; what counts from now on.

    Args:
        value: the most; None: what the plan says counts again.

    Raises:
        Invalid: there is no such quota, the value is out of range, or there is no reason.
        NotFound, PermissionDenied: as `suspend`.
    """
    require(actor, Right.WORKSPACES)
    why = given(reason)
    if name not in plans.NAMES:
        raise Invalid([Fault("quota", "There is none of this name.", f"Choose from {', '.join(plans.NAMES)}.")])
    # As large as it likes may only be what is a float by its nature.
    if value is not None and not (value >= 0 and (name == "flops" or (value <= MOST and value == int(value)))):
        raise Invalid([Fault("value", f"{value:g} is out of range.", f"Give a whole number from 0 to {MOST}.")])
    with scope(workspace_id):
        held = _locked(workspace_id)
        before = getattr(plans.quotas(), name)
        rows = QuotaGrant.objects.filter(name=name)
        if value is None:
            rows.delete()
        elif not rows.update(value=value):
            QuotaGrant.objects.create(workspace_id=workspace_id, name=name, value=value)
        now = getattr(plans.quotas(), name)
        facts = {"name": name, "value": now, "value_before": before, "as_the_plan": value is None}
        audit(actor, "quota.change", held, reason=why, **facts)
        note(actor, "quota.change", held, why, **facts)
    return float(now)


def _locked(workspace_id: UUID) -> Workspace:
    found = Workspace.objects.select_for_update(no_key=True).filter(pk=workspace_id).first()
    if found is None:
        raise NotFound(f"workspace {workspace_id}")
    return found
