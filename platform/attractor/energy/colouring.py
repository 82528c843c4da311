"""Proper colourings: partitions of the units into blocks that may be updated together.

Units of one colour share no term, so that given all others they are independent, and updating them at once leaves the
Boltzmann distribution invariant. A partition with an edge inside a block does not.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from attractor.energy.interaction_graph import Indices, InteractionGraph


@dataclass(frozen=True, eq=False)
class Colouring:
    """A colour for every unit.

    Args:
        colours: (N,) int64, each colour 0 … count − 1 in use.
    """

    colours: Indices

    @property
    def count(self) -> int:
        """Number of colours."""
        return int(self.colours.max(initial=-1)) + 1

    @cached_property
    def order(self) -> Indices:
        """The units colour by colour, ascending within a colour, (N,): the order of a sweep."""
        return np.argsort(self.colours, kind="stable")

    @cached_property
    def starts(self) -> Indices:
        """(count + 1,): colour c is ``order[starts[c]:starts[c + 1]]``."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.colours, minlength=self.count))]).astype(np.int64)

    def blocks(self) -> list[Indices]:
        """The units of each colour."""
        return np.split(self.order, self.starts[1:-1]) if self.count else []

    def conflict(self, graph: InteractionGraph) -> tuple[int, int] | None:
        """The first edge whose ends share a colour; None when the colouring is proper."""
        edges = graph.edges
        inside = self.colours[edges[:, 0]] == self.colours[edges[:, 1]]
        if not inside.any():
            return None
        i, j = edges[inside][0].tolist()
        return i, j


class ColouringRefused(ValueError):
    """A graph that a strategy cannot colour properly; `mend` says what to do."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def dsatur(graph: InteractionGraph) -> Colouring:
    """DSATUR (Brélaz 1979, CACM 22:251): next is the unit with the most colours around it, among those the one with
    most uncoloured neighbours, then the lowest. Exact on bipartite graphs."""
    n = graph.size
    if graph.is_complete:
        return Colouring(np.arange(n))
    colours = np.full(n, -1, dtype=np.int64)
    around: list[set[int]] = [set() for _ in range(n)]
    free = graph.degrees.copy()
    heap = [(0, -int(free[unit]), unit) for unit in range(n)]
    heapq.heapify(heap)
    while heap:
        saturation, degree, unit = heapq.heappop(heap)
        # Entries are not updated in place: one that no longer tells the truth has a younger double.
        if colours[unit] >= 0 or -saturation != len(around[unit]) or -degree != free[unit]:
            continue
        colour = _lowest_free(around[unit])
        colours[unit] = colour
        for near in graph.neighbours(unit).tolist():
            if colours[near] < 0:
                around[near].add(colour)
                free[near] -= 1
                heapq.heappush(heap, (-len(around[near]), -int(free[near]), near))
    return Colouring(colours)


def largest_first(graph: InteractionGraph) -> Colouring:
    """Greedy in the order of falling degree (Welsh & Powell 1967, Comput. J. 10:85)."""
    n = graph.size
    if graph.is_complete:
        return Colouring(np.arange(n))
    colours = np.full(n, -1, dtype=np.int64)
    for unit in np.argsort(-graph.degrees, kind="stable").tolist():
        near = colours[graph.neighbours(unit)]
        colours[unit] = _lowest_free(set(near.tolist()))
    return Colouring(colours)


def checkerboard(graph: InteractionGraph) -> Colouring:
    """Two colours, by breadth-first search.

    Raises:
        ColouringRefused: the graph has an odd cycle, so that two colours do not suffice.
    """
    colours = np.full(graph.size, -1, dtype=np.int64)
    for root in range(graph.size):
        if colours[root] >= 0:
            continue
        colours[root] = 0
        front = [root]
        while front:
            following: list[int] = []
            for unit in front:
                for near in graph.neighbours(unit).tolist():
                    if colours[near] < 0:
                        colours[near] = 1 - colours[unit]
                        following.append(near)
                    elif colours[near] == colours[unit]:
                        raise ColouringRefused(
                            f"two colours do not suffice: units {unit} and {near} lie on an odd cycle.",
                            'Use the strategy "coloring_dsatur", which takes as many colours as are needed.',
                        )
            front = following
    return Colouring(colours)


def sequential(graph: InteractionGraph) -> Colouring:
    """A colour of its own for every unit: one unit after the other."""
    return Colouring(np.arange(graph.size, dtype=np.int64))


def given(graph: InteractionGraph, colours: npt.ArrayLike) -> Colouring:
    """A partition that comes from outside, with its colours renumbered 0, 1, … without a gap.

    Raises:
        ColouringRefused: it is not proper.
    """
    named = np.asarray(colours, dtype=np.int64)
    if named.shape != (graph.size,):
        raise ColouringRefused(
            f"{named.size} colours are given for {graph.size} units.", "Give one colour for every unit."
        )
    colouring = Colouring(np.unique(named, return_inverse=True)[1].astype(np.int64))
    conflict = colouring.conflict(graph)
    if conflict is not None:
        i, j = conflict
        raise ColouringRefused(
            f"units {i} and {j} share a term and a colour ({named[i]}): updating them together samples another "
            "distribution.",
            'Use a proper colouring, such as the one of the strategy "coloring_dsatur".',
        )
    return colouring


STRATEGIES: Final = {
    "coloring_dsatur": dsatur,
    "greedy_ldf": largest_first,
    "checkerboard": checkerboard,
    "sequential": sequential,
}


def _lowest_free(taken: set[int]) -> int:
    colour = 0
    while colour in taken:
        colour += 1
    return colour
