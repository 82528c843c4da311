"""The points of a sweep over ranges: a grid, points drawn at random, or a Sobol sequence. A seed gives the same points
on every machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch

from attractor.errors import GraphRejected, Problem
from attractor.graph import GraphSpec
from attractor.parameter import Parameter, ParameterRefused
from attractor.philox import RandomStream
from attractor.registry import Registry
from attractor.sweep_axis import MAX_POINTS, SEED, Axis, Point, seed_of, span

Sampling = Literal["grid", "random", "sobol"]

MAX_AXES: Final = 32
SOBOL_BITS: Final = 30
# No node has this id, so that no node draws the same numbers.
_STREAM: Final = "points of a sweep"
_DRAW, _SHIFT = 0, 1


@dataclass(frozen=True, slots=True)
class Range:
    """What is varied, from `low` to `high` inclusive.

    Attributes:
        scale: ``log`` for values whose logarithms are evenly spread; both ends are then above 0.
        steps: values of a grid, ends included; without meaning where points are drawn.
    """

    target: str
    low: float
    high: float
    scale: Literal["lin", "log"] = "lin"
    steps: int | None = None


def count(axes: Sequence[Axis | Range], sampling: Sampling, points: int | None) -> int:
    """How many points there will be at most, without making any."""
    if sampling != "grid":
        return points or 0
    return math.prod(len(axis.values) if isinstance(axis, Axis) else axis.steps or 0 for axis in axes)


def sampled(
    spec: GraphSpec, axes: Sequence[Axis | Range], sampling: Sampling, points: int | None, seed: int,
    registry: Registry | None = None,
) -> list[Point]:  # fmt: skip
    """The points of a sweep.

    ``grid`` has every combination, the last axis fastest; values of whole numbers are rounded, and those that become
    equal are one. ``random`` draws each coordinate independently by Philox. ``sobol`` takes the first points of the
    sequence with the direction numbers of Joe & Kuo (2008, SIAM J. Sci. Comput. 30:2635), each coordinate shifted
    digitally by a random number (L'Ecuyer & Lemieux 2002, Modeling Uncertainty 419): unbiased, and as even as the
    sequence itself; powers of 2 fill the space best. An axis of given values is drawn from them.

    Args:
        points: how many, unless it is a grid.
        seed: of all points, unless an axis is the seed, and of the draw.

    Raises:
        GraphRejected: every fault of the axes is listed.
    """
    registry = registry or Registry.default()
    problems = _faults(spec, axes, sampling, points, registry)
    if problems:
        raise GraphRejected(problems)
    kinds = [_parameter(spec, axis.target, registry) for axis in axes]
    if sampling == "grid":
        on_grid = [_grid(axis, kind) for axis, kind in zip(axes, kinds, strict=True)]
        return span(spec, on_grid, "grid", seed, registry)
    places = _places(sampling, points or 0, len(axes), seed)
    drawn = [
        Axis(axis.target, tuple(_value(axis, kind, float(place)) for place in places[:, column]))
        for column, (axis, kind) in enumerate(zip(axes, kinds, strict=True))
    ]
    return span(spec, drawn, "list", seed, registry)


def _faults(
    spec: GraphSpec, axes: Sequence[Axis | Range], sampling: Sampling, points: int | None, registry: Registry
) -> list[Problem]:
    problems: list[Problem] = []
    if not axes:
        problems.append(Problem("axes", "a sweep has at least one axis.", "Name a parameter, or the seed."))
    if len(axes) > MAX_AXES:
        problems.append(Problem("axes", f"{len(axes)} axes are more than {MAX_AXES}.", "Leave some out."))
    if sampling == "grid" and points is not None:
        problems.append(Problem("points", "a grid has as many points as its axes give.", "Leave it out."))
    if sampling != "grid" and (points is None or points < 1):
        problems.append(Problem("points", f"how many are to be drawn ({sampling})?", "Give 1 or more."))
    most = count(axes, sampling, points)
    if most > MAX_POINTS:
        problems.append(Problem("axes", f"{most:,} points are more than {MAX_POINTS:,}.", "Make fewer."))
    if problems:
        return problems
    for number, axis in enumerate(axes):
        place = f"axes[{number}]"
        if isinstance(axis, Range):
            problems += _range_faults(place, axis, sampling, _parameter(spec, axis.target, registry))
        elif not axis.values:
            problems.append(Problem(place, f"{axis.target} takes no value.", "Give at least one."))
    return problems


def _range_faults(place: str, axis: Range, sampling: Sampling, parameter: Parameter | None) -> list[Problem]:
    problems = []
    if parameter is None and axis.target != SEED:
        return []  # `span` says it, for axes of both kinds
    if parameter is not None and parameter.type not in ("float", "int"):
        return [Problem(place, f"{axis.target} is no number, so it has no range.", "Give its values one by one.")]
    for end, value in (("min", axis.low), ("max", axis.high)):
        try:
            _legal(parameter, value)
        except ParameterRefused as refused:
            problems.append(Problem(f"{place}.{end}", f"{axis.target}: {refused}", refused.mend))
    if not axis.low < axis.high:
        problems.append(Problem(place, f"{axis.target}: min is not below max.", "Swap them, or give one value."))
    if axis.scale == "log" and not axis.low > 0:
        problems.append(Problem(f"{place}.min", "a logarithmic axis begins above 0.", "Raise it, or use lin."))
    if sampling == "grid" and (axis.steps is None or axis.steps < 2):
        problems.append(Problem(f"{place}.steps", f"{axis.target} needs at least 2 steps.", "Give 2 or more."))
    return problems


def _legal(parameter: Parameter | None, value: float) -> Any:
    return seed_of(value) if parameter is None else parameter.validate(value)


def _parameter(spec: GraphSpec, target: str, registry: Registry) -> Parameter | None:
    """The parameter that a target names; None for the seed, and for what the graph does not have."""
    name, _, parameter = target.partition(".")
    kind = next((registry.get(node.kind) for node in spec.nodes if node.id == name), None)
    return kind.parameter(parameter) if kind else None


def _whole(parameter: Parameter | None) -> bool:
    return parameter is None or parameter.type == "int"


def _grid(axis: Axis | Range, parameter: Parameter | None) -> Axis:
    if isinstance(axis, Axis):
        return axis
    steps = axis.steps or 0
    values: list[float] = [_between(axis, k / (steps - 1)) for k in range(1, steps - 1)]
    values = [axis.low, *values, axis.high]
    if _whole(parameter):
        values = list(dict.fromkeys(round(value) for value in values))
    return Axis(axis.target, tuple(values))


def _value(axis: Axis | Range, parameter: Parameter | None, place: float) -> Any:
    """The value at a place in [0, 1)."""
    if isinstance(axis, Axis):
        return axis.values[int(place * len(axis.values))]
    if not _whole(parameter):
        return min(max(_between(axis, place), axis.low), axis.high)
    low, high = int(axis.low), int(axis.high)
    if axis.scale == "log":
        return min(high, int(low * ((high + 1) / low) ** place))
    return low + int(place * (high - low + 1))


def _between(axis: Range, share: float) -> float:
    if axis.scale == "log":
        return float(axis.low * (axis.high / axis.low) ** share)
    return float(axis.low + (axis.high - axis.low) * share)


def _places(sampling: Sampling, points: int, axes: int, seed: int) -> npt.NDArray[np.float64]:
    """Points of the unit cube, (points, axes), each coordinate in [0, 1)."""
    stream = RandomStream(seed, _STREAM, torch.device("cpu"), torch.float32)
    if sampling == "random":
        columns = []
        for axis in range(axes):
            words = stream.words(_DRAW, 2 * points, lane=axis)[0].astype(np.uint64).reshape(points, 2)
            # 53 bits: as many as a double holds.
            columns.append(((words[:, 0] >> np.uint64(5)) << np.uint64(26) | words[:, 1] >> np.uint64(6)) * 2.0**-53)
        return np.stack(columns, axis=1)
    sequence = torch.quasirandom.SobolEngine(axes, scramble=False).draw(points, dtype=torch.float64).numpy()  # type: ignore[no-untyped-call]
    digits = np.round(sequence * 2.0**SOBOL_BITS).astype(np.uint64)
    shift = stream.words(_SHIFT, axes)[0].astype(np.uint64) >> np.uint64(32 - SOBOL_BITS)
    shifted: npt.NDArray[np.float64] = (digits ^ shift) * 2.0**-SOBOL_BITS
    return shifted
