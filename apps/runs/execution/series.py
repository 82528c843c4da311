"""Many runs of one graph as one computation: the points of a sweep, the evaluations of a fit. Imports torch."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import torch

from apps.runs.designs import BATCH_BYTES, FitDesign, SweepDesign
from apps.runs.execution.diagnosis import diagnose
from apps.runs.execution.pace import FIRST_BLOCK, next_block
from apps.runs.points import DonePoint, hash_of
from attractor import Axis, GraphRejected, GraphSpec, Plan, Problem, Sweep
from attractor.errors import ControlRejected
from attractor.fitting import Evaluation, FitResult, fit
from attractor.result import device_class, versions
from attractor.sweep import Outcome
from attractor.sweep_axis import SEED, Point
from attractor.tier import EAGER, Tier

logger = logging.getLogger(__name__)

TOGETHER: Final = 64
"""Points given to the engine at once: what is lost at most when the process dies, where they run as one program."""


class Cancelled(Exception):
    """The series was told to stop."""


@dataclass(frozen=True, slots=True)
class Report:
    """How far a series is: the points that became done, the share of all that is, ticks a second and seconds left."""

    done: tuple[DonePoint, ...]
    progress: float
    ticks_per_s: float
    eta_s: float


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """What came of all points together; `points` counts them, `fit` has the values that were found."""

    graph_hash: str
    seed: int
    ticks: int
    tier: str
    tier_reason: str
    result_hash: str
    points: dict[str, int]
    kinds: dict[str, int]
    fit: dict[str, Any] | None = None
    weights: dict[str, Any] = field(default_factory=dict)
    complete: bool = True
    device: str = ""
    versions: dict[str, str] = field(default_factory=versions)
    control_log: list[Any] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        document = asdict(self)
        if self.fit is None:
            del document["fit"]
        return document


class Series(ABC):
    """One computation of many points, some of which earlier attempts have done.

    Args:
        spec: the graph.
        seed, ticks: of every point, unless it has its own seed.
        total: how many points there are.
        identities: of the points that are done, by number.
    """

    def __init__(self, spec: GraphSpec, seed: int, ticks: int, total: int, identities: Mapping[int, str]) -> None:
        self.spec = spec
        self.seed = seed
        self.ticks = ticks
        self.total = total
        self._identities = dict(identities)
        self._failed = sum(not line.partition(" ")[2].startswith("sha256:") for line in identities.values())
        self._begun_with = len(identities)
        self._running = threading.Event()
        self._running.set()
        self._cancelled = threading.Event()
        self._busy_s = 0.0

    # As of a session.

    @property
    def tick(self) -> int:
        return self.ticks * len(self._identities) // self.total

    @property
    def done(self) -> int:
        """Points that are done, here or by earlier attempts."""
        return len(self._identities)

    @property
    def paused(self) -> bool:
        return not self._running.is_set()

    def set_control(self, target: str, value: Any) -> None:
        raise ControlRejected(Problem(target, "is fixed by the design of the run.", "Run the graph alone to set it."))

    def trigger(self, target: str) -> None:
        raise ControlRejected(Problem(target, "cannot be fired here.", "Run the graph alone to fire it."))

    def subscribe(self, node: str, port: str, every: int = 1, take: int | None = None) -> None:
        raise ControlRejected(
            Problem(f"{node}.{port}", "cannot be watched: many runs say it.", "Run the graph alone to watch it.")
        )

    def unsubscribe(self, node: str, port: str) -> None:
        """Nothing is ever subscribed to."""

    def cancel(self) -> None:
        self._cancelled.set()
        self._running.set()
        self._stop()

    def pause(self) -> None:
        self._running.clear()
        if self._cancelled.is_set():
            self._running.set()

    def resume(self) -> None:
        self._running.set()

    # Computing.

    @abstractmethod
    def run(self, on_report: Callable[[Report], None]) -> None:
        """Compute what is not done, telling of it from time to time. Returns early after `cancel`."""

    @abstractmethod
    def result(self) -> SeriesResult:
        """What came out of all points."""

    def _stop(self) -> None:
        """Have whatever computes stop soon."""

    def _wait(self) -> None:
        """Wait while paused. Raises `Cancelled`."""
        self._running.wait()
        if self._cancelled.is_set():
            raise Cancelled

    def _report(self, done: Sequence[DonePoint], under_way: float, seconds: float) -> Report:
        """Take up what became done. `under_way`: points' worth of work on those that are not."""
        for one in done:
            self._identities[one.index] = one.identity
            self._failed += one.error is not None
        self._busy_s += seconds
        here = len(self._identities) - self._begun_with + under_way
        rate = here / self._busy_s if self._busy_s else 0.0
        worth = len(self._identities) + under_way
        left = (self.total - worth) / rate if rate else 0.0
        return Report(tuple(done), min(1.0, worth / self.total), rate * self.ticks, left)

    def _summary(self, tier: Tier, weights: Mapping[str, Any], found: dict[str, Any] | None = None) -> SeriesResult:
        return SeriesResult(
            graph_hash=self.spec.content_hash, seed=self.seed, ticks=self.ticks, tier=tier.name,
            tier_reason=tier.reason, result_hash=hash_of(self._identities), weights=dict(weights), fit=found,
            device=device_class(torch.device("cpu")),
            kinds=dict(sorted({(node.cls.kind, node.cls.version) for node in Plan.of(self.spec).nodes.values()})),
            points={"total": self.total, "succeeded": self.total - self._failed, "failed": self._failed},
        )  # fmt: skip


class SweepSeries(Series):
    """The points of a sweep. One that fails is done like the others, with its error; the sweep goes on.

    Every point has the tier, and so the bits, of its single run.

    Args:
        memory_bytes: what points that run together may take.
    """

    def __init__(
        self, spec: GraphSpec, design: SweepDesign, seed: int, ticks: int, identities: Mapping[int, str],
        memory_bytes: int = BATCH_BYTES,
    ) -> None:  # fmt: skip
        every = design.all_points(spec, seed)
        super().__init__(spec, seed, ticks, len(every), identities)
        self._metrics = design.metrics
        self._memory = memory_bytes
        self._left = [point for point in every if point.index not in self._identities]
        self._sweep: Sweep | None = None
        self._weights: Mapping[str, Any] = {}

    def run(self, on_report: Callable[[Report], None]) -> None:
        try:
            for first in range(0, len(self._left), TOGETHER):
                for tier, points in self._by_tier(self._left[first : first + TOGETHER], on_report).items():
                    self._run(tier, points, on_report)
        except Cancelled:
            logger.info("the sweep stops with %d of %d points done", len(self._identities), self.total)

    def result(self) -> SeriesResult:
        return self._summary(Tier.choose("auto", Plan.of(self.spec), self.ticks), self._weights)

    def _stop(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()

    def _by_tier(
        self, points: Sequence[Point], on_report: Callable[[Report], None]
    ) -> dict[str, list[Point]]:  # fmt: skip
        """The points by the tiers of their single runs; one whose graph is not legal has failed."""
        tiers: dict[str, list[Point]] = {}
        for point in points:
            try:
                plan = Plan.of(self.spec.replace(point.changes))
            except GraphRejected as rejected:
                self._wait()
                on_report(self._report([self._failure(point, rejected)], 0.0, 0.0))
                continue
            tiers.setdefault(Tier.choose("auto", plan, self.ticks).name, []).append(point)
        return tiers

    def _run(self, tier: str, points: Sequence[Point], on_report: Callable[[Report], None]) -> None:
        try:
            for report in self._reports(tier, points):
                on_report(report)
        except Cancelled:
            raise
        except Exception as error:
            # What is not of the engine's making, memory that ran out for one, has come from any of them: one by one it
            # shows from which, and the others are computed.
            left = [point for point in points if point.index not in self._identities]
            logger.warning("%d points could not be computed together", len(left), exc_info=error)
            if len(points) == 1:
                on_report(self._report([self._failure(point, error) for point in left], 0.0, 0.0))
                return
            for point in left:
                self._run(tier, [point], on_report)

    def _reports(self, tier: str, points: Sequence[Point]) -> Iterator[Report]:
        axes = [Axis(target, tuple(point.changes[target] for point in points)) for target in points[0].changes]
        axes.append(Axis(SEED, tuple(point.seed for point in points)))
        sweep = Sweep(
            self.spec, axes, mode="list", ticks=self.ticks, block=FIRST_BLOCK, tier=tier, memory_bytes=self._memory,
            metrics=self._metrics,
        )  # fmt: skip
        self._sweep = sweep
        told: set[int] = set()
        tick, begun = 0, time.perf_counter()
        self._wait()
        for progress in sweep:
            seconds = time.perf_counter() - begun
            done = [
                self._point(points[place], outcome)
                for place, outcome in enumerate(sweep.outcomes)
                if place not in told and (outcome.result is not None or outcome.failure is not None)
            ]
            told |= {place for place, one in enumerate(sweep.outcomes) if one.result is not None or one.failure}
            going = sum(place not in told for place in sweep.parts[-1].points)
            yield self._report(done, going * progress.tick / progress.ticks, seconds)
            ticks = progress.tick - tick if progress.tick > tick else progress.tick
            sweep.block = next_block(max(1, ticks), seconds)
            tick = progress.tick
            self._wait()
            begun = time.perf_counter()
        left = [place for place in range(len(points)) if place not in told]
        if left and not self._cancelled.is_set():
            # Those that could not even be planned together with the others.
            yield self._report([self._point(points[place], sweep.outcomes[place]) for place in left], 0.0, 0.0)
        self._wait()

    def _point(self, point: Point, outcome: Outcome) -> DonePoint:
        if outcome.failure is not None:
            return self._failure(point, outcome.failure)
        assert outcome.result is not None
        self._weights = outcome.result.weights
        return DonePoint(
            point.index, dict(point.changes), point.seed, dict(outcome.metrics), outcome.result.result_hash
        )  # fmt: skip

    def _failure(self, point: Point, error: BaseException) -> DonePoint:
        failure = diagnose(error, 0)
        return DonePoint(point.index, dict(point.changes), point.seed, error=failure.as_dict())


class FitSeries(Series):
    """The evaluations of a fit, each a point with loss and gradient. An evaluation that fails fails the fit.

    Args:
        known: the evaluations that are done, in their order.
        identities: theirs.
    """

    def __init__(
        self, spec: GraphSpec, design: FitDesign, seed: int, ticks: int, known: Sequence[Evaluation],
        identities: Mapping[int, str],
    ) -> None:  # fmt: skip
        super().__init__(spec, seed, ticks, design.iterations, identities)
        self._design = design
        self._known = list(known)
        self._found: FitResult | None = None

    def run(self, on_report: Callable[[Report], None]) -> None:
        begun = time.perf_counter()

        def evaluated(evaluation: Evaluation) -> None:
            nonlocal begun
            seconds = time.perf_counter() - begun
            on_report(self._report([self._point(evaluation)], 0.0, seconds))
            self._wait()
            begun = time.perf_counter()

        design = self._design
        try:
            self._wait()
            self._found = fit(
                self.spec, design.params, design.loss, ticks=self.ticks, steps=design.iterations, rate=design.rate,
                window=design.window, seed=self.seed, bounds=design.bounds, known=self._known, on_step=evaluated,
            )  # fmt: skip
        except Cancelled:
            logger.info("the fit stops after %d of %d evaluations", len(self._identities), self.total)

    @property
    def tick(self) -> int:
        # Done is what has been looked through for the best, not merely evaluated.
        return self.ticks if self._found is not None else min(super().tick, self.ticks - 1)

    def result(self) -> SeriesResult:
        found = self._found
        if found is None:
            raise RuntimeError("a fit has a result when all of its evaluations are done")
        best = next(k for k, one in enumerate(found.history) if one.loss == found.loss)
        values = {"params": found.params, "loss": found.loss, "iteration": best}
        return self._summary(EAGER, {}, values)

    def _point(self, evaluation: Evaluation) -> DonePoint:
        said = json.dumps(asdict(evaluation), sort_keys=True)
        return DonePoint(
            len(self._identities), evaluation.params, self.seed,
            {"loss": evaluation.loss, **{f"d loss / d {name}": value for name, value in evaluation.gradient.items()}},
            "sha256:" + hashlib.sha256(said.encode()).hexdigest(),
        )  # fmt: skip


def evaluation_of(params: Mapping[str, float], metrics: Mapping[str, float]) -> Evaluation:
    """The evaluation that a point of a fit holds."""
    values = {name: float(value) for name, value in params.items()}
    gradient = {name: float(metrics[f"d loss / d {name}"]) for name in values}
    return Evaluation(values, float(metrics["loss"]), gradient)
