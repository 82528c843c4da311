"""Multi-spin terms of an energy: E = −Σ_g w_g Π_{i∈g} v_i, |g| ≥ 3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy.batch import common_batch
from attractor.energy.interaction_graph import Indices, refuse_bad_members


@dataclass(frozen=True, eq=False)
class Products:
    """All terms of one order k.

    Args:
        members: (M, k) int64, ascending in a row, rows in lexicographic order.
        weights: (..., M).
    """

    members: Indices
    weights: torch.Tensor

    @classmethod
    def of(cls, size: int, members: npt.ArrayLike, weights: torch.Tensor) -> Products:
        """Terms over groups of `size` units; the weights of a group that occurs more than once add up.

        Raises:
            ValueError: an order below 3, a group that names a unit twice or one that is not there, or other numbers of
                groups and weights.
        """
        groups = np.asarray(members, dtype=np.int64)
        if groups.ndim != 2 or groups.shape[1] < 3:
            raise ValueError(f"groups of shape {list(groups.shape)}; an order of 3 or more is needed, (M, k)")
        refuse_bad_members(size, groups)
        if weights.shape[-1:] != (len(groups),):
            raise ValueError(f"{len(groups)} groups have {list(weights.shape)} weights; give one for each group")
        kept, place = np.unique(np.sort(groups, axis=1), axis=0, return_inverse=True)
        total = weights.new_zeros((*weights.shape[:-1], len(kept)))
        total = total.index_add(-1, torch.from_numpy(place.reshape(-1)).to(weights.device), weights)
        return cls(kept, total)

    @property
    def order(self) -> int:
        """k."""
        return int(self.members.shape[1])

    @property
    def batch(self) -> torch.Size:
        """Leading dimensions of the weights."""
        return self.weights.shape[:-1]

    def energy(self, v: torch.Tensor) -> torch.Tensor:
        """−Σ_g w_g Π v, for values (..., C, N): (..., C)."""
        return -(self.weights.unsqueeze(-2) * self._factors(v).prod(-1)).sum(-1)

    def field(self, v: torch.Tensor) -> torch.Tensor:
        """Σ_{g∋i} w_g Π_{j∈g, j≠i} v_j, for values (..., C, N): (..., C, N)."""
        factors = self._factors(v)
        total = torch.zeros_like(v).expand(*common_batch(v.shape[:-2], self.batch), *v.shape[-2:])
        members = torch.from_numpy(self.members).to(v.device)
        for place in range(self.order):
            # The product of the others, not a quotient: a continuous unit may be 0.
            others = torch.cat([factors[..., :place], factors[..., place + 1 :]], dim=-1).prod(-1)
            total = total.index_add(-1, members[:, place], self.weights.unsqueeze(-2) * others)
        return total

    def _factors(self, v: torch.Tensor) -> torch.Tensor:
        """(..., C, M, k)."""
        return v[..., torch.from_numpy(self.members).to(v.device)]


def products(size: int, terms: list[tuple[npt.ArrayLike, torch.Tensor]]) -> tuple[Products, ...]:
    """Terms of any orders, gathered by order, ascending.

    Args:
        terms: (members (M, k), weights (..., M)) for one k each; an order may occur more than once.
    """
    by_order: dict[int, list[tuple[Indices, torch.Tensor]]] = {}
    for members, weights in terms:
        groups = np.asarray(members, dtype=np.int64)
        if len(groups):
            by_order.setdefault(groups.shape[-1], []).append((groups, weights))
    gathered = []
    for _, parts in sorted(by_order.items()):
        batch = common_batch(*(weights.shape[:-1] for _, weights in parts))
        weights = torch.cat([weights.expand(*batch, weights.shape[-1]) for _, weights in parts], dim=-1)
        gathered.append(Products.of(size, np.concatenate([groups for groups, _ in parts]), weights))
    return tuple(gathered)
