"""The axes of a sweep, and the points they span."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from attractor.errors import GraphRejected, Problem
from attractor.graph import GraphSpec
from attractor.parameter import ParameterRefused
from attractor.registry import Registry

SEED: Final = "seed"
MAX_POINTS: Final = 100_000

Mode = Literal["grid", "list"]


@dataclass(frozen=True, slots=True)
class Axis:
    """What is varied, ``"array.coupling"`` or ``"seed"``, and the values it takes, in order."""

    target: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One run of a sweep: its number, the parameters that differ from the graph's, and its seed."""

    index: int
    changes: Mapping[str, Any]
    seed: int


def span(spec: GraphSpec, axes: Sequence[Axis], mode: Mode, seed: int, registry: Registry) -> list[Point]:
    """The points of a sweep.

    Args:
        axes: ``grid``: every combination of their values, the last axis fastest; ``list``: their k-th values together.
        seed: of all points, unless an axis is the seed.

    Raises:
        GraphRejected: an axis names nothing of this graph, or has a value that its declaration does not allow; every
            such value is listed.
    """
    problems: list[Problem] = []
    kinds = {node.id: registry.get(node.kind) for node in spec.nodes}
    if not axes:
        problems.append(Problem("axes", "a sweep has at least one axis.", "Name a parameter, or the seed."))
    legal: list[list[Any]] = []
    for number, axis in enumerate(axes):
        place = f"axes[{number}]"
        if axis.target in [other.target for other in axes[:number]]:
            problems.append(Problem(place, f"{axis.target} has an axis already.", "Remove one of the two."))
        if not axis.values:
            problems.append(Problem(place, f"{axis.target} takes no value.", "Give at least one."))
        node, _, name = axis.target.partition(".")
        kind = kinds.get(node)
        parameter = kind.parameter(name) if kind else None
        if axis.target != SEED and parameter is None:
            mend = 'Write "node.param", or "seed".'
            problems.append(Problem(place, f"{axis.target!r} is no parameter of this graph.", mend))
            continue
        values = []
        for k, value in enumerate(axis.values):
            try:
                values.append(seed_of(value) if parameter is None else parameter.validate(value))
            except ParameterRefused as refused:
                problems.append(Problem(f"{place}.values[{k}]", f"{axis.target}: {refused}", refused.mend))
        legal.append(values)
    lengths = {len(axis.values) for axis in axes}
    if mode == "list" and len(lengths) > 1:
        problems.append(Problem("axes", f"the axes of a list have {sorted(lengths)} values.", "Give all as many."))
    count = 1
    for axis in axes:
        count = len(axis.values) if mode == "list" else count * len(axis.values)
    if count > MAX_POINTS:
        problems.append(Problem("axes", f"{count:,} points are more than {MAX_POINTS:,}.", "Split the sweep."))
    if problems:
        raise GraphRejected(problems)
    combinations = zip(*legal, strict=True) if mode == "list" else itertools.product(*legal)
    points = []
    for index, chosen in enumerate(combinations):
        changes = {axis.target: value for axis, value in zip(axes, chosen, strict=True)}
        points.append(Point(index, changes, changes.pop(SEED, seed)))
    return points


def seed_of(value: Any) -> int:
    """A run's seed. Raises `ParameterRefused`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ParameterRefused(f"{value!r} is no seed.", "Give a whole number from 0 to 2^63 - 1.")
    return value
