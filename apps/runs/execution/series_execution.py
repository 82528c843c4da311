"""A sweep or a fit in its child process. Importing this module imports torch."""

from __future__ import annotations

import threading
import time
from typing import Any

from apps.runs import points
from apps.runs.designs import FitDesign, SweepDesign
from apps.runs.execution.execution import Ending, Execution
from apps.runs.execution.ledger import DonePoints
from apps.runs.execution.pipe import Pipe
from apps.runs.execution.series import FitSeries, Report, Series, SweepSeries, evaluation_of
from apps.runs.models import Run
from apps.runs.points import DonePoint
from attractor import GraphSpec

TELL_SECONDS = 0.5
POINTS_A_WRITE = 200
GATHER_SECONDS = 5.0


class SeriesExecution(Execution):
    """Runs one attempt at a sweep or a fit.

    There is nothing to keep but the points themselves: the attempt computes those that earlier ones did not write.
    """

    def __init__(self, workspace_id: str, run_id: str, number: int, pipe: Pipe) -> None:
        super().__init__(workspace_id, run_id, number, pipe)
        self._waiting: list[DonePoint] = []
        self._waiting_since = time.monotonic()
        self._gathering = threading.Condition()
        self._gathered = 0

    def _advance(self) -> None:
        series = self._series()
        if self._run.paused:
            series.pause()
        self._note(tick=series.tick, progress=series.tick / series.ticks, paused=series.paused)
        self._take_up(series)
        self._publisher.start()
        if self._interrupted.is_set():
            return
        series.run(lambda report: self._told_by(series, report))
        self._note(tick=series.tick)

    def _series(self) -> Series:
        run = self._run
        spec = GraphSpec.parse(run.graph_version.spec)
        done = self._patiently(lambda: points.identities(run))
        self._gathered = len(done)
        if run.kind == Run.Kind.SWEEP:
            design = SweepDesign.of(_design(run))
            return SweepSeries(spec, design, run.seed, run.ticks, done, run.memory_bytes)
        known = self._patiently(lambda: list(points.points(run).values_list("params", "metrics")))
        return FitSeries(
            spec, FitDesign.of(_design(run)), run.seed, run.ticks,
            [evaluation_of(params, metrics) for params, metrics in known], done,
        )  # fmt: skip

    def _told_by(self, series: Series, report: Report) -> None:
        self._note(
            tick=min(series.tick, int(report.progress * series.ticks)), progress=report.progress, eta_s=report.eta_s,
            ticks_per_s=report.ticks_per_s, paused=series.paused,
        )  # fmt: skip
        with self._gathering:
            self._waiting += report.done
            self._gathered += len(report.done)
            self._gathering.notify_all()
            due = time.monotonic() - self._waiting_since >= TELL_SECONDS or len(self._waiting) >= POINTS_A_WRITE
        if due:
            self._hand_in()

    def _hand_in(self) -> None:
        """Have the points written that became done since the last time."""
        with self._gathering:
            waiting, self._waiting = self._waiting, []
            self._waiting_since = time.monotonic()
            for first in range(0, len(waiting), POINTS_A_WRITE):
                self._ledger.record([DonePoints(tuple(waiting[first : first + POINTS_A_WRITE]))])

    def _found(self) -> Ending:
        self._hand_in_all()
        return super()._found()

    def _hand_in_all(self) -> None:
        """Also what the series counts as done and is just about to tell, on its own thread, of which nothing waits."""
        series = self._session
        if isinstance(series, Series):
            with self._gathering:
                self._gathering.wait_for(lambda: self._gathered >= series.done, GATHER_SECONDS)
        self._hand_in()


def _design(run: Run) -> dict[str, Any]:
    if run.design is None:
        raise RuntimeError(f"a {run.kind} has a design")
    design: dict[str, Any] = run.design
    return design
