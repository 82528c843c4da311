"""Sweep: one graph at many values of its parameters and seeds. Point b has the result of the single run of b."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch

from attractor.ensemble import Ensemble
from attractor.errors import AttractorError, GraphRejected, NodeFailed, Problem
from attractor.graph import GraphSpec
from attractor.metric import Metric, faults
from attractor.node import DEFAULT_BLOCK, SeedsDiffer, ShapeProblem
from attractor.plan import Plan
from attractor.program import Program
from attractor.registry import Registry
from attractor.result import RunResult
from attractor.session import Session
from attractor.sweep_axis import Axis, Mode, Point, span
from attractor.tier import Tier

DEFAULT_MEMORY: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a point: a result and metrics, or the error with which it failed; neither before it is done."""

    point: Point
    result: RunResult | None = None
    failure: AttractorError | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """The points that run as one program.

    Attributes:
        points: their numbers.
        reason: why there are not more of them; empty when nothing else could have joined.
    """

    points: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How far a sweep has come: points done and failed, of how many, and the ticks of the part that is running."""

    done: int
    failed: int
    points: int
    tick: int
    ticks: int

    @property
    def progress(self) -> float:
        """Share of the points that are done or failed, 0 … 1."""
        return (self.done + self.failed) / self.points


@dataclass(slots=True)
class _Group:
    """Points of one plan: they differ in live floating-point parameters and the seed only."""

    plan: Plan
    points: list[Point] = field(default_factory=list)


class Sweep:
    """Iterate over it to run it; it ends with the last point, or within one block after `cancel`.

    Points that differ only in live floating-point parameters and seeds run as one program with a leading batch
    dimension, as many at once as the memory allows. Points that differ in others (sizes, choices, switches, whole
    numbers), and graphs with a node that cannot be batched, have programs of their own; `parts` says why.

    Args:
        spec: the graph.
        axes: what is varied.
        mode: ``grid`` for all combinations, ``list`` for the k-th values of all axes together.
        seed: run seed where no axis is the seed.
        ticks: length of every run.
        block: ticks between two visits; it changes no result.
        device: where tensors live.
        tier: as of a session; ``auto`` is resolved once, for the graph as it is.
        memory_bytes: what the points that run together may take, by the plan's estimate.
        exact: whether every point must have the bits of its single run. If not, points run together also where a node
            rounds differently in a batch (sums of a matrix product in another order).
        metrics: what is measured of every run.
        registry: the node kinds.

    Raises:
        ValueError: ticks, block or memory out of range, or no such tier.
        GraphRejected: the graph has problems, or an axis, a value on it or a metric is not legal; every one is listed.
    """

    def __init__(
        self, spec: GraphSpec, axes: Sequence[Axis], *, mode: Mode = "grid", seed: int = 0, ticks: int = 1000,
        block: int = DEFAULT_BLOCK, device: torch.device | str = "cpu", tier: str = "auto",
        memory_bytes: int = DEFAULT_MEMORY, exact: bool = True, metrics: Sequence[Metric] = (),
        registry: Registry | None = None,
    ) -> None:  # fmt: skip
        if ticks < 1 or block < 1 or memory_bytes < 1:
            raise ValueError(f"ticks ({ticks}), block ({block}) and memory_bytes ({memory_bytes}) must be at least 1")
        self.spec = spec
        self.ticks = ticks
        self.block = block
        self.memory_bytes = memory_bytes
        self.exact = exact
        self.device = torch.device(device)
        self._registry = registry or Registry.default()
        points = span(spec, axes, mode, seed, self._registry)
        plan = Plan.of(spec, self._registry)
        if problems := faults(metrics, plan, ticks):
            raise GraphRejected(problems)
        self._metrics = tuple(metrics)
        self.tier = Tier.choose(tier, plan, ticks, self.device)
        self.outcomes = [Outcome(point) for point in points]
        self.parts: list[Part] = []
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop within one block. May be called from any thread."""
        self._cancelled.set()

    def session(self, point: int) -> Session:
        """The single run of a point.

        Raises:
            GraphRejected: the point's graph is not legal.
            AttractorError: a node cannot be prepared with its parameters.
        """
        of = self.outcomes[point].point
        plan = Plan.of(self.spec.replace(of.changes), self._registry)
        return Session(plan, of.seed, self.ticks, self.block, self.device, self.tier.name)

    def run(self) -> list[Outcome]:
        """Run to the end and return what became of every point."""
        for _ in self:
            pass
        return self.outcomes

    def __iter__(self) -> Iterator[SweepReport]:
        for group in self._groups():
            for part, reason in self._split(group):
                yield from self._run_part(group.plan, part, reason)
                if self._cancelled.is_set():
                    return

    # How the points are shared out.

    def _groups(self) -> Iterator[_Group]:
        """The points that are not done, by plan. A point whose graph is not legal has failed."""
        groups: dict[str, _Group] = {}
        for outcome in self.outcomes:
            if outcome.result is not None or outcome.failure is not None:
                continue
            point = outcome.point
            own = {target: value for target, value in point.changes.items() if not self._batched(target)}
            key = repr(sorted(own.items()))
            try:
                if key in groups:
                    self._validate(groups[key].plan, point)
                else:
                    # With all values of the point: those of the graph as it is belong to none of them.
                    groups[key] = _Group(Plan.of(self.spec.replace(point.changes), self._registry))
            except GraphRejected as rejected:
                self._fail(point.index, rejected)
                continue
            groups[key].points.append(point)
        return iter([group for group in groups.values() if group.points])

    def _batched(self, target: str) -> bool:
        """Whether points may differ in this parameter and still be one program."""
        node, _, name = target.partition(".")
        cls = self._registry.get(next(spec.kind for spec in self.spec.nodes if spec.id == node))
        parameter = cls.parameter(name) if cls else None
        return parameter is not None and parameter.live and parameter.type == "float"

    def _validate(self, plan: Plan, point: Point) -> None:
        for node, changes in self._base([point]).items():
            planned = plan.nodes[node]
            try:
                planned.cls.validate({**planned.params, **{name: values[0] for name, values in changes.items()}})
            except ShapeProblem as problem:
                place = f"nodes.{node}.params.{problem.port}"
                raise GraphRejected([Problem(place, str(problem), problem.mend)]) from None

    def _base(self, points: Sequence[Point]) -> dict[str, dict[str, list[Any]]]:
        """The values of the batched parameters at every one of the points."""
        base: dict[str, dict[str, list[Any]]] = {}
        for target in points[0].changes:
            if self._batched(target):
                node, _, name = target.partition(".")
                base.setdefault(node, {})[name] = [point.changes[target] for point in points]
        return base

    def _split(self, group: _Group) -> Iterator[tuple[list[Point], str]]:
        """The parts of a group, each with the reason why it is not larger."""
        width, reason = self._width(group.plan)
        whole = len(group.points) <= width
        for start in range(0, len(group.points), width):
            yield group.points[start : start + width], "" if whole else reason

    def _width(self, plan: Plan) -> tuple[int, str]:
        """How many points fit into one program, and why not more."""
        if self.tier.compiled and self.exact:
            return 1, f"the tier {self.tier.name!r}: a program compiled for a batch rounds in another order"
        for planned in plan.nodes.values():
            refusal = planned.cls.batch_refusal(planned.params)
            if refusal is None and self.exact:
                refusal = planned.cls.batch_rounding(planned.params, self.tier.kernels)
            if refusal is not None:
                return 1, f"node {planned.id!r} ({planned.cls.kind}): {refusal}"
        each = max(1, plan.estimate.memory_bytes)
        return max(1, self.memory_bytes // each), f"{each:,} bytes for each point, by the plan's estimate"

    # Running a part.

    def _run_part(self, plan: Plan, points: list[Point], reason: str) -> Iterator[SweepReport]:
        try:
            ensemble = self._ensemble(plan, points)
        except SeedsDiffer as differ:
            by_seed: dict[int, list[Point]] = {}
            for point in points:
                by_seed.setdefault(point.seed, []).append(point)
            for same in by_seed.values():
                yield from self._run_part(plan, same, str(differ))
            return
        except NodeFailed as refused:
            # A first state that cannot be made, of whichever points: one by one it shows.
            if len(points) > 1:
                for point in points:
                    yield from self._run_part(plan, [point], str(refused))
                return
            self._fail(points[0].index, refused)
            ensemble = None
        self.parts.append(Part(tuple(point.index for point in points), reason))
        if ensemble is None:
            yield self._report(0)
            return
        while ensemble.points and ensemble.tick < self.ticks and not self._cancelled.is_set():
            for index, failure in ensemble.advance(min(self.block, self.ticks - ensemble.tick)).items():
                self._fail(index, failure)
            if ensemble.tick == self.ticks:
                self._finish(ensemble)
            yield self._report(ensemble.tick)

    def _ensemble(self, plan: Plan, points: list[Point]) -> Ensemble | None:
        """The points ready to run, without those that cannot begin, which have failed; None when none is left.

        Raises:
            SeedsDiffer: runs of different seeds do not fit together.
            NodeFailed: a node cannot begin.
        """
        try:
            with torch.no_grad():
                program = self._program(plan, points)
        except SeedsDiffer:
            raise
        except AttractorError as failure:
            # No point has had a say of its own in this: it is the same for all of them.
            for point in points:
                self._fail(point.index, failure)
            return None
        if not program.batch:
            return Ensemble(program, [points[0].index], self._metrics)
        willing = [place for place, point in enumerate(points) if self._accepted(program, point)]
        if not willing:
            return None
        if len(willing) < len(points):
            program = program.narrowed(willing)
        return Ensemble(program, [points[place].index for place in willing], self._metrics)

    def _program(self, plan: Plan, points: list[Point]) -> Program:
        if len(points) == 1:
            (point,) = points
            plan = Plan.of(self.spec.replace(point.changes), self._registry)
            return Program(plan, point.seed, self.device, self.tier)
        base = {
            node: {name: torch.tensor(values, dtype=torch.float32, device=self.device) for name, values in own.items()}
            for node, own in self._base(points).items()
        }
        seeds = [point.seed for point in points]
        seed = seeds[0] if len(set(seeds)) == 1 else seeds
        return Program(plan, seed, self.device, self.tier, (len(points),), base)

    def _accepted(self, program: Program, point: Point) -> bool:
        try:
            for node, changes in self._base([point]).items():
                program.accept(node, {name: values[0] for name, values in changes.items()})
        except NodeFailed as failure:
            self._fail(point.index, failure)
            return False
        return True

    def _finish(self, ensemble: Ensemble) -> None:
        for index in ensemble.points:
            point = self.outcomes[index].point
            graph_hash = self.spec.replace(point.changes).content_hash
            result = ensemble.result(index, graph_hash=graph_hash, seed=point.seed, complete=True)
            self.outcomes[index] = replace(self.outcomes[index], result=result, metrics=ensemble.metrics(index))

    def _fail(self, index: int, failure: AttractorError) -> None:
        self.outcomes[index] = replace(self.outcomes[index], failure=failure)

    def _report(self, tick: int) -> SweepReport:
        done = sum(outcome.result is not None for outcome in self.outcomes)
        failed = sum(outcome.failure is not None for outcome in self.outcomes)
        return SweepReport(done, failed, len(self.outcomes), tick, self.ticks)
