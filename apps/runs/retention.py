"""For how long a workspace keeps what its runs left; the sweeper holds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from apps.ops.preconditions import ANY, Precondition
from apps.runs.models import Retention
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import current_workspace_id, scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User


def retention() -> Retention:
    """That of the workspace in force; without a row of its own the configuration's, unsaved."""
    own = Retention.objects.first()
    usual = settings.ATTRACTOR.runs.keep_days
    unsaid = Retention(workspace_id=current_workspace_id(), revision=0, artifact_days=usual, checkpoint_days=0)
    return own or unsaid


def shortens(artifact_days: int | None, checkpoint_days: int) -> bool:
    """Whether with these something of the workspace in force would be deleted that is kept now."""
    now = retention()
    sooner = artifact_days is not None and (now.artifact_days is None or artifact_days < now.artifact_days)
    return sooner or checkpoint_days < now.checkpoint_days


def keep_for(
    actor: User, workspace: Workspace, artifact_days: int | None, checkpoint_days: int,
    precondition: Precondition = ANY,
) -> Retention:  # fmt: skip
    """Set it.

    Args:
        artifact_days: for which artifacts of runs are kept, from when they were made; None: for ever.
        checkpoint_days: for which checkpoints outlive their run.

    Raises:
        PermissionDenied: the actor does not manage the workspace.
        PreconditionRequired, PreconditionFailed: it is not as the actor knows it.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WORKSPACE)
        # Two who set it at once come one after the other, also where there is no row yet.
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        row = retention()
        precondition.check(row.revision)
        row.revision, row.artifact_days, row.checkpoint_days = row.revision + 1, artifact_days, checkpoint_days
        row.save()
        audit(actor, "retention.set", row, artifact_days=artifact_days, checkpoint_days=checkpoint_days)
    return row
