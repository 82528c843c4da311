"""Artifacts: files that runs left, that were made of them, or that somebody brought.

A row is written once and never changed. Its file lies in the object storage under the hash of its content, once in a
workspace, however many artifacts have it. What is deleted is a row; the sweeper deletes a file when no row has its
content any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Max, QuerySet, Sum

from apps.accounts import acting
from apps.ops.preconditions import ANY, Precondition
from apps.runs import files
from apps.runs.models import Artifact, DiscardedFile, Export, Run, RunCheckpoint, RunSegment, RunTrail
from apps.runs.states import ACTIVE, FINAL
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import current_workspace_id, reading, scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

REVISION: Final = 1
"""Of every artifact: none is ever changed."""
PARQUET: Final = "application/vnd.apache.parquet"

log = structlog.get_logger(__name__)


# --- Reads, inside the workspace's scope --------------------------------------------------------------------------


def artifacts() -> QuerySet[Artifact]:
    """The workspace's artifacts, newest first."""
    return Artifact.objects.order_by("-created_at", "-id")


def artifact(workspace: Workspace, artifact_id: UUID | str) -> Artifact:
    """One artifact. Raises `NotFound`; opens the workspace's scope itself."""
    with reading(workspace.id):
        found = Artifact.objects.filter(pk=artifact_id).first()
    if found is None:
        raise NotFound(f"artifact {artifact_id}")
    return found


def recording_of(run: Run) -> Artifact | None:
    """What a run recorded, once it is put together."""
    return Artifact.objects.filter(run_id=run.pk, kind=Artifact.Kind.RECORDING).first()


def stored_bytes() -> int:
    """What the files of the workspace's artifacts take, a content that several have once, what checkpoints take that
    have outlived their runs, and what trails of runs take in the database."""
    sizes = Artifact.objects.order_by().values("content").annotate(bytes=Max("size"))
    left = RunCheckpoint.objects.filter(run__state__in=FINAL).aggregate(total=Sum("size", default=0))["total"]
    trails = RunTrail.objects.filter(gone=RunTrail.Gone.NO).aggregate(total=Sum("size", default=0))["total"]
    return int(sizes.aggregate(total=Sum("bytes", default=0))["total"]) + int(left) + int(trails)


def promised_bytes() -> int:
    """What active runs may still record, what others did that is not yet put together, and what active exports may
    write."""
    runs = Run.objects.filter(state__in=ACTIVE).aggregate(total=Sum("recording_bytes", default=0))["total"]
    under_way = Export.objects.filter(state__in=(Export.State.QUEUED, Export.State.RUNNING))
    waiting = (
        RunSegment.objects.order_by().filter(run__state__in=FINAL).aggregate(total=Sum("size", default=0))["total"]
    )
    return int(runs) + int(waiting) + int(under_way.aggregate(total=Sum("reserved_bytes", default=0))["total"])


# --- Writes -------------------------------------------------------------------------------------------------------


def upload(workspace_id: UUID, path: Path, content: str) -> None:
    """Put a file into the storage before `keep` is called: nothing is locked while it takes its time. Raises AWAY.

    Until a row has its content the file counts as discarded: the sweeper deletes it when none comes, for the quota is
    used up, or whoever wrote it was stopped or died. Call it outside a transaction.
    """
    _discard(workspace_id, content)
    files.put(files.stored(workspace_id, content), path)
    # A sweeper that came meanwhile found no file, and forgot it.
    _discard(workspace_id, content)


def _discard(workspace_id: UUID, content: str) -> None:
    """Have the sweeper delete a file, unless an artifact has its content."""
    with scope(workspace_id):
        # Who deletes files holds the row too: nothing is noted in what is just being forgotten.
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
        DiscardedFile.objects.get_or_create(workspace_id=workspace_id, content=content)


def keep(path: Path, content: str, **fields: Any) -> Artifact:
    """Write the row of a file, which `upload` has put into the storage, in the scope and transaction of the caller.

    Args:
        content: the file's SHA-256, in hexadecimal.
        fields: of the row: kind, run, name, media_type, lineage, facts, created_by.

    Raises:
        files.AWAY: the storage does not take it; nothing was written.
    """
    workspace_id = current_workspace_id()
    # Who deletes files holds the row too: the file cannot go between the look whether it is there and the commit. If it
    # went before, it is put there again.
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
    files.put(files.stored(workspace_id, content), path)
    return Artifact.objects.create(workspace_id=workspace_id, content=content, size=path.stat().st_size, **fields)


def delete_artifact(
    actor: User, workspace: Workspace, artifact_id: UUID | str, precondition: Precondition = ANY
) -> None:  # fmt: skip
    """Delete an artifact; its file goes soon after, unless another artifact has the same content.

    Raises:
        NotFound: there is none.
        PermissionDenied: the actor may not delete artifacts here.
        PreconditionRequired, PreconditionFailed: it is not as the actor knows it.
        WhileImpersonating: an operator acts in the actor's name, and this cannot be taken back.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_ARTIFACT)
        acting.refuse()
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        row = Artifact.objects.select_for_update().filter(pk=artifact_id).first()
        if row is None:
            raise NotFound(f"artifact {artifact_id}")
        precondition.check(REVISION)
        _delete(actor, row, "artifact.delete")


def expire(artifact_id: UUID | str) -> bool:
    """Delete an artifact of the workspace in force that was kept long enough; whether it was still there."""
    with scope(current_workspace_id()):
        Workspace.objects.select_for_update(no_key=True).get(pk=current_workspace_id())
        row = Artifact.objects.select_for_update().filter(pk=artifact_id).first()
        if row is not None:
            _delete(None, row, "artifact.expire")
    return row is not None


def _delete(actor: User | None, row: Artifact, action: str) -> None:
    _discard(row.workspace_id, row.content)
    audit(
        actor, action, row, gone=True, kind=row.kind, name=row.name, content=row.content, size=row.size
    )  # fmt: skip
    row.delete()


def drop_file(workspace_id: UUID, content: str) -> bool:
    """Delete a discarded file that no artifact has any more; whether it is dealt with.

    A storage that is away keeps it, and is asked again.
    """
    with scope(workspace_id), transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
        if not Artifact.objects.filter(content=content).exists():
            try:
                files.delete(files.stored(workspace_id, content))
            except files.AWAY as error:
                log.warning("artifact_not_deleted", content=content, error=str(error))
                return False
        DiscardedFile.objects.filter(content=content).delete()
    return True


# --- For the sweeper: ids only, of all workspaces -------------------------------------------------------------------


def discarded(at_most: int = 100) -> list[tuple[UUID, str]]:
    """(workspace, content) of discarded files."""
    return _rows("SELECT workspace_id, content FROM runs_discarded_files(%s)", [at_most])


def outdated(days: int | None, at_most: int = 100) -> list[tuple[UUID, UUID]]:
    """(workspace, artifact) of runs' artifacts that were kept long enough; `days` where a workspace says nothing."""
    return _rows("SELECT workspace_id, artifact_id FROM runs_outdated_artifacts(%s, %s)", [days, at_most])


def _rows(query: str, values: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def lineage(run: Run, **more: Any) -> Mapping[str, Any]:
    """What an artifact says of the run that it comes from."""
    return {"run": str(run.pk), "attempt": run.fence, "result_hash": run.result_hash, **more}
