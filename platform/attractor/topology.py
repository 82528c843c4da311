"""Undirected graphs on N units: who is coupled with whom."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from attractor.node import ShapeProblem
from attractor.parameter import Parameter

TOPOLOGIES: Final = ("none", "ring", "grid2d", "all_to_all", "small_world", "random")

DEGREE: Final = Parameter(
    "degree", "int", 4, min=1, max=64,
    doc="Neighbours of a unit. ring, small_world: even; grid2d: 4 (von Neumann) or 8 (Moore); random: the mean.",
)  # fmt: skip
REWIRE: Final = Parameter(
    "rewire_p", "float", 0.1, min=0, max=1, doc="small_world: probability with which an edge is rewired."
)

Uniform = Callable[[int, int], npt.NDArray[np.float64]]
"""uniform(n, lane): n numbers uniform on (0, 1)."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A simple undirected graph.

    Args:
        size: number N of units.
        neighbours: int64 (K, N): column i lists the neighbours of unit i, filled up with i itself. None: every other
            unit is a neighbour.
        degrees: int64 (N,): number of neighbours of each unit.
    """

    size: int
    neighbours: npt.NDArray[np.int64] | None
    degrees: npt.NDArray[np.int64]

    def adjacency(self) -> npt.NDArray[np.float64]:
        """The symmetric 0/1 matrix (N, N), zero diagonal."""
        if self.neighbours is None:
            return 1.0 - np.eye(self.size)
        matrix = np.zeros((self.size, self.size))
        matrix[np.arange(self.size), self.neighbours] = 1.0
        np.fill_diagonal(matrix, 0.0)
        return matrix

    def edges(self) -> npt.NDArray[np.int64]:
        """The pairs i < j, (E, 2), in lexicographic order."""
        if self.neighbours is None:
            return np.stack(np.triu_indices(self.size, 1), axis=1).astype(np.int64)
        own = np.broadcast_to(np.arange(self.size), self.neighbours.shape)
        # The neighbours of a unit are in ascending order: unit by unit, the pairs come in order too.
        kept = (own < self.neighbours).T
        return np.stack([own.T[kept], self.neighbours.T[kept]], axis=1)

    def row_normalised(self) -> npt.NDArray[np.float64]:
        """The adjacency matrix with every row divided by its sum; the row of a unit without neighbours stays zero."""
        matrix = self.adjacency()
        normalised: npt.NDArray[np.float64] = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1.0)
        return normalised


def validate_topology(topology: str, n: int, degree: int, size_name: str = "N") -> None:
    """Rules between topology, size and degree.

    Raises:
        ShapeProblem: they do not make a graph.
    """
    if topology == "grid2d":
        if grid_sides(n)[0] < 2:
            raise ShapeProblem(
                size_name, f"{n} units do not fill a grid: no two sides ≥ 2 multiply to it.",
                f"Use a composite number such as {max(2, math.isqrt(n)) ** 2}, or another topology.",
            )  # fmt: skip
        if degree not in (4, 8):
            raise ShapeProblem("degree", f"a grid has no degree {degree}.", "Use 4 (von Neumann) or 8 (Moore).")
    if topology in ("ring", "small_world") and (degree % 2 or degree >= n):
        raise ShapeProblem("degree", f"a ring of {n} units has no degree {degree}.", f"Use an even degree below {n}.")
    if topology == "random" and degree >= n:
        raise ShapeProblem("degree", f"{n} units cannot have {degree} neighbours.", f"Use a degree below {n}.")


def grid_sides(n: int) -> tuple[int, int]:
    """(rows, columns) of the most nearly square grid of n units, rows ≤ columns; row-major order."""
    rows = next(side for side in range(math.isqrt(n), 0, -1) if n % side == 0)
    return rows, n // rows


def make_topology(topology: str, n: int, degree: int, rewire_p: float, uniform: Uniform) -> Topology:
    """The graph of a topology.

    ``ring``: each unit with its `degree` nearest. ``grid2d``: a torus of `grid_sides`. ``small_world``: Watts &
    Strogatz 1998. ``random``: G(n, m) with m = ⌊n·degree/2⌋ edges, all such graphs equally likely (Erdős & Rényi 1959).

    Args:
        uniform: source of random numbers for the last two.
    """
    match topology:
        case "none":
            return _of([set() for _ in range(n)])
        case "ring":
            return _of(_ring(n, degree))
        case "grid2d":
            return _of(_torus(n, degree))
        case "all_to_all":
            return Topology(n, None, np.full(n, n - 1, dtype=np.int64))
        case "small_world":
            return _of(_small_world(n, degree, rewire_p, uniform))
        case "random":
            return _of(_random(n, n * degree // 2, uniform))
    raise ValueError(f"unknown topology {topology!r}")


def width_of(topology: str, n: int, degree: int, rewire_p: float = 0.0) -> float:
    """Neighbours of the unit that has most of them, by estimate where they are drawn: four deviations above the mean.
    0 where all are neighbours of all, which needs no list."""
    match topology:
        case "none" | "all_to_all":
            return 0.0
        case "small_world":
            return min(n - 1.0, degree + 4.0 * math.sqrt(degree * rewire_p))
        case "random":
            return min(n - 1.0, degree + 4.0 * math.sqrt(degree))
    return float(degree)


def is_regular(topology: str) -> bool:
    """Whether every unit has as many neighbours as every other."""
    return topology in ("none", "ring", "grid2d", "all_to_all")


def colours_of(topology: str, n: int, degree: int) -> float:
    """Colours that a greedy colouring takes, by estimate where the graph is drawn."""
    match topology:
        case "none":
            return 1.0
        case "all_to_all":
            return float(n)
        case "ring":
            # Runs of as many as a clique has, and what is left over at the end.
            return degree // 2 + 1.0 + n % (degree // 2 + 1)
        case "grid2d":
            even = all(side % 2 == 0 for side in grid_sides(n))
            return (2.0 if even else 3.0) if degree == 4 else (4.0 if even else 6.0)
        case "small_world":
            return 3.0 + degree / 2.0
    return 2.0 + degree / 3.0


def making_bytes(topology: str, n: int, degree: int) -> float:
    """What is taken in passing while the graph is made: a set of the neighbours of every unit, and their numbers."""
    if topology in ("none", "all_to_all"):
        return 216.0 * n
    # Python's sets grow by steps. Random edges are drawn as pairs of numbers, in lists of their own.
    size = 216.0 if degree <= 4 else 500.0 if degree <= 8 else 728.0 if degree < 19 else 2264.0
    return n * (size + (170.0 if topology == "random" else 36.0) * degree)


def proper_colouring(topology: Topology) -> npt.NDArray[np.int64]:
    """A colour for each unit, (N,), such that no two neighbours share one: greedy, units of high degree first
    (Welsh & Powell 1967)."""
    if topology.neighbours is None:
        return np.arange(topology.size)
    colours = np.full(topology.size, -1, dtype=np.int64)
    for unit in np.argsort(-topology.degrees, kind="stable"):
        near = topology.neighbours[:, unit]
        taken = set(colours[near[near != unit]].tolist())
        colours[unit] = next(colour for colour in range(topology.size) if colour not in taken)
    return colours


def _of(sets: list[set[int]]) -> Topology:
    n = len(sets)
    degrees = np.array([len(s) for s in sets], dtype=np.int64)
    width = int(degrees.max(initial=0))
    neighbours = np.tile(np.arange(n, dtype=np.int64), (width, 1))
    for i, near in enumerate(sets):
        neighbours[: len(near), i] = sorted(near)
    return Topology(n, neighbours, degrees)


def _ring(n: int, degree: int) -> list[set[int]]:
    steps = range(1, degree // 2 + 1)
    return [{(i + k) % n for k in steps} | {(i - k) % n for k in steps} for i in range(n)]


def _torus(n: int, degree: int) -> list[set[int]]:
    rows, cols = grid_sides(n)
    moves = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    if degree == 8:
        moves += [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    sets = []
    for i in range(n):
        r, c = divmod(i, cols)
        sets.append({(r + dr) % rows * cols + (c + dc) % cols for dr, dc in moves} - {i})
    return sets


def _small_world(n: int, degree: int, rewire_p: float, uniform: Uniform) -> list[set[int]]:
    sets = _ring(n, degree)
    for step in range(1, degree // 2 + 1):
        # Lane 2k decides whether an edge is rewired, lane 2k + 1 where to.
        rewired, target = uniform(n, 2 * step), uniform(n, 2 * step + 1)
        for i in range(n):
            far = (i + step) % n
            if rewired[i] >= rewire_p or far not in sets[i] or len(sets[i]) >= n - 1:
                continue
            free = np.setdiff1d(np.arange(n), [i, *sets[i]], assume_unique=True)
            new = int(free[int(target[i] * len(free))])
            sets[i].remove(far)
            sets[far].remove(i)
            sets[i].add(new)
            sets[new].add(i)
    return sets


def _random(n: int, edges: int, uniform: Uniform) -> list[set[int]]:
    sets: list[set[int]] = [set() for _ in range(n)]
    lane = 2
    while edges:
        draws = (uniform(4 * edges + 64, lane) * n).astype(np.int64).reshape(-1, 2)
        lane += 1
        for i, j in draws.tolist():
            if edges and i != j and j not in sets[i]:
                sets[i].add(j)
                sets[j].add(i)
                edges -= 1
    return sets
