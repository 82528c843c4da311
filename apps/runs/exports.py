"""Exports: what a run recorded, or the points of a sweep or fit, written in another format as an artifact.

Small ones are written while one waits, the others by `manage.py export`. Whoever writes one claims it with a number,
and every write names it: a writer that was slow, dead or told to stop writes nothing.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.ops.refusal import Fault
from apps.runs import artifacts, files, recordings, scratch
from apps.runs.models import Artifact, Export, Run
from apps.runs.point_table import point_table, table_bytes
from apps.runs.quotas import storage_faults
from apps.runs.refusals import ExportIsOver, FormatNotAllowed, NothingRecorded, QuotaExceeded, RecordingPending
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import reading, scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User
    from attractor.recording.column import Column

STALE_SECONDS: Final = 60.0
"""A writer that has said nothing for so long is dead."""
CLAIMS: Final = 3
TELL_SECONDS: Final = 0.5
ACTIVE: Final = (Export.State.QUEUED, Export.State.RUNNING)

log = structlog.get_logger(__name__)


class Stopped(Exception):
    """Whoever writes the export does not hold it any more."""


# --- Reads, inside the workspace's scope --------------------------------------------------------------------------


def exports_of(run: Run) -> QuerySet[Export]:
    """The exports of a run, newest first, each with its artifact."""
    return Export.objects.filter(run_id=run.pk).select_related("artifact").order_by("-created_at", "-id")


def export(workspace: Workspace, export_id: UUID | str) -> Export:
    """One export with its artifact. Raises `NotFound`; opens the workspace's scope itself."""
    with reading(workspace.id):
        found = Export.objects.select_related("artifact", "run").filter(pk=export_id).first()
    if found is None:
        raise NotFound(f"export {export_id}")
    return found


def formats_of(run: Run) -> dict[str, list[str]]:
    """By format, the ports that can be written in it; a table of points has none. Nothing while there is nothing."""
    from attractor.exporting.formats import FORMATS, allowed

    if run.kind != Run.Kind.SINGLE:
        return {name: [] for name, one in FORMATS.items() if one.write_table} if run.is_final else {}
    recording = artifacts.recording_of(run)
    return {} if recording is None else allowed(_columns(recording))


def _columns(recording: Artifact) -> list[Column]:
    from attractor.recording.column import Column

    return [Column.of_dict(one) for one in recording.facts["columns"]]


def due(at_most: int = 10) -> list[tuple[UUID, UUID]]:
    """(workspace, export) of those that wait for a writer, in any workspace; ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, export_id FROM runs_exports_due(%s, %s)", [STALE_SECONDS, at_most])
        return list(cursor.fetchall())


# --- For people -----------------------------------------------------------------------------------------------------


def submit_export(actor: User, run: Run, name: str, ports: Sequence[str] = ()) -> Export:
    """Have what a run left written in another format.

    Args:
        name: of the format.
        ports: `node.port` of what is written; none: all that the format takes.

    Raises:
        NothingRecorded: the run is not over, or recorded nothing.
        RecordingPending: it is over, and what it recorded is no file yet.
        FormatNotAllowed: the format does not take these ports; it names those that do.
        QuotaExceeded: the file may be larger than what is left of the workspace's storage.
        PermissionDenied: the actor may not make artifacts here.
    """
    with scope(run.workspace_id, actor.pk):
        require(actor, Verb.WRITE_ARTIFACT)
        size = _estimate(run, name, ports)
        Workspace.objects.select_for_update(no_key=True).get(pk=run.workspace_id)
        if faults := storage_faults(size):
            raise QuotaExceeded(faults)
        made = Export.objects.create(
            workspace_id=run.workspace_id, run=run, format=name, ports=list(ports), reserved_bytes=size,
            created_by=actor,
        )  # fmt: skip
        audit(actor, "export.submit", made, run=str(run.pk), format=name, ports=list(ports))
    return made


def _estimate(run: Run, name: str, ports: Sequence[str]) -> int:
    """Bytes that the export may take; raises what `submit_export` does."""
    from attractor.exporting.formats import FORMATS, NotAllowed, chosen, estimated_bytes

    if run.kind != Run.Kind.SINGLE:
        if not run.is_final:
            raise NothingRecorded([Fault("run", f"The {run.kind} is {run.state}.", "Export it when it is over.")])
        if FORMATS[name].write_table is None or ports:
            fitting = ", ".join(formats_of(run))
            message = "Points have no ports." if ports else f"A table of points cannot be written as {name}."
            raise FormatNotAllowed(
                [Fault("ports" if ports else "format", message, f"Choose {fitting}, without ports.")]
            )
        return table_bytes(run)
    recording = artifacts.recording_of(run)
    if recording is None:
        what, mend = f"The run is {run.state}.", "Export it when it is over."
        if run.is_final:
            what, mend = "The run recorded nothing, or it was deleted.", "Run it again with ports to record."
            if recordings.pending(run):
                raise RecordingPending([Fault("run", "Its recording is put together.", "Try again in a few seconds.")])
        raise NothingRecorded([Fault("run", what, mend)])
    try:
        columns = chosen(name, _columns(recording), ports)
    except NotAllowed as refused:
        raise FormatNotAllowed([Fault("format", str(refused), refused.mend)]) from refused
    return estimated_bytes(name, columns, int(recording.facts["ticks"]), int(recording.facts["rows"]))


def at_once(found: Export) -> bool:
    """Whether it is small enough to be written while one waits."""
    return found.reserved_bytes - files.CHUNK < settings.ATTRACTOR.runs.export_at_once


def cancel_export(actor: User, found: Export) -> Export:
    """Cancel an export; whoever writes it stops within a second.

    Raises:
        ExportIsOver: it has ended.
        PermissionDenied: the actor may not make artifacts here.
    """
    with scope(found.workspace_id, actor.pk):
        require(actor, Verb.WRITE_ARTIFACT)
        row = Export.objects.select_for_update().get(pk=found.pk)
        if row.state not in ACTIVE:
            raise ExportIsOver([Fault("export", f"The export is {row.state}.", "Delete its artifact, if it has one.")])
        row.state = Export.State.CANCELLED
        row.finished_at = Now()
        row.save(update_fields=["state", "finished_at"])
        audit(actor, "export.cancel", row, format=row.format)
        return Export.objects.select_related("artifact").get(pk=row.pk)


# --- For whoever writes it ------------------------------------------------------------------------------------------


def write_export(workspace_id: UUID, export_id: UUID) -> bool:
    """Write an export that waits; whether it came to its end here. Another writer's is left alone."""
    found = _claim(workspace_id, export_id)
    if found is None:
        return False
    folder = scratch.folder("export")
    try:
        _write(found, folder)
    except Stopped:
        log.info("export_stopped", export_id=str(export_id))
        return False
    except files.AWAY as error:
        if not isinstance(error, files.Damaged) and found.claim < CLAIMS:
            log.warning("export_put_off", export_id=str(export_id), error=str(error))
            _end(found, Export.State.QUEUED)
            return False
        fault = {"code": "storage_away", "message": f"The storage failed: {error}", "mend": "Export it again later."}
        _end(found, Export.State.FAILED, fault)
    except ValueError as error:
        fault = {"code": "not_writable", "message": f"{error}.", "mend": "Choose other ports, or another format."}
        _end(found, Export.State.FAILED, fault)
    except Exception as error:
        log.exception("export_failed", export_id=str(export_id))
        fault = {"code": "export_failed", "message": f"{type(error).__name__}: {error}", "mend": "Report this."}
        _end(found, Export.State.FAILED, fault)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return True


def _claim(workspace_id: UUID, export_id: UUID) -> Export | None:
    """Take an export that waits or whose writer is dead; None when there is none to take."""
    with scope(workspace_id), transaction.atomic():
        row = Export.objects.select_for_update(of=("self",)).filter(pk=export_id, state__in=ACTIVE).first()
        if row is None:
            return None
        living = Export.objects.filter(pk=export_id, claimed_at__gt=Now() - timedelta(seconds=STALE_SECONDS))
        if row.state == Export.State.RUNNING and living.exists():
            return None
        if row.claim >= CLAIMS:
            row.state, row.finished_at = Export.State.FAILED, Now()
            row.error = {
                "code": "writer_lost", "message": f"{CLAIMS} processes died while they wrote it.",
                "mend": "Export fewer ports at once.",
            }  # fmt: skip
            row.save(update_fields=["state", "finished_at", "error"])
            return None
        row.state, row.claim, row.claimed_at, row.progress = Export.State.RUNNING, row.claim + 1, Now(), 0.0
        row.save(update_fields=["state", "claim", "claimed_at", "progress"])
        return Export.objects.select_related("run__graph_version__graph").get(pk=export_id)


def _write(found: Export, folder: Path) -> None:
    from attractor.exporting.formats import FORMATS, chosen
    from attractor.recording.recording import Recording

    known, run = FORMATS[found.format], found.run
    into = folder / f"export.{known.suffix}"
    tell = _teller(found)

    def progress(share: float) -> None:
        _hold(found, into)
        tell(share)

    with scope(found.workspace_id):
        source = artifacts.recording_of(run) if run.kind == Run.Kind.SINGLE else None
    made_of: dict[str, Any] = {"export": str(found.pk)}
    if run.kind != Run.Kind.SINGLE:
        assert known.write_table is not None
        with scope(found.workspace_id):
            table = point_table(run)
        known.write_table(table, into)
        facts: dict[str, Any] = {"format": found.format, "rows": table.num_rows, "columns": table.column_names}
    else:
        if source is None:
            raise ValueError("what the run recorded was deleted")
        progress(0.0)
        path = files.fetch(files.stored(found.workspace_id, source.content), source.content, folder / "source")
        with Recording(path) as recording:
            columns = chosen(found.format, recording.columns, found.ports)
            known.write(recording, columns, into, progress)
        facts = {"format": found.format, "ports": [one.name for one in columns], "rows": source.facts["rows"]}
        made_of |= {"artifact": str(source.pk), "content": source.content}
        path.unlink()
    graph = re.sub(r"[^A-Za-z0-9_-]+", "-", run.graph_version.graph.name).strip("-")[:60] or "run"
    name = f"{graph}-{str(run.pk)[:8]}.{known.suffix}"
    _hold(found, into)
    content = files.hash_of(into)
    artifacts.upload(found.workspace_id, into, content)
    with scope(found.workspace_id), transaction.atomic():
        row = Export.objects.select_for_update().filter(pk=found.pk, claim=found.claim, state="running").first()
        if row is None:
            raise Stopped
        made = artifacts.keep(
            into, content, kind=Artifact.Kind.EXPORT, run=run, name=name, media_type=known.media_type, facts=facts,
            lineage=artifacts.lineage(run, **made_of), created_by_id=found.created_by_id,
        )  # fmt: skip
        row.state, row.progress, row.artifact, row.finished_at = Export.State.SUCCEEDED, 1.0, made, Now()
        row.save(update_fields=["state", "progress", "artifact", "finished_at"])
        audit(None, "artifact.export", made, run=str(run.pk), format=found.format, size=made.size, content=content)


def _hold(found: Export, into: Path) -> None:
    """Hold a file to what was promised for it. One that is larger is promised more while the storage has room.

    Raises:
        ValueError: it has none.
        Stopped: the export is not held any more.
    """
    size = into.stat().st_size if into.exists() else 0
    if size <= found.reserved_bytes:
        return
    with scope(found.workspace_id):
        Workspace.objects.select_for_update(no_key=True).get(pk=found.workspace_id)
        more = size + size // 4 - found.reserved_bytes
        if storage_faults(more):
            raise ValueError(
                f"the file is larger than {found.reserved_bytes:,} bytes, and the storage quota is used up"
            )
        held = Export.objects.filter(pk=found.pk, claim=found.claim, state=Export.State.RUNNING)
        if not held.update(reserved_bytes=size + size // 4):
            raise Stopped
    found.reserved_bytes += more


def _teller(found: Export) -> Callable[[float], None]:
    """Notes the progress twice a second, and raises `Stopped` when the export is not held any more."""
    told = 0.0

    def tell(share: float) -> None:
        nonlocal told
        if time.monotonic() - told < TELL_SECONDS:
            return
        told = time.monotonic()
        with scope(found.workspace_id):
            held = Export.objects.filter(pk=found.pk, claim=found.claim, state=Export.State.RUNNING)
            if not held.update(progress=min(1.0, share), claimed_at=Now()):
                raise Stopped

    return tell


def _end(found: Export, state: str, error: dict[str, str] | None = None) -> None:
    with scope(found.workspace_id):
        held = Export.objects.filter(pk=found.pk, claim=found.claim, state=Export.State.RUNNING)
        over = None if state == Export.State.QUEUED else Now()
        held.update(state=state, error=error, finished_at=over)
