"""What several runs recorded of one port, to be laid over each other. Reads only.

Rows are read in the workspace's scope, files outside it: no connection waits for the storage. Of a file only the column
is read, a row group at a time, and each run gives a bounded number of points, which hold every extreme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from apps.ops.refusal import Fault
from apps.runs import files
from apps.runs.models import Artifact, Run, RunSegment
from apps.runs.refusals import NothingRecorded, RecordingPending
from apps.runs.states import FINAL
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Workspace
from apps.workspaces.scope import scope

if TYPE_CHECKING:
    from attractor.recording.column import Column

FEWEST_POINTS: Final = 4
USUAL_POINTS: Final = 1000
MOST_POINTS: Final = 2000
"""Of each run: two for every pixel of a plot that is a thousand wide."""
READ_BYTES: Final = 2**28
"""Cells that are read for one page, about; a run that has more alone is a page of its own."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Port:
    """An output port that at least two of the runs recorded.

    Attributes:
        port: `node.port`.
        kind, unit: of its values, in the first of these runs.
        elements: most numbers that one may be chosen from; 1 of scalars and signals.
        runs: how many recorded it.
    """

    port: str
    kind: str
    unit: str
    elements: int
    runs: int


@dataclass(frozen=True, slots=True)
class Series:
    """What one run recorded of a port, thinned to its extremes.

    Attributes:
        samples: values that were read.
        not_finite: how many of them are no finite numbers.
        thinned: whether `x` and `y` have fewer.
    """

    run: UUID
    samples: int
    not_finite: int
    thinned: bool
    x: Sequence[float]
    y: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run that has no series of the port, and why."""

    run: UUID
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """One page: of each of its runs a series, or why there is none.

    Attributes:
        unit: of the values, in the first of all runs that recorded the port.
        last: the last run of the page, when more follow.
    """

    unit: str
    series: tuple[Series, ...]
    left_out: tuple[LeftOut, ...]
    last: UUID | None


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A run's recording as its row tells it."""

    content: str
    column: Column
    ticks: int
    rows: int

    @property
    def bytes(self) -> int:
        return self.rows * (16 + self.column.elements * self.column.dtype.itemsize)


def recorded_ports(run_ids: Sequence[UUID]) -> list[Port]:
    """Ports that at least two of the runs recorded, in the order of the first run that has them; inside the scope of
    their workspace."""
    from attractor.recording.envelope import elements_of

    recordings = _recordings(run_ids)
    found: dict[str, list[Column]] = {}
    for run_id in run_ids:
        for column in _columns(recordings[run_id]) if run_id in recordings else ():
            found.setdefault(column.name, []).append(column)
    return [
        Port(name, columns[0].kind, columns[0].unit, max(map(elements_of, columns)), len(columns))
        for name, columns in found.items()
        if len(columns) > 1
    ]


def overlay(
    workspace: Workspace, run_ids: Sequence[UUID], port: str, *,
    element: int = 0, seconds: bool = True, points: int = USUAL_POINTS, after: UUID | None = None, at_most: int = 25,
) -> Overlay:  # fmt: skip
    """What the runs recorded of a port. Call it outside the workspace's scope: files are read.

    Args:
        port: `node.port`.
        element: which number of a value, counted along its last axis first.
        seconds: against simulated time; else against ticks.
        points: of each run, at most; a longer series keeps the smallest and largest value of each of its intervals.
        after, at_most: the page begins after this run, and has so many runs.

    Raises:
        NotFound: one of the runs is not there; nothing is told of the others.
        RecordingPending: none of them has it, for what was recorded is still put together.
        NothingRecorded: none of them has it.
        files.AWAY: the storage cannot be reached.
    """
    wanted = list(dict.fromkeys(run_ids))
    with scope(workspace.id):
        rows = Run.objects.filter(pk__in=wanted).only("id", "state", "kind", "tick", "recording")
        runs = {run.pk: run for run in rows}
        missing = [run_id for run_id in wanted if run_id not in runs]
        if missing:
            raise NotFound(f"run {missing[0]}")
        recordings = _recordings(wanted)
        without = [run_id for run_id, run in runs.items() if run.state in FINAL and run_id not in recordings]
        waiting = set(RunSegment.objects.filter(run_id__in=without).order_by().values_list("run_id", flat=True))
    found: dict[UUID, _Recorded | LeftOut] = {
        run_id: _recorded(recordings[run_id], port, element)
        if run_id in recordings
        else _absent(runs[run_id], run_id in waiting)
        for run_id in wanted
    }
    having = [one for one in found.values() if isinstance(one, _Recorded)]
    if not having:
        raise _refusal([one for one in found.values() if isinstance(one, LeftOut)], port)
    begin = 0 if after is None else wanted.index(after) + 1
    page: list[UUID] = []
    read = 0
    for run_id in wanted[begin : begin + at_most]:
        one = found[run_id]
        read += one.bytes if isinstance(one, _Recorded) else 0
        if page and read > READ_BYTES:
            break
        page.append(run_id)
    series, left_out = [], []
    for run_id in page:
        one = found[run_id]
        read_now = one if isinstance(one, LeftOut) else _read(workspace, run_id, one, element, seconds, points)
        if isinstance(read_now, LeftOut):
            left_out.append(read_now)
        else:
            series.append(read_now)
    last = page[-1] if page and begin + len(page) < len(wanted) else None
    return Overlay(having[0].column.unit, tuple(series), tuple(left_out), last)


def _recordings(run_ids: Sequence[UUID]) -> dict[UUID, Artifact]:
    rows = Artifact.objects.filter(run_id__in=run_ids, kind=Artifact.Kind.RECORDING)
    return {row.run_id: row for row in rows.only("run_id", "content", "facts") if row.run_id is not None}


def _columns(recording: Artifact) -> list[Column]:
    from attractor.recording.column import Column

    return [Column.of_dict(one) for one in recording.facts["columns"]]


def _recorded(recording: Artifact, port: str, element: int) -> _Recorded | LeftOut:
    from attractor.recording.envelope import elements_of

    if recording.run_id is None:
        raise RuntimeError("a recording that was read by its run has none")
    column = next((one for one in _columns(recording) if one.name == port), None)
    if column is None:
        return LeftOut(recording.run_id, "port_not_recorded", "It did not record this port.")
    if element >= elements_of(column):
        many = elements_of(column)
        message = f"Its values have {many} element{'' if many == 1 else 's'}, counted from 0."
        return LeftOut(recording.run_id, "no_such_element", message)
    facts: Mapping[str, Any] = recording.facts
    return _Recorded(recording.content, column, int(facts["ticks"]), int(facts["rows"]))


def _absent(run: Run, waiting: bool) -> LeftOut:
    if run.kind != Run.Kind.SINGLE:
        return LeftOut(run.pk, "nothing_recorded", f"It is a {run.kind}, which has points and records nothing.")
    if not run.is_final:
        return LeftOut(run.pk, "run_not_over", f"It is {run.state}; its recording is there when it is over.")
    if waiting:
        return LeftOut(run.pk, "recording_pending", "Its recording is put together.")
    if run.recording and run.tick:
        return LeftOut(run.pk, "recording_gone", "Its recording was deleted, or lost.")
    return LeftOut(run.pk, "nothing_recorded", "It recorded nothing.")


def _refusal(left_out: Sequence[LeftOut], port: str) -> NothingRecorded | RecordingPending:
    """Nobody has a series: one fault for each reason."""
    pending = any(one.code == "recording_pending" for one in left_out)
    reasons: dict[str, int] = {}
    for one in left_out:
        reasons[one.message] = reasons.get(one.message, 0) + 1
    mend = "Ask again in a few seconds." if pending else "Take a port of `recorded` of the comparison, or other runs."
    faults = [
        Fault("port", f"{port}: {many} run{'' if many == 1 else 's'} of {len(left_out)}: {message}", mend)
        for message, many in reasons.items()
    ]
    return RecordingPending(faults) if pending else NothingRecorded(faults)


def _read(
    workspace: Workspace, run_id: UUID, recorded: _Recorded, element: int, seconds: bool, points: int
) -> Series | LeftOut:
    import pyarrow as pa

    from attractor.recording.envelope import envelope
    from attractor.recording.recording import Recording

    place = files.stored(workspace.id, recorded.content)
    try:
        stream = files.opened(place)
    except FileNotFoundError:
        # An empty storage is one that is not mounted; another one has lost the file.
        files.reach()
        log.warning("recording_lost", run_id=str(run_id), place=place)
        return LeftOut(run_id, "recording_gone", "Its recording was deleted, or lost.")
    try:
        with stream, Recording(stream) as recording:
            found = envelope(recording, recorded.column, recorded.ticks, points, element, seconds=seconds)
    except (ValueError, KeyError, OSError, pa.ArrowException) as error:
        # Arrow says of a broken file that it is an OSError without a number; a storage that fails has one.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        log.warning("recording_damaged", run_id=str(run_id), place=place, error=str(error))
        return LeftOut(run_id, "recording_damaged", "Its recording is damaged and cannot be read.")
    x, y = found.points()
    return Series(run_id, found.taken, found.not_finite, found.thinned, x, y)
