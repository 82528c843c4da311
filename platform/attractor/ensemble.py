"""Ensemble: several runs of one graph as one program, each with an end of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from attractor.block_pass import ProgramState, Values, remember
from attractor.errors import AttractorError
from attractor.metric import Metric, Tally
from attractor.modulation import number_of
from attractor.node import State, TensorNode
from attractor.program import Program
from attractor.result import RunResult


class Ensemble:
    """The runs of a program's batch, side by side, in blocks of ticks.

    A run that fails is taken out, with the error that it would have had alone; the others go on as if it had never been
    among them.

    Args:
        program: of batch shape (B,), or () for a single run.
        points: the numbers under which its B runs are known, in the order of the batch.
        metrics: what is measured of each of them.

    Raises:
        AttractorError: a node cannot begin.
    """

    def __init__(self, program: Program, points: Sequence[int], metrics: Sequence[Metric] = ()) -> None:
        self.tick = 0
        self.points = list(points)
        self._program = program
        with torch.no_grad():
            self._state = program.initial_state()
            self._own = _own_tensors(program, self._state)
        self._dims = {name: {key: value.dim() for key, value in of.items()} for name, of in self._state.nodes.items()}
        self._last: dict[tuple[str, str], Any] = {}
        self._tally = Tally(metrics)

    def advance(self, ticks: int) -> dict[int, AttractorError]:
        """Compute the next ticks.

        Returns:
            the error of every run that failed in them, by its number; these runs are no longer in `points`.
        """
        failed: dict[int, AttractorError] = {}
        while self.points:
            try:
                self._state, values = self._run(self._program, self._state, ticks)
            except AttractorError as error:
                culprits = self._culprits(list(range(len(self.points))), ticks, error)
                failed |= {self.points[place]: why for place, why in culprits.items()}
                self._keep([place for place in range(len(self.points)) if place not in culprits])
                continue
            self._refuse_changed()
            remember(self._last, values)
            self._tally.add(values, self.tick)
            break
        self.tick += ticks
        return failed

    def result(self, point: int, *, graph_hash: str, seed: int, complete: bool) -> RunResult:
        """The result of one run after the ticks computed so far."""
        state, last = self._state, self._last
        if self._program.batch:
            place = self.points.index(point)
            state = self._taken(state, place)
            last = {key: _part(value, place) for key, value in last.items()}
        return RunResult.of(
            self._program, state, last, graph_hash=graph_hash, seed=seed, ticks=self.tick, complete=complete
        )

    def metrics(self, point: int) -> dict[str, float | None]:
        """The metrics of one run over the ticks computed so far, by their names."""
        return self._tally.of(self.points.index(point) if self._program.batch else None)

    def _run(self, program: Program, state: ProgramState, ticks: int) -> tuple[ProgramState, Values]:
        """A block from a state that stays what it is."""
        begin = ProgramState(
            dict(state.nodes), dict(state.held), dict(state.delayed), dict(state.sources), dict(state.smoothed),
            dict(state.resampled),
        )  # fmt: skip
        with torch.no_grad():
            ended = program.run(begin, self.tick, ticks)
        # What nodes say is told by the single run of a point; here it would only pile up.
        program.events()
        return ended

    def _refuse_changed(self) -> None:
        """A state whose dimensions change has been shared by all points and is so no more, or the other way round."""
        for name, dims in self._dims.items():
            if {key: value.dim() for key, value in self._state.nodes[name].items()} != dims:
                raise AttractorError(
                    f"the state of node {name!r} does not keep the dimensions it began with: they are those of the "
                    "batch and its own; report it"
                )

    def _culprits(self, places: list[int], ticks: int, error: AttractorError) -> dict[int, AttractorError]:
        """Which of the runs at these places, that fail together with `error`, fail in the next ticks, and why."""
        if len(places) == 1:
            return {places[0]: error}
        found: dict[int, AttractorError] = {}
        middle = len(places) // 2
        for half in (places[:middle], places[middle:]):
            try:
                self._run(self._program.narrowed(half), self._taken(self._state, half), ticks)
            except AttractorError as own:
                found |= self._culprits(half, ticks, own)
        if not found:
            raise AttractorError(
                f"{len(places)} points of a sweep fail together and none fails alone ({error}): "
                "a node mixes the points of its batch; report it"
            ) from error
        return found

    def _keep(self, places: list[int]) -> None:
        self.points = [self.points[place] for place in places]
        if places:
            self._state = self._taken(self._state, places)
            self._last = {key: _part(value, places) for key, value in self._last.items()}
            self._tally.keep(places)
            self._program = self._program.narrowed(places)

    def _taken(self, state: ProgramState, places: int | list[int]) -> ProgramState:
        """The state of some of the runs, or of one of them as if it had been alone."""

        def of(values: Mapping[Any, Any]) -> dict[Any, Any]:
            return {key: _part(value, places) for key, value in values.items()}

        nodes = {
            name: {key: _part(value, places) if (name, key) in self._own else value for key, value in tensors.items()}
            for name, tensors in state.nodes.items()
        }
        resampled = {index: of(memory) for index, memory in state.resampled.items()}
        smoothed = of(state.smoothed)
        if isinstance(places, int):
            # Of one run alone they are plain numbers (`modulation`).
            smoothed = {key: number_of(value) for key, value in smoothed.items()}
        return ProgramState(nodes, of(state.held), of(state.delayed), of(state.sources), smoothed, resampled)


def _own_tensors(program: Program, state: ProgramState) -> frozenset[tuple[str, str]]:
    """The tensors of node states of which every run of the batch has its own, in the first dimension; the others are
    common to all (how full a window is)."""
    if not program.batch:
        return frozenset()
    own: set[tuple[str, str]] = set()
    for name, node in program.nodes.items():
        if isinstance(node, TensorNode):
            alone: State = node.initial_state(program.contexts[name].alone())
            own |= {(name, key) for key, value in state.nodes[name].items() if value.shape != alone[key].shape}
    return frozenset(own)


def _part(value: Any, places: int | list[int]) -> Any:
    """The part of some runs in a value of the batch; an object, or ABSENT, is everybody's."""
    return value[places] if isinstance(value, torch.Tensor) else value
