"""The interaction graph of an energy model: who appears in a term together with whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class InteractionGraph:
    """A simple undirected graph in compressed rows.

    Two units are joined if some term of the energy holds both: a term of order k is a clique of k units (the primal, or
    clique, graph of the model).

    Args:
        size: number N of units.
        starts: (N + 1,): the neighbours of unit i are ``targets[starts[i]:starts[i + 1]]``, ascending.
        targets: (2E,).
    """

    size: int
    starts: Indices
    targets: Indices

    @classmethod
    def of_edges(cls, size: int, edges: npt.ArrayLike) -> InteractionGraph:
        """The graph of pairs (E, 2); order and repetition do not matter.

        Raises:
            ValueError: a pair is a loop, or names a unit outside 0 … size − 1.
        """
        pairs = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
        refuse_bad_members(size, pairs)
        both = np.concatenate([pairs, pairs[:, ::-1]])
        flat = np.unique(both[:, 0] * size + both[:, 1])
        rows, targets = np.divmod(flat, size) if size else (flat, flat)
        starts = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=size), out=starts[1:])
        return cls(size, starts, targets)

    @classmethod
    def of_groups(cls, size: int, groups: Iterable[npt.ArrayLike]) -> InteractionGraph:
        """The clique graph of groups of units: `groups` are arrays (M, k), one for each order k."""
        pairs = [np.zeros((0, 2), dtype=np.int64)]
        for group in groups:
            members = np.asarray(group, dtype=np.int64)
            pairs += [members[:, [a, b]] for a, b in combinations(range(members.shape[1]), 2)]
        return cls.of_edges(size, np.concatenate(pairs))

    @classmethod
    def complete(cls, size: int) -> InteractionGraph:
        """Every unit joined with every other."""
        everyone = np.arange(size, dtype=np.int64)
        targets = np.broadcast_to(everyone, (size, size))[~np.eye(size, dtype=bool)]
        return cls(size, everyone_starts(size), targets)

    @property
    def degrees(self) -> Indices:
        """Number of neighbours of each unit, (N,)."""
        return np.diff(self.starts)

    @property
    def edges(self) -> Indices:
        """Every pair i < j, (E, 2), in lexicographic order."""
        rows = np.repeat(np.arange(self.size), self.degrees)
        upper = rows < self.targets
        return np.stack([rows[upper], self.targets[upper]], axis=1)

    def neighbours(self, unit: int) -> Indices:
        """The neighbours of a unit, ascending."""
        return self.targets[self.starts[unit] : self.starts[unit + 1]]

    @property
    def is_complete(self) -> bool:
        """Whether every unit is joined with every other."""
        return len(self.targets) == self.size * (self.size - 1)


def everyone_starts(size: int) -> Indices:
    """Row starts of the complete graph."""
    return np.arange(size + 1, dtype=np.int64) * max(0, size - 1)


def refuse_bad_members(size: int, groups: Indices) -> None:
    """Refuse groups (M, k) that name a unit outside 0 … size − 1, or one unit twice.

    Raises:
        ValueError: with the offending group.
    """
    outside = (groups < 0) | (groups >= size)
    if outside.any():
        bad = groups[outside.any(axis=1)][0].tolist()
        raise ValueError(f"the term {bad} names a unit outside 0 … {size - 1}")
    ordered = np.sort(groups, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        raise ValueError(f"the term {groups[twice][0].tolist()} names a unit twice")
