"""A column of a recording: the values of one port."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from attractor.errors import GraphRejected, Problem
from attractor.kinds import KINDS, is_numeric
from attractor.plan import Plan

DEFAULT_BYTES: Final = 2**24
"""What a recording that nobody asked for takes at most: its ports are recorded as rarely as that needs."""
DEFAULT_ELEMENTS: Final = 64
DEFAULT_PORTS: Final = 64
_ROW_BYTES: Final = 16
"""Tick and time of a row."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """A port and how often it is recorded.

    Attributes:
        kind, unit: of the port.
        shape: of one value; empty for a number.
        every: of so many ticks of the run the first value is taken.
        rate: ticks of its node a second.
        step: distance of the cells of a field, in the unit of length of its node; None where nothing says it.
    """

    node: str
    port: str
    kind: str
    unit: str
    shape: tuple[int, ...]
    every: int
    rate: float
    step: float | None = None

    @property
    def name(self) -> str:
        return f"{self.node}.{self.port}"

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of an element."""
        return np.dtype(_NUMPY[self.kind])

    @property
    def fs(self) -> float | None:
        """Samples a second of a signal, Hz; None of other kinds."""
        return self.shape[0] * self.rate if self.kind == "signal" else None

    def bytes(self, ticks: int) -> int:
        """What it takes at most over a run of so many ticks, without tick and time of its rows."""
        return -(-ticks // self.every) * self.elements * self.dtype.itemsize

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def of_dict(cls, document: dict[str, Any]) -> Column:
        return cls(**{**document, "shape": tuple(document["shape"])})


_NUMPY: Final = {name: str(kind.dtype).removeprefix("torch.") for name, kind in KINDS.items() if kind.dtype is not None}


def columns(plan: Plan, wanted: Iterable[tuple[str, str, int]]) -> list[Column]:
    """The columns of (node, port, every).

    Raises:
        GraphRejected: there is no such output port, or it has no numbers, or it is named twice; every fault is listed.
    """
    found: dict[str, Column] = {}
    problems = []
    for node, port, every in wanted:
        place = f"{node}.{port}"
        if place in found:
            problems.append(Problem(place, "is to be recorded twice.", "Name it once."))
            continue
        planned = plan.nodes.get(node)
        output = None if planned is None else planned.cls.port(port, planned.cls.outputs)
        if planned is None or output is None:
            problems.append(Problem(place, "is not an output port of this graph.", "Name an output as node.port."))
        elif not is_numeric(planned.kinds[port]):
            problems.append(
                Problem(place, f"is a {planned.kinds[port]}, which has no numbers.", "Record a numeric port.")
            )
        elif every < 1:
            problems.append(Problem(place, f"every {every} ticks cannot be.", "Give 1 or more."))
        else:
            rate = float(plan.clock.rates[planned.cls.rate()])
            kind, shape = planned.kinds[port], planned.shapes[port]
            step = planned.params.get("dx") if kind in ("field", "cfield") else None
            found[place] = Column(node, port, kind, output.unit, shape, every, rate, step)
    if problems:
        raise GraphRejected(problems)
    return list(found.values())


def usual_columns(plan: Plan, ticks: int) -> list[Column]:
    """What is recorded where nobody says what: numbers and short rows of what the graph shows, and all metrics.

    These are the scalar outputs, and the outputs that a view shows, of at most 64 elements; no signals and no triggers
    that no view shows.
    """
    shown = {edge.source for edge in plan.edges if plan.nodes[edge.target[0]].cls.view}
    wanted = []
    for name, node in plan.nodes.items():
        if node.cls.view:
            continue
        for port in node.cls.outputs:
            kind, elements = node.kinds[port.name], math.prod(node.shapes[port.name])
            is_shown = (name, port.name) in shown and kind != "signal"
            if kind == "scalar" or (is_shown and is_numeric(kind) and elements <= DEFAULT_ELEMENTS):
                wanted.append((name, port.name, 1))
    found = columns(plan, wanted[:DEFAULT_PORTS])
    every = max(1, -(-raw_bytes(found, ticks) // DEFAULT_BYTES))
    return columns(plan, [(one.node, one.port, every) for one in found])


def raw_bytes(found: Iterable[Column], ticks: int) -> int:
    """Bytes of all values that a run of so many ticks records at most, with those of the rows' ticks and times."""
    found = list(found)
    rows = -(-ticks // min((one.every for one in found), default=ticks))
    apart = len({one.every for one in found})
    return sum(one.bytes(ticks) for one in found) + (rows * apart * _ROW_BYTES if found else 0)
