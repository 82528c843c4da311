"""For how long a workspace keeps what its runs left; the sweeper holds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

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
    return own or Retention(workspace_id=current_workspace_id(), artifact_days=usual, checkpoint_days=0)


def keep_for(actor: User, workspace: Workspace, artifact_days: int | None, checkpoint_days: int) -> Retention:
    """Set it.

    Args:
        artifact_days: for which artifacts of runs are kept, from when they were made; None: for ever.
        checkpoint_days: for which checkpoints outlive their run.

    Raises:
        PermissionDenied: the actor does not manage the workspace.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WORKSPACE)
        row, _ = Retention.objects.update_or_create(
            workspace_id=workspace.pk,
            defaults={"artifact_days": artifact_days, "checkpoint_days": checkpoint_days},
        )  # fmt: skip
        audit(actor, "retention.set", row, artifact_days=artifact_days, checkpoint_days=checkpoint_days)
    return row
