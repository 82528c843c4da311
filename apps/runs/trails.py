"""Trails of runs: counted as storage, and deleted with the artifacts of their run's age.

A trail that is not there (any more) leaves a row that says why.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connection

from apps.runs.models import Run, RunTrail
from apps.runs.quotas import storage_faults
from apps.runs.verdicts import KeptTrail
from apps.workspaces.scope import current_workspace_id, scope
from apps.workspaces.services import audit


def keep_trail(run: Run, trail: KeptTrail | None) -> dict[str, Any] | None:
    """Keep the trail of a run that has come to its end, inside the transaction that writes the end.

    Where the storage is used up it is not kept, for a run must not fail of it; the payload of the event that says so.
    """
    if trail is None:
        return None
    # The workspace's row is not held: ends of runs do not wait for each other, and a trail is small.
    if storage_faults(len(trail.digests)):
        RunTrail.objects.create(
            workspace_id=run.workspace_id, run=run, description={}, digests=b"", gone=RunTrail.Gone.NO_ROOM
        )
        message = (
            "The storage of the workspace is used up, so that no trail of the run is kept: a reproduction of it is "
            "compared by the result hash alone."
        )
        return {"level": "warning", "node": None, "message": message, "data": {}}
    RunTrail.objects.create(
        workspace_id=run.workspace_id, run=run, description=dict(trail.description), digests=trail.digests
    )
    return None


def expire_trail(run_id: UUID | str) -> bool:
    """Delete the trail of a run of the workspace in force that was kept long enough; whether it was still there."""
    with scope(current_workspace_id()):
        row = RunTrail.objects.select_for_update(of=("self",)).select_related("run").filter(run_id=run_id).first()
        if row is None or row.gone:
            return False
        run, size = row.run, row.size
        # A row is never changed.
        row.delete()
        RunTrail.objects.create(
            workspace_id=run.workspace_id, run=run, description={}, digests=b"", gone=RunTrail.Gone.EXPIRED
        )
        audit(None, "trail.expire", run, size=size)
    return True


def outdated_trails(days: int | None, at_most: int = 100) -> list[tuple[UUID, UUID]]:
    """(workspace, run) of trails that were kept long enough, in any workspace; `days` where a workspace says nothing.
    For the sweeper, ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, run_id FROM runs_outdated_trails(%s, %s)", [days, at_most])
        return list(cursor.fetchall())
