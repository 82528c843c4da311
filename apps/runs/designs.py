"""What a sweep or a fit is to compute, from its JSON to the engine's terms. Importing this module imports torch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from attractor import Axis, GraphRejected, GraphSpec, Loss, Plan, Problem, squared_error
from attractor.fitting import DEFAULT_WINDOW
from attractor.gradient_path import obstacles
from attractor.metric import Metric, faults, scalar_ports
from attractor.node import DEFAULT_BLOCK
from attractor.sampling import Range, Sampling, count, sampled
from attractor.sweep_axis import Point

PLANS_LOOKED_AT: Final = 64
"""Structures of a sweep whose cost is taken from a plan of their own; of more, the corners stand for the rest."""
BATCH_BYTES: Final = 256 * 2**20
"""What points that run together may take, unless one alone takes more."""
BACKWARD: Final = 3
"""An evaluation with its gradient costs about three without (Griewank & Walther 2008, Evaluating Derivatives)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate: runs of the graph in all, bytes of memory at a time, floating-point operations in all."""

    points: int
    memory_bytes: int
    flops: float


@dataclass(frozen=True, slots=True)
class SweepDesign:
    """A graph at many points. See `SweepDesignSerializer` for the JSON."""

    axes: tuple[Axis | Range, ...]
    sampling: Sampling
    points: int | None
    metrics: tuple[Metric, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> SweepDesign:
        """The design in a JSON object that has been checked for its form."""
        return cls(
            tuple(_axis(one) for one in document["axes"]), document["sampling"], document.get("points"),
            tuple(Metric(one["port"], one["reduce"], one["start"]) for one in document["metrics"]),
        )  # fmt: skip

    @property
    def count(self) -> int:
        """At most so many points; nothing is made for it."""
        return count(self.axes, self.sampling, self.points)

    def all_points(self, spec: GraphSpec, seed: int) -> list[Point]:
        """The points, always the same ones. Raises `GraphRejected` with every fault of the axes."""
        return sampled(spec, self.axes, self.sampling, self.points, seed)

    def cost(self, spec: GraphSpec, plan: Plan, points: Sequence[Point], ticks: int) -> Cost:
        """What the points will take, by plans of the graph at some of them: an upper estimate.

        Raises:
            GraphRejected: a metric is not legal, or the graph is at none of the points looked at.
        """
        if problems := faults(self.metrics, plan, ticks):
            raise GraphRejected(problems)
        plans, rejected = [], None
        for changes in _structures(points):
            try:
                plans.append(Plan.of(spec.replace(changes)))
            except GraphRejected as error:
                rejected = error
        if not plans and rejected is not None:
            raise rejected
        memory = max(plan.estimate.memory_bytes for plan in plans)
        flops = max(plan.estimate.flops_per_tick for plan in plans) * ticks * len(points)
        return Cost(len(points), max(memory, min(BATCH_BYTES, memory * len(points))), flops)


@dataclass(frozen=True, slots=True)
class FitDesign:
    """Parameters that make a loss small. See `FitDesignSerializer` for the JSON."""

    params: tuple[str, ...]
    bounds: Mapping[str, tuple[float, float]]
    loss: Loss
    iterations: int
    rate: float
    window: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> FitDesign:
        """The design in a JSON object that has been checked for its form."""
        params = document["params"]
        loss = document["loss"]
        return cls(
            params=tuple(one["target"] for one in params),
            bounds={one["target"]: (one["min"], one["max"]) for one in params if "min" in one},
            loss=squared_error(loss["port"], loss["target"], loss["start"]),
            iterations=document["iterations"], rate=document["rate"], window=document["window"],
        )  # fmt: skip

    def cost(self, plan: Plan, ticks: int) -> Cost:
        """What the evaluations will take, with all that a gradient keeps of a window.

        Raises:
            GraphRejected: something stands between the parameters and the loss.
        """
        if problems := obstacles(plan, self.params, self.loss.ports):
            raise GraphRejected(problems)
        kept = max(1.0, min(self.window, ticks) / DEFAULT_BLOCK)
        memory = int(plan.estimate.memory_bytes * (1 + BACKWARD * kept))
        flops = plan.estimate.flops_per_tick * ticks * BACKWARD * self.iterations
        return Cost(self.iterations, memory, flops)


def default_metrics(plan: Plan) -> list[dict[str, Any]]:
    """The last value of every scalar output port of a graph."""
    return [{"port": port, "reduce": "last", "start": 0} for port in scalar_ports(plan)]


def default_window(ticks: int) -> int:
    return min(DEFAULT_WINDOW, ticks)


def loss_faults(document: Mapping[str, Any], plan: Plan, ticks: int) -> list[Problem]:
    """What is wrong with the port and the aim of a loss."""
    node, _, name = document["port"].partition(".")
    planned = plan.nodes.get(node)
    if planned is None or name not in planned.shapes:
        return [Problem("loss.port", f"{document['port']!r} is no output port of this graph.", "Name one.")]
    problems = []
    if not 0 <= document["start"] < ticks:
        mend = f"Give 0 to {ticks - 1}."
        problems.append(Problem("loss.start", f"tick {document['start']} is not in the run.", mend))
    shape = list(planned.shapes[name])
    mend = f"Give a number, a list of the shape {shape}, or one such for each of the {ticks} ticks."
    try:
        aim = torch.as_tensor(document["target"], dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        problems.append(Problem("loss.target", "is neither a number nor an even list of numbers.", mend))
        return problems
    if list(aim.shape) not in ([], shape, [ticks, *shape]):
        problems.append(Problem("loss.target", f"has the shape {list(aim.shape)}.", mend))
    if not bool(torch.isfinite(aim).all()):
        problems.append(Problem("loss.target", "is not finite in single precision.", "Give finite numbers."))
    return problems


def _axis(document: Mapping[str, Any]) -> Axis | Range:
    if "values" in document:
        return Axis(document["target"], tuple(document["values"]))
    return Range(
        document["target"], document["min"], document["max"], document.get("scale", "lin"), document.get("steps")
    )


def _structures(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Points to look at: all when they are few, else those with the smallest and largest values on every axis."""
    if len(points) <= PLANS_LOOKED_AT:
        return [dict(point.changes) for point in points]
    ends = []
    for target in points[0].changes:
        values = [point.changes[target] for point in points]
        if isinstance(values[0], int | float):
            ends.append([(target, min(values)), (target, max(values))])
        else:
            distinct = list({repr(value): value for value in values}.values())
            ends.append([(target, value) for value in distinct[:PLANS_LOOKED_AT]])
    return [dict(corner) for corner in itertools.islice(itertools.product(*ends), PLANS_LOOKED_AT)]
