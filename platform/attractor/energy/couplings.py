"""Pair couplings J of an energy model: symmetric, zero diagonal, kept sparse or dense, whichever is smaller."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy.batch import common_batch
from attractor.energy.interaction_graph import Indices, InteractionGraph, refuse_bad_members

# Above this share of pairs in use the matrix takes less memory than the lists of neighbours and their weights.
DENSE_FROM: Final = 0.25


@dataclass(frozen=True, eq=False)
class Couplings:
    """J with E = −Σ_{i<j} J_ij v_i v_j. Make one with `of_edges` or `of_matrix`.

    Args:
        size: number N of units.
        edges: the pairs i < j in lexicographic order, (E, 2); None: dense.
        values: (..., E), or (..., N, N) when dense: leading dimensions are those of a sweep.
    """

    size: int
    edges: Indices | None
    values: torch.Tensor

    @classmethod
    def of_edges(cls, size: int, edges: npt.ArrayLike, values: torch.Tensor) -> Couplings:
        """Couplings on given pairs; those of a pair that occurs more than once (either way round) add up.

        Args:
            edges: (E, 2).
            values: (..., E).

        Raises:
            ValueError: a pair is a loop or lies outside, or the numbers of pairs and values differ.
        """
        pairs = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
        refuse_bad_members(size, pairs)
        if values.shape[-1:] != (len(pairs),):
            raise ValueError(f"{len(pairs)} pairs have {list(values.shape)} couplings; give one for each pair")
        flat = pairs.min(axis=1) * size + pairs.max(axis=1)
        kept, place = np.unique(flat, return_inverse=True)
        total = values.new_zeros((*values.shape[:-1], len(kept)))
        total = total.index_add(-1, torch.from_numpy(place.reshape(-1)).to(values.device), values)
        ordered = np.stack(np.divmod(kept, max(1, size)), axis=1)
        if len(kept) > DENSE_FROM * size * (size - 1) / 2:
            return cls(size, None, _matrix(size, ordered, total))
        return cls(size, ordered, total)

    @classmethod
    def of_matrix(cls, matrix: torch.Tensor) -> Couplings:
        """Couplings of a symmetric matrix with zero diagonal, (..., N, N); pairs that are 0 everywhere are no edges.

        Raises:
            ValueError: the matrix is not square, not symmetric, not finite, or couples a unit with itself.
        """
        if matrix.dim() < 2 or matrix.shape[-1] != matrix.shape[-2]:
            raise ValueError(f"J has shape {list(matrix.shape)}; it must be square")
        if not bool(torch.isfinite(matrix).all()):
            raise ValueError("J is not finite")
        if not torch.equal(matrix, matrix.mT):
            raise ValueError("J is not symmetric; use (J + Jᵀ)/2")
        if bool(matrix.diagonal(dim1=-2, dim2=-1).any()):
            raise ValueError("the diagonal of J is not zero; it only adds a constant to the energy of spins")
        size = matrix.shape[-1]
        used = matrix.ne(0).reshape(-1, size, size).any(0).triu(1)
        edges = used.nonzero()
        if len(edges) > DENSE_FROM * size * (size - 1) / 2:
            return cls(size, None, matrix)
        return cls(size, edges.cpu().numpy(), matrix[..., edges[:, 0], edges[:, 1]])

    @property
    def dense(self) -> bool:
        """Whether all pairs are kept."""
        return self.edges is None

    @property
    def batch(self) -> torch.Size:
        """Leading dimensions of the values."""
        return self.values.shape[:-2] if self.dense else self.values.shape[:-1]

    @cached_property
    def graph(self) -> InteractionGraph:
        """Who is coupled with whom. A dense matrix joins the pairs that are not 0 everywhere."""
        if self.edges is not None:
            return InteractionGraph.of_edges(self.size, self.edges)
        used = self.values.ne(0).reshape(-1, self.size, self.size).any(0).triu(1)
        edges = used.nonzero().cpu().numpy()
        if len(edges) == self.size * (self.size - 1) // 2:
            return InteractionGraph.complete(self.size)
        return InteractionGraph.of_edges(self.size, edges)

    @cached_property
    def pairs(self) -> tuple[Indices, torch.Tensor]:
        """The coupled pairs i < j in lexicographic order, (E, 2), and their couplings, (..., E)."""
        if self.edges is not None:
            return self.edges, self.values
        i, j = torch.from_numpy(self.graph.edges).to(self.values.device).unbind(-1)
        return self.graph.edges, self.values[..., i, j]

    def matrix(self) -> torch.Tensor:
        """J, (..., N, N)."""
        return self.values if self.edges is None else _matrix(self.size, self.edges, self.values)

    @cached_property
    def rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The sparse couplings as lists of equal length D: neighbours (D, N) int64 and weights (..., D, N).

        Column i holds the neighbours of unit i, ascending, filled up with i itself at weight 0.
        """
        assert self.edges is not None
        graph = self.graph
        width = int(graph.degrees.max(initial=0))
        rows = np.repeat(np.arange(self.size), graph.degrees)
        slot = np.arange(len(rows)) - graph.starts[rows]
        neighbours = np.tile(np.arange(self.size, dtype=np.int64), (width, 1))
        neighbours[slot, rows] = graph.targets
        pair = np.searchsorted(
            self.edges[:, 0] * self.size + self.edges[:, 1],
            np.minimum(rows, graph.targets) * self.size + np.maximum(rows, graph.targets),
        )
        device = self.values.device
        weights = self.values.new_zeros((*self.values.shape[:-1], width, self.size))
        place = torch.from_numpy(slot * self.size + rows).to(device)
        weights.view(*self.values.shape[:-1], -1)[..., place] = self.values[..., torch.from_numpy(pair).to(device)]
        return torch.from_numpy(neighbours).to(device), weights

    def field(self, v: torch.Tensor) -> torch.Tensor:
        """Σ_j J_ij v_j, for values (..., C, N): (..., C, N)."""
        if self.edges is None:
            return v @ self.values
        neighbours, weights = self.rows
        total = torch.zeros_like(v).expand(*common_batch(v.shape[:-2], self.batch), *v.shape[-2:])
        for near, weight in zip(neighbours, weights.unbind(-2), strict=True):
            total = total + weight.unsqueeze(-2) * v[..., near]
        return total

    def with_values(self, values: torch.Tensor) -> Couplings:
        """The same pairs with other values, of any leading dimensions.

        Raises:
            ValueError: the values are not one for each pair.
        """
        own = 2 if self.dense else 1
        if values.shape[-own:] != self.values.shape[-own:]:
            raise ValueError(f"values of shape {list(values.shape)} do not fit couplings {list(self.values.shape)}")
        other = Couplings(self.size, self.edges, values)
        if self.edges is not None:
            other.__dict__["graph"] = self.graph
        return other


def _matrix(size: int, edges: Indices, values: torch.Tensor) -> torch.Tensor:
    i, j = torch.from_numpy(edges).to(values.device).unbind(-1)
    matrix = values.new_zeros((*values.shape[:-1], size, size))
    matrix[..., i, j] = values
    matrix[..., j, i] = values
    return matrix
