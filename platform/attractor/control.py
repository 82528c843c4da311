"""Live controls: what they may name (a live parameter, or a trigger input that nothing is connected to), their log, and
a log that is to be replayed."""

from __future__ import annotations

from bisect import insort
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from attractor.clock import Pace
from attractor.errors import ControlRejected, Problem
from attractor.node import Node
from attractor.parameter import ParameterRefused

Kinds = Mapping[str, type[Node]]


@dataclass(frozen=True, slots=True)
class ControlChange:
    """A live change of a base value, with the first tick at which it held; a trigger has the value true."""

    tick: int
    target: str
    value: float | int | bool


class Schedule:
    """Control changes that are known beforehand, such as the log of a run that is to be replayed.

    Args:
        kinds: node id → kind, for the nodes of the graph.
        connected: inputs (``"search.restart"``) that an edge leads to.
        paces: the rate of every node. A trigger fires in the first of its node's ticks that is not before its own.
        changes: what happens at which tick; those of one tick in the order in which they count.

    Raises:
        ControlRejected: one of them is not legal in this graph; a tick is negative.
    """

    def __init__(
        self, kinds: Kinds, connected: Container[str], paces: Mapping[str, Pace], changes: Iterable[ControlChange]
    ) -> None:
        self._kinds = kinds
        self._paces = paces
        self._pending: list[ControlChange] = []
        for change in changes:
            if change.tick < 0:
                raise ControlRejected(
                    Problem(change.target, f"is to change at tick {change.tick}.", "The first tick is 0.")
                )
            if self._is_trigger(change.target):
                node, port = legal_trigger(kinds, connected, change.target)
                self.fire(change.tick, node, port)
            else:
                legal_change(kinds, change.target, change.value)
                self._add(change)

    @property
    def pending(self) -> tuple[ControlChange, ...]:
        """What has not taken hold yet, in order."""
        return tuple(self._pending)

    def fire(self, tick: int, node: str, port: str) -> None:
        """Let a trigger fire in the first tick of its node from `tick` on."""
        pace = self._paces[node]
        self._add(ControlChange(pace.moment(pace.before(tick)), f"{node}.{port}", True))

    def _add(self, change: ControlChange) -> None:
        insort(self._pending, change, key=lambda each: each.tick)

    def next_tick(self, after: int) -> int | None:
        """The first tick after `after` at which something changes."""
        return next((change.tick for change in self._pending if change.tick > after), None)

    def due(self, tick: int) -> tuple[list[tuple[str, str, Any]], list[tuple[str, str]]]:
        """Take out what happens at a tick: changes (node, parameter, value) and triggers (node, port)."""
        changes: list[tuple[str, str, Any]] = []
        triggers: list[tuple[str, str]] = []
        while self._pending and self._pending[0].tick <= tick:
            change = self._pending.pop(0)
            if self._is_trigger(change.target):
                node, _, port = change.target.partition(".")
                triggers.append((node, port))
            else:
                changes.append(legal_change(self._kinds, change.target, change.value))
        return changes, triggers

    def _is_trigger(self, target: str) -> bool:
        """A name that both a live parameter and a trigger input have means the parameter, as everywhere."""
        node, _, name = target.partition(".")
        kind = self._kinds.get(node)
        if kind is None:
            return False
        parameter, port = kind.parameter(name), kind.port(name, kind.inputs)
        return (parameter is None or not parameter.live) and port is not None and port.kind == "trigger"


def legal_change(kinds: Kinds, target: str, value: Any) -> tuple[str, str, Any]:
    """Node, parameter and the value in the parameter's own type.

    Args:
        kinds: node id → kind, for the nodes of the graph.
        target: ``"array.coupling"``.
        value: as it came from outside.

    Raises:
        ControlRejected: not a live parameter of this graph, or not a legal value of it.
    """
    node, _, name = target.partition(".")
    kind = kinds.get(node)
    parameter = kind.parameter(name) if kind else None
    if parameter is None or not parameter.live:
        live = [f"{each}.{p.name}" for each, cls in kinds.items() for p in cls.params if p.live]
        raise ControlRejected(
            Problem(target, "is not a live parameter of this graph.", f"Live are: {', '.join(live) or 'none'}.")
        )
    try:
        return node, name, parameter.validate(value)
    except ParameterRefused as refused:
        raise ControlRejected(Problem(target, str(refused), refused.mend)) from None


def legal_trigger(kinds: Kinds, connected: Container[str], target: str) -> tuple[str, str]:
    """Node and port of a trigger input that may be fired by hand.

    Args:
        kinds: node id → kind, for the nodes of the graph.
        connected: inputs (``"search.restart"``) that an edge leads to.
        target: ``"search.restart"``.

    Raises:
        ControlRejected: there is no such free trigger input.
    """
    node, _, name = target.partition(".")
    kind = kinds.get(node)
    port = kind.port(name, kind.inputs) if kind else None
    if port is None or port.kind != "trigger" or target in connected:
        raise ControlRejected(
            Problem(target, "is not a free trigger input of this graph.", "Name an unconnected trigger input.")
        )
    return node, name
