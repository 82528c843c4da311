"""Exports: what a run recorded, or the points of a sweep or fit, written in another format as an artifact.

Small ones are written while one waits, the others by `manage.py export`. Whoever writes one claims it with a number,
and every write names it: a writer that was slow, dead or told to stop writes nothing. While it writes and uploads a
thread says that it lives. When the storage or the database is away the export is put off, and counts as not tried.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts import acting
from apps.ops.refusal import Fault
from apps.runs import artifacts, files, recordings, scratch
from apps.runs.execution.away import is_away
from apps.runs.execution.thread import RunThread
from apps.runs.models import Artifact, Export, Run
from apps.runs.outages import DAY, PUT_OFF_FIELDS, Cause, patiently
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
BEAT_SECONDS: Final = 15.0
"""How often a writer says that it lives, whatever it is at."""
CLAIMS: Final = 3
"""After so many writers that died or failed over it an export has failed."""
OUTAGE_SECONDS: Final = DAY
"""For so long an export waits for a storage or a database that is away."""
PATIENCE_SECONDS: Final = 2.0
"""For so long one that is written while one waits tries to say what became of it to a database that is away."""
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
            become = recordings.state_of(run)
            if become.state in ("pending", "waiting"):
                then = "Try again after that." if become.next_try else "Try again in a few seconds."
                raise RecordingPending([Fault("run", become.message or "Its recording is put together.", then)])
            if become.message:
                what, mend = become.message, become.mend
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
        WhileImpersonating: an operator acts in the actor's name, and this cannot be taken back.
    """
    with scope(found.workspace_id, actor.pk):
        require(actor, Verb.WRITE_ARTIFACT)
        acting.refuse()
        row = Export.objects.select_for_update().get(pk=found.pk)
        if row.state not in ACTIVE:
            raise ExportIsOver([Fault("export", f"The export is {row.state}.", "Delete its artifact, if it has one.")])
        row.state = Export.State.CANCELLED
        row.finished_at = Now()
        row.save(update_fields=["state", "finished_at"])
        audit(actor, "export.cancel", row, format=row.format)
        return Export.objects.select_related("artifact").get(pk=row.pk)


# --- For whoever writes it ------------------------------------------------------------------------------------------


def write_export(workspace_id: UUID, export_id: UUID, patience: float = PATIENCE_SECONDS) -> bool:
    """Write an export that waits; whether it came to its end here. Another writer's is left alone.

    Args:
        patience: for how long what became of it is told to a database that is away, s.

    Raises:
        OperationalError, InterfaceError: it was away for longer; another writer takes the export up.
    """
    found = _claim(workspace_id, export_id)
    if found is None:
        return False
    beat = _Heartbeat(found)
    beat.start()
    try:
        return patiently(_written(found, beat), patience)
    except (SystemExit, KeyboardInterrupt):
        # A writer that is told to end has not failed.
        _queue(found)
        raise
    finally:
        beat.close()


def _written(found: Export, beat: _Heartbeat) -> Callable[[], bool]:
    """Write a claimed export; how what became of it is noted, which gives whether it has come to its end."""
    folder: Path | None = None
    try:
        folder = scratch.folder("export")
        _write(found, folder, beat)
    except Stopped:
        log.info("export_stopped", export_id=str(found.pk))
        return lambda: False
    except files.StorageAway as error:
        return _put_off(found, Cause.STORAGE, str(error))
    except files.Damaged as error:
        return partial(_fail, found, "source_lost", f"{error}.", "Run it again, and export that.")
    except OSError as error:
        log.exception("export_failed", export_id=str(found.pk))
        return partial(_lose, found, "writer_failed", f"The disk of the writer failed: {error}")
    except ValueError as error:
        return partial(_fail, found, "not_writable", f"{error}.", "Choose other ports, or another format.")
    except (OperationalError, InterfaceError) as error:
        if is_away(error):
            connection.close()
            return _put_off(found, Cause.DATABASE, str(error))
        return _broken(found, error)
    except Exception as error:  # noqa: BLE001 every other fault is the export's, which says it
        return _broken(found, error)
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    return lambda: True


def _broken(found: Export, error: Exception) -> Callable[[], bool]:
    log.error("export_failed", export_id=str(found.pk), exc_info=error)
    return partial(_fail, found, "export_failed", f"{type(error).__name__}: {error}", "Report this.")


def _claim(workspace_id: UUID, export_id: UUID) -> Export | None:
    """Take an export that is due or whose writer is dead; None when there is none to take."""
    with scope(workspace_id), transaction.atomic():
        row = Export.objects.select_for_update(of=("self",)).filter(pk=export_id, state__in=ACTIVE).first()
        if row is None:
            return None
        living = Export.objects.filter(pk=export_id, claimed_at__gt=Now() - timedelta(seconds=STALE_SECONDS))
        if row.state == Export.State.RUNNING:
            if living.exists():
                return None
            row.losses += 1
        elif not Export.objects.filter(pk=export_id, due_at__lte=Now()).exists():
            return None
        if row.losses >= CLAIMS:
            row.state, row.finished_at = Export.State.FAILED, Now()
            row.error = {
                "code": "writer_lost", "message": f"{CLAIMS} processes died or failed while they wrote it.",
                "mend": "Export fewer ports at once.",
            }  # fmt: skip
            row.save(update_fields=["state", "finished_at", "error", "losses"])
            return None
        row.state, row.claim, row.claimed_at, row.progress = Export.State.RUNNING, row.claim + 1, Now(), 0.0
        row.waits_for = Cause.NOTHING
        row.save(update_fields=["state", "claim", "claimed_at", "progress", "losses", "waits_for"])
        return Export.objects.select_related("run__graph_version__graph").get(pk=export_id)


class _Heartbeat(RunThread):
    """Says every `BEAT_SECONDS` that the writer of an export lives, on a connection of its own.

    When the export is not held any more it notes that and ends. A database that is away is asked again: who writes it
    may be taken for dead meanwhile, and finds that out when it writes.
    """

    def __init__(self, found: Export) -> None:
        super().__init__("export-heartbeat", self._on_broken)
        self._found = found
        self._closing = threading.Event()
        self._broken: BaseException | None = None
        self._lost = False

    def work(self) -> None:
        while not self._closing.wait(BEAT_SECONDS):
            try:
                held = _held(self._found, claimed_at=Now())
            except (OperationalError, InterfaceError) as error:
                connection.close()
                log.warning("export_not_heard_of", export_id=str(self._found.pk), error=str(error))
                continue
            if not held:
                self._lost = True
                return

    def _on_broken(self, error: BaseException) -> None:
        self._broken = error

    def check(self) -> None:
        """Raises `Stopped` when the export is known not to be held any more, and what broke the thread."""
        if self._broken is not None:
            raise RuntimeError("the thread that says that the writer lives broke") from self._broken
        if self._lost:
            raise Stopped

    def close(self) -> None:
        self._closing.set()
        self.join()


def _held(found: Export, **changes: Any) -> bool:
    """Change a claimed export; whether it was still held."""
    with scope(found.workspace_id):
        held = Export.objects.filter(pk=found.pk, claim=found.claim, state=Export.State.RUNNING)
        return bool(held.update(**changes))


def _write(found: Export, folder: Path, beat: _Heartbeat) -> None:
    from attractor.exporting.formats import FORMATS, chosen
    from attractor.recording.recording import Recording

    known, run = FORMATS[found.format], found.run
    into = folder / f"export.{known.suffix}"
    tell = _teller(found)

    def progress(share: float) -> None:
        beat.check()
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
        path = _fetched(source, folder / "source")
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
    # Who does not hold it any more notes nothing and puts nothing into the storage.
    if not _held(found, claimed_at=Now()):
        raise Stopped
    artifacts.upload(found.workspace_id, into, content)
    with scope(found.workspace_id), transaction.atomic():
        # In the order of `_hold`; `artifacts.keep` needs the row too.
        Workspace.objects.select_for_update(no_key=True).get(pk=found.workspace_id)
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


def _fetched(source: Artifact, into: Path) -> Path:
    """The file of a recording. Raises `Damaged` when it is lost, and `StorageAway`."""
    try:
        return files.fetch(files.stored(source.workspace_id, source.content), source.content, into)
    except FileNotFoundError as error:
        files.reach()
        raise files.Damaged("what the run recorded is not in the storage any more") from error


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
        if not _held(found, reserved_bytes=size + size // 4):
            raise Stopped
    found.reserved_bytes += more


def _teller(found: Export) -> Callable[[float], None]:
    """Notes the progress twice a second, and raises `Stopped` when the export is not held any more.

    A database that is away does not hinder the writing; at its end it is needed.
    """
    told = 0.0

    def tell(share: float) -> None:
        nonlocal told
        if time.monotonic() - told < TELL_SECONDS:
            return
        told = time.monotonic()
        try:
            held = _held(found, progress=min(1.0, share), claimed_at=Now())
        except (OperationalError, InterfaceError) as error:
            if not is_away(error):
                raise
            connection.close()
            return
        if not held:
            raise Stopped

    return tell


# What became of it; each is done again as long as the database is away, and does nothing to one that is not held.


def _fail(found: Export, code: str, message: str, mend: str) -> bool:
    fault = {"code": code, "message": message, "mend": mend}
    return _held(found, state=Export.State.FAILED, error=fault, finished_at=Now())


def _lose(found: Export, code: str, message: str) -> bool:
    """Count a writer that failed; the last makes it fail."""
    if found.losses + 1 >= CLAIMS:
        return _fail(found, code, f"{message} ({CLAIMS} tries).", "Have the operator look after the disk.")
    return _queue(found, losses=found.losses + 1)


def _queue(found: Export, **changes: Any) -> bool:
    _held(found, state=Export.State.QUEUED, **changes)
    return False


def _put_off(found: Export, cause: Cause, why: str) -> Callable[[], bool]:
    """Queue it again, for when what it needs may be back, or fail it when it has waited for too long: how that is
    noted."""
    log.warning("export_put_off", export_id=str(found.pk), cause=cause.value, error=why)
    due = found.put_off(cause, timezone.now(), OUTAGE_SECONDS)
    changes = {name: getattr(found, name) for name in PUT_OFF_FIELDS}
    if due is not None:
        return partial(_queue, found, due_at=due, **changes)
    mend = "Export it again when it is back."
    fault = {"code": f"{cause.value}_away", "message": found.given_up(cause), "mend": mend}
    return partial(_held, found, state=Export.State.FAILED, error=fault, finished_at=Now(), **changes)
