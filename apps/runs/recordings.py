"""What runs record: designed when a run is submitted, written segment by segment under the fence, put together at its
end as one artifact.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from apps.ops.refusal import Fault
from apps.runs import artifacts, files, scratch
from apps.runs.execution.away import is_away
from apps.runs.models import Artifact, Gathering, Run, RunAttempt, RunSegment
from apps.runs.outages import DAY, PUT_OFF_FIELDS, Cause, patiently
from apps.runs.refusals import NotGivenUp
from apps.runs.services import held_run
from apps.runs.states import FINAL
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User
    from attractor.plan import Plan
    from attractor.recording.column import Column

FILE_BYTES = 2**20
"""What the form of Parquet may add to the values of a recording."""

CHUNK_BYTES = 2**10
"""What the form of Parquet takes for a column in a row group."""

GATHER_AFTER_SECONDS = 10.0
"""A run's own process puts its recording together when it has ended; after this long it has not lived to do it."""
RETRY_SECONDS = 30.0
RETRY_MOST_SECONDS = DAY
TRIES = 12
"""After so many failures, some 17 hours after the first, a recording is given up."""
OUTAGE_SECONDS = 7 * DAY
"""For so long a recording waits for a storage or a database that is away."""
GIVEN_UP_SECONDS = 7 * DAY
"""For so long the segments of one that was given up are kept, to be tried again."""
LATE_SECONDS = 3600.0
"""For so long after its run is over a segment may still come, of a process that has lost the run and does not know."""

LOST = {
    "code": "recording_lost", "message": "All that the run recorded is lost or damaged in the storage.",
    "mend": "Run it again, and have the operator look after the storage.",
}  # fmt: skip

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment whose file is in the storage, and which has no row yet; as `attractor.recording.recorder.Segment`."""

    content: str
    first: int
    until: int
    size: int
    last: Mapping[str, int]
    raw: int


def designed(plan: Plan, ticks: int, wanted: Sequence[Mapping[str, Any]] | None) -> tuple[list[dict[str, Any]], int]:
    """What a run records, and the bytes that it may take.

    Args:
        wanted: [{node, port, every}]; None for what is recorded unasked, an empty list for nothing.

    Raises:
        GraphRejected: a port cannot be recorded; every fault is listed.
    """
    from attractor.recording.column import columns, raw_bytes, usual_columns

    if wanted is None:
        found = usual_columns(plan, ticks)
    else:
        found = columns(plan, [(one["node"], one["port"], one.get("every", 1)) for one in wanted])
    design = [{"node": one.node, "port": one.port, "every": one.every} for one in found]
    return design, raw_bytes(found, ticks) * 17 // 16 + FILE_BYTES + _form_bytes(found, ticks) if found else 0


def _form_bytes(found: Sequence[Column], ticks: int) -> int:
    """What the row groups of a recording add to its values."""
    from attractor.recording.table import group_rows

    # As many rows as there may be: ports that are recorded now and then need not be so at the same ticks.
    rows = min(ticks, sum(-(-ticks // every) for every in {one.every for one in found}))
    return -(-rows // group_rows(found)) * (len(found) + 2) * CHUNK_BYTES


def record_segment(attempt: RunAttempt, segment: StoredSegment) -> bool:
    """Note that a segment is in the object storage; False when the recording would become larger than it may be, or
    did before: no segment follows one that is missing.

    Raises:
        Fenced: the attempt does not hold the run any more.
    """
    with scope(attempt.workspace_id):
        run = held_run(attempt)
        before = list(RunSegment.objects.filter(run=run).order_by("first"))
        if before and before[-1].content == segment.content and before[-1].first == segment.first:
            return True  # written already by a try whose success was not heard of
        Gathering.objects.get_or_create(workspace_id=run.workspace_id, run=run)
        reached = before[-1].until if before else 0
        if segment.first != reached or sum(one.raw for one in before) + segment.raw > run.recording_bytes:
            return False
        RunSegment.objects.create(
            workspace_id=run.workspace_id, run=run, content=segment.content, attempt=attempt.number,
            first=segment.first, until=segment.until, size=segment.size, last=dict(segment.last),
            raw=segment.raw,
        )  # fmt: skip
    return True


def go_on_from(attempt: RunAttempt, tick: int) -> RunSegment | None:
    """Forget what earlier attempts recorded from a tick on, for it is recorded again; the last segment before it.

    Raises:
        Fenced: the attempt does not hold the run any more.
    """
    with scope(attempt.workspace_id):
        run = held_run(attempt)
        Gathering.objects.get_or_create(workspace_id=run.workspace_id, run=run)
        RunSegment.objects.filter(run=run, until__gt=tick).delete()
        return RunSegment.objects.filter(run=run).order_by("-first").first()


def gather(workspace_id: UUID, run_id: UUID | str) -> Artifact | None:
    """Put the segments of a run that is over together as one artifact; None when there are none, or somebody else has
    done it.

    A segment that is lost or damaged ends the recording. Call it in no transaction: what is put together must be
    committed before the segments are deleted, and nothing is locked while files are fetched and put.

    Raises:
        files.StorageAway: it cannot be reached; what is there stays.
    """
    with transaction.atomic(durable=True), scope(workspace_id):
        run = Run.objects.filter(pk=run_id, state__in=FINAL).defer("result").first()
        segments = list(RunSegment.objects.filter(run_id=run_id).order_by("first"))
    if run is None:
        return None
    made = _put_together(run, segments) if segments else None
    _delete_files(run)
    return made


def _put_together(run: Run, segments: Sequence[RunSegment]) -> Artifact | None:
    from attractor.recording.recording import Recording, join

    workspace_id, run_id = run.workspace_id, run.pk
    folder = scratch.folder("gather")
    try:
        paths = _fetched(segments, folder)
        if not paths:
            with transaction.atomic(durable=True), scope(workspace_id):
                if RunSegment.objects.filter(run_id=run_id).delete()[0]:
                    Gathering.objects.update_or_create(
                        workspace_id=workspace_id, run=run, defaults={"error": LOST, "waits_for": Cause.NOTHING}
                    )
                    audit(None, "recording.lose", run, ticks=segments[-1].until)
            return None
        segments = segments[: len(paths)]
        whole = folder / "recording.parquet"
        rows = join(paths, whole)
        with Recording(whole) as recording:
            columns = [one.as_dict() for one in recording.columns]
        content = files.hash_of(whole)
        artifacts.upload(workspace_id, whole, content)
        with transaction.atomic(durable=True), scope(workspace_id):
            # Whoever else gathers waits here, and then finds no segments any more.
            Run.objects.select_for_update(no_key=True).get(pk=run_id)
            if not RunSegment.objects.filter(run_id=run_id).exists():
                return None
            facts = {"rows": rows, "ticks": segments[-1].until, "complete": segments[-1].until == run.ticks}
            made = artifacts.keep(
                whole, content, kind=Artifact.Kind.RECORDING, run=run, name="recording.parquet",
                media_type=artifacts.PARQUET, facts={**facts, "columns": columns}, lineage=artifacts.lineage(run),
                created_by_id=run.created_by_id,
            )  # fmt: skip
            RunSegment.objects.filter(run_id=run_id).delete()
            Gathering.objects.filter(run_id=run_id).update(error=None, waits_for=Cause.NOTHING)
            audit(None, "artifact.record", made, run=str(run.pk), size=made.size, content=content)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return made


@dataclass(frozen=True, slots=True)
class RecordingState:
    """What has become of what a run records.

    Attributes:
        state: ``none``: it records nothing; ``recording``: it is not over; ``pending``: its recording is put together
            soon, or being so; ``waiting``: it is put off, for something is away; ``kept``: it is an artifact;
            ``failed``: it was given up, and its segments are still there; ``lost``; ``gone``: it was deleted, or there
            was nothing to record yet.
        message: for people, where there is more to say than the state.
        mend: what to do about it.
        next_try: when what waits or has failed before is tried next.
        tries: how often it has failed.
        artifact: its id.
        kept_until: until when what was given up can be tried again.
    """

    state: str
    message: str = ""
    mend: str = ""
    next_try: datetime | None = None
    tries: int = 0
    artifact: UUID | None = None
    kept_until: datetime | None = None


STATES = ("none", "recording", "pending", "waiting", "kept", "failed", "lost", "gone")


def state_of(run: Run) -> RecordingState:
    """What has become of what a run records. Call it inside the workspace's scope."""
    if not run.recording:
        return RecordingState("none")
    if not run.is_final:
        return RecordingState("recording")
    made = artifacts.recording_of(run)
    if made is not None:
        return RecordingState("kept", artifact=made.pk)
    found, there = Gathering.objects.filter(run=run).first(), RunSegment.objects.filter(run=run).exists()
    if found is None or found.error is None:
        if not there:
            return RecordingState("gone")
        if found is None or found.due_at is None:
            return RecordingState("pending")
        if found.waits_for:
            return RecordingState("waiting", found.waiting(found.due_at), next_try=found.due_at, tries=found.tries)
        if found.tries < 2:  # the first may be under way
            return RecordingState("pending", tries=found.tries)
        message = f"It could not be put together in {found.tries - 1} tries so far."
        return RecordingState("pending", message, next_try=found.due_at, tries=found.tries)
    error, until = found.error, found.due_at if there else None
    return RecordingState(
        "failed" if there else "lost", error["message"], error["mend"], tries=found.tries, kept_until=until
    )


def try_again(actor: User, run: Run) -> RecordingState:
    """Have a recording tried again that was given up.

    Raises:
        NotGivenUp: it was not, or its segments are gone.
        PermissionDenied: the actor may not make artifacts here.
    """
    with scope(run.workspace_id, actor.pk):
        require(actor, Verb.WRITE_ARTIFACT)
        found = Gathering.objects.select_for_update().filter(run=run).first()
        there = RunSegment.objects.filter(run=run).exists()
        if found is None or found.error is None or not there:
            mend = "Run it again with ports to record." if not there else "Wait for it."
            raise NotGivenUp([Fault("run", "Its recording was not given up, or nothing is left of it.", mend)])
        found.error, found.tries, found.due_at = None, 0, timezone.now()
        found.put_offs, found.put_off_since, found.waits_for = 0, None, Cause.NOTHING
        found.save(update_fields=["error", "tries", "due_at", *PUT_OFF_FIELDS])
        audit(actor, "recording.retry", found, run=str(run.pk))
        return state_of(run)


def _delete_files(run: Run) -> None:
    """Delete the files of a run's segments, and once more when those are there that came late; a storage that is away
    is asked again."""
    try:
        files.delete_segments(run.workspace_id, run.pk)
    except files.AWAY as error:
        log.warning("segments_not_deleted", run_id=str(run.pk), error=str(error))
        return
    if run.finished_at is None:
        raise RuntimeError("a run that is over has ended at some time")
    last = run.finished_at + timedelta(seconds=LATE_SECONDS)
    with transaction.atomic(durable=True), scope(run.workspace_id):
        if RunSegment.objects.filter(run=run).exists():
            return
        found = Gathering.objects.filter(run=run)
        if timezone.now() <= last:
            found.update(due_at=last)
        else:
            # What says why there is no recording stays.
            found.filter(error__isnull=True).delete()
            found.update(due_at=None)


def _fetched(segments: Sequence[RunSegment], folder: Path) -> list[Path]:
    """The files of segments, up to one that is lost or damaged."""
    paths = []
    for one in segments:
        place = files.segment(one.workspace_id, one.run_id, one.content)
        try:
            paths.append(files.fetch(place, one.content, folder / str(one.first)))
        except (FileNotFoundError, files.Damaged) as error:
            files.reach()
            log.warning("segment_lost", place=place, tick=one.first, error=str(error))
            break
    return paths


def gather_due() -> int:
    """Put the recordings together of runs whose own process did not live to do it, and delete what is left of their
    segments; how many recordings.

    One that fails waits twice as long each time, and those that wait longest come first: it holds up no other. After
    `TRIES` it is given up. While the storage or the database is away it is put off, which is no failure.
    """
    return sum(_gather_one(workspace_id, run_id) for workspace_id, run_id in to_gather(GATHER_AFTER_SECONDS))


def _gather_one(workspace_id: UUID, run_id: UUID) -> bool:
    found = _taken_up(workspace_id, run_id)
    if found is None:
        return False
    if found.error is not None:
        _forget(found)
        return False
    if found.tries > TRIES:
        _give_up(found, "not_gathered", f"The processes that put it together died, {TRIES} times.")
        return False
    try:
        return gather(workspace_id, run_id) is not None
    except files.StorageAway as error:
        _put_off(found, Cause.STORAGE, error)
    except Exception as error:
        if isinstance(error, (OperationalError, InterfaceError)) and is_away(error):
            connection.close()
            _put_off(found, Cause.DATABASE, error)
            return False
        # One recording must not keep anybody from all others.
        log.exception("recording_not_gathered", run_id=str(run_id), tries=found.tries)
        if found.tries >= TRIES:
            _give_up(found, "not_gathered", f"It could not be put together in {TRIES} tries: {_said(error)}.")
    return False


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _taken_up(workspace_id: UUID, run_id: UUID) -> Gathering | None:
    """One that is due, as somebody has taken it up who may not live to say what came of it; None when it is not due."""
    with transaction.atomic(durable=True), scope(workspace_id):
        rows = Gathering.objects.select_for_update(of=("self",)).select_related("run")
        found = rows.filter(run_id=run_id, due_at__lte=timezone.now()).first()
        if found is None:
            return None
        wait = min(RETRY_MOST_SECONDS, RETRY_SECONDS * 2 ** min(found.tries, 20))
        if found.error is None and RunSegment.objects.filter(run_id=run_id).exists():
            found.tries += 1
        found.due_at = timezone.now() + timedelta(seconds=wait)
        found.save(update_fields=["tries", "due_at"])
    return found


def _put_off(found: Gathering, cause: Cause, error: Exception) -> None:
    """Have it tried when what it needs may be back. Who finds something away has not failed."""
    log.warning("recording_put_off", run_id=str(found.run_id), cause=cause.value, error=str(error))
    found.tries -= 1
    due = found.put_off(cause, timezone.now(), OUTAGE_SECONDS)
    if due is None:
        _give_up(found, f"{cause.value}_away", found.given_up(cause))
        return
    found.due_at = due
    patiently(lambda: _save(found, "tries", "due_at", *PUT_OFF_FIELDS), DAY)


def _give_up(found: Gathering, code: str, message: str) -> None:
    """Note why there is no recording; its segments stay for a while, in which it can be tried again."""
    mend = "Have the operator look after it and try it again, or run it again."
    found.error, found.waits_for = {"code": code, "message": message, "mend": mend}, Cause.NOTHING
    found.due_at = timezone.now() + timedelta(seconds=GIVEN_UP_SECONDS)
    patiently(lambda: _save(found, "tries", "due_at", "error", *PUT_OFF_FIELDS, said="recording.give_up"), DAY)


def _save(found: Gathering, *names: str, said: str = "") -> None:
    with transaction.atomic(durable=True), scope(found.workspace_id):
        # Somebody else may have put it together meanwhile.
        if not RunSegment.objects.filter(run_id=found.run_id).exists():
            return
        if Gathering.objects.filter(pk=found.pk).update(**{name: getattr(found, name) for name in names}) and said:
            audit(None, said, found.run, **(found.error or {}))


def _forget(found: Gathering) -> None:
    """Delete what is left of a recording that was given up; what is away is asked again when it is due next."""
    with transaction.atomic(durable=True), scope(found.workspace_id):
        RunSegment.objects.filter(run_id=found.run_id).delete()
    _delete_files(found.run)


def to_gather(ended_before: float, at_most: int = 20) -> list[tuple[UUID, UUID]]:
    """(workspace, run) of runs that ended so many seconds ago and whose segments are due, in any workspace, those first
    that wait longest; ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, run_id FROM runs_to_gather(%s, %s)", [ended_before, at_most])
        return list(cursor.fetchall())
