"""Metrics: one number for a whole run, from what a scalar port says on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from attractor.block_pass import Values
from attractor.errors import Problem
from attractor.node import ABSENT
from attractor.plan import Plan

Reduce = Literal["last", "mean", "min", "max"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A scalar output port, ``"array.sync"``, and what is made of its values from tick `start` on."""

    port: str
    reduce: Reduce = "last"
    start: int = 0

    @property
    def name(self) -> str:
        """``array.sync``, or ``mean of array.sync``; with ``from tick n`` where it does not begin at the start."""
        name = self.port if self.reduce == "last" else f"{self.reduce} of {self.port}"
        return f"{name} from tick {self.start}" if self.start else name


def scalar_ports(plan: Plan) -> list[str]:
    """The output ports that say one real number at a time, in the order of the graph."""
    return [
        f"{node}.{port}"
        for node, planned in plan.nodes.items()
        for port, kind in planned.kinds.items()
        if kind == "scalar" and not planned.shapes[port]
    ]


def faults(metrics: Iterable[Metric], plan: Plan, ticks: int) -> list[Problem]:
    """What is wrong with metrics of runs of this plan over so many ticks."""
    ports = scalar_ports(plan)
    problems, names = [], set()
    for number, metric in enumerate(metrics):
        place = f"metrics[{number}]"
        if metric.port not in ports:
            known = ", ".join(ports[:20]) or "none"
            problems.append(
                Problem(f"{place}.port", f"{metric.port!r} is no scalar output port.", f"There are: {known}.")
            )
        if not 0 <= metric.start < ticks:
            problems.append(
                Problem(f"{place}.start", f"tick {metric.start} is not in the run.", f"Give 0 to {ticks - 1}.")
            )
        if metric.name in names:
            problems.append(Problem(place, f"{metric.name!r} is there twice.", "Remove one of the two."))
        names.add(metric.name)
    return problems


class Tally:
    """The metrics of the runs of a batch, brought up to date block by block; how the run is cut changes nothing."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = tuple(metrics)
        # Sums in double precision, one after the other: the same whatever the length of the blocks.
        self._values: dict[Metric, torch.Tensor] = {}
        self._counts: dict[Metric, int] = dict.fromkeys(self._metrics, 0)

    def add(self, values: Values, first: int) -> None:
        """Take up the block that begins at tick `first`."""
        for metric in self._metrics:
            node, _, port = metric.port.partition(".")
            items = values[(node, port)].items
            spoken = [item for tick, item in enumerate(items, first) if tick >= metric.start and item is not ABSENT]
            if spoken:
                self._take(metric, torch.stack(spoken).to(torch.float64))

    def _take(self, metric: Metric, said: torch.Tensor) -> None:
        held = self._values.get(metric)
        match metric.reduce:
            case "last":
                held = said[-1]
            case "mean":
                held = (said if held is None else torch.cat([held[None], said])).cumsum(0)[-1]
            case "min":
                held = said.amin(0) if held is None else torch.minimum(held, said.amin(0))
            case "max":
                held = said.amax(0) if held is None else torch.maximum(held, said.amax(0))
        self._values[metric] = held
        self._counts[metric] += len(said)

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the runs at these places of the batch only."""
        self._values = {metric: value[list(places)] for metric, value in self._values.items()}

    def of(self, place: int | None) -> dict[str, float | None]:
        """The metrics of the run at a place of the batch (None: there is no batch); None where a port said nothing."""
        found: dict[str, float | None] = {}
        for metric in self._metrics:
            value = self._values.get(metric)
            if value is None:
                found[metric.name] = None
                continue
            number = float(value if place is None else value[place])
            found[metric.name] = number / self._counts[metric] if metric.reduce == "mean" else number
        return found
