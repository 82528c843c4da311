"""Energy models of categorical units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch

from attractor.energy.batch import common_batch
from attractor.energy.energy_model import EnergyModel, as_temperature, refuse_non_finite
from attractor.energy.interaction_graph import Indices, InteractionGraph, refuse_bad_members


@dataclass(frozen=True, eq=False)
class TableTerm:
    """A term −w_g·table[c_a, c_b, …] over each of M groups of k units.

    Args:
        members: (M, k) int64; the order of a row is that of the table's axes.
        table: (..., K, …, K) with k axes of length K, shared by the groups; or (..., M, K, …, K), one for each.
        weights: w, (..., M); None: all 1.
        shared: which form `table` has.
    """

    members: Indices
    table: torch.Tensor
    weights: torch.Tensor | None = None
    shared: bool = True

    @property
    def order(self) -> int:
        """k."""
        return int(self.members.shape[1])

    @property
    def batch(self) -> torch.Size:
        """Leading dimensions of the numbers."""
        return common_batch(self._tables, () if self.weights is None else self.weights.shape[:-1])

    @property
    def _tables(self) -> torch.Size:
        return self.table.shape[: self.table.dim() - self.order - (not self.shared)]

    def energy(self, states: torch.Tensor) -> torch.Tensor:
        """−Σ_g w_g·table[c], for states (..., C, N): (..., C)."""
        values = self._at(states, self._strides())
        if self.weights is not None:
            values = values * self.weights.unsqueeze(-2)
        return -values.sum(-1)

    def field(self, states: torch.Tensor, place: int) -> torch.Tensor:
        """w_g·table[…, a, …] for every state a of the unit at `place`, the others as they are: (..., C, M, K)."""
        strides = self._strides()
        k = self.table.shape[-1]
        every = torch.arange(k, device=states.device) * strides[place]
        strides[place] = 0
        values = self._at(states, strides, every)
        return values if self.weights is None else values * self.weights[..., None, :, None]

    def _strides(self) -> list[int]:
        k = self.table.shape[-1]
        return [k ** (self.order - 1 - axis) for axis in range(self.order)]

    def _at(self, states: torch.Tensor, strides: Sequence[int], every: torch.Tensor | None = None) -> torch.Tensor:
        members = torch.from_numpy(self.members).to(states.device)
        place = states.new_zeros((*states.shape[:-1], len(members)))
        for axis, stride in enumerate(strides):
            place = place + stride * states[..., members[:, axis]]
        entries = self.table.shape[-1] ** self.order
        flat = self.table.reshape(*self._tables, -1)
        if not self.shared:
            place = place + entries * torch.arange(len(members), device=states.device)
        if every is not None:
            place = place.unsqueeze(-1) + every
        batch = common_batch(self._tables, states.shape[:-2])
        inner = place.shape[states.dim() - 2 :]
        index = place.expand(*batch, *inner).reshape(*batch, -1)
        return flat.expand(*batch, flat.shape[-1]).gather(-1, index).view(*batch, *inner)


@dataclass(frozen=True, eq=False)
class PottsModel(EnergyModel):
    """E(c) = −Σ_i h_i[c_i] − Σ_g table_g[c_a, c_b, …], c_i ∈ {0, …, K − 1}; Potts: table = J·δ(a, b) (Wu 1982).

    Given all other units, P(c_i = a) ∝ exp(f_i[a]/T), where f_i[a] is minus the energy of the terms that hold i, at
    c_i = a. Make one with `of`.
    """

    variables: ClassVar[str] = "cat"
    composition: ClassVar[str] = "attractor.potts_model"

    bias: torch.Tensor
    temperature: torch.Tensor
    terms: tuple[TableTerm, ...] = ()
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.bias.shape[-2])

    @classmethod
    def of(
        cls, bias: torch.Tensor, temperature: torch.Tensor | float = 1.0,
        terms: Sequence[TableTerm] = (),
    ) -> PottsModel:  # fmt: skip
        """A checked model.

        Args:
            bias: h, (..., N, K).
            temperature: T > 0, of batch shape.
            terms: of orders k ≥ 2; a group may occur in more than one.

        Raises:
            ValueError: shapes that do not fit, a number that is not finite, T ≤ 0, fewer than two states.
        """
        if bias.dim() < 2 or bias.shape[-1] < 2:
            raise ValueError(f"a bias of shape {list(bias.shape)}; (..., N, K) with K ≥ 2 is needed")
        refuse_non_finite(bias=bias)
        checked = [_checked(place, term, bias) for place, term in enumerate(terms) if len(term.members)]
        model = cls(bias, as_temperature(temperature, bias), tuple(checked))
        common_batch(*model._batches())
        return model

    @property
    def states(self) -> int:
        """K."""
        return int(self.bias.shape[-1])

    @property
    def batch(self) -> torch.Size:
        return common_batch(*self._batches())

    @cached_property
    def graph(self) -> InteractionGraph:
        return InteractionGraph.of_groups(self.size, [term.members for term in self.terms])

    def energy(self, values: torch.Tensor) -> torch.Tensor:
        """E of states (..., C, N): (..., C)."""
        batch = common_batch(values.shape[:-2], self.bias.shape[:-2])
        states = values.long().expand(*batch, *values.shape[-2:])
        bias = self.bias.unsqueeze(-3).expand(*states.shape, self.states)
        energy = -bias.gather(-1, states.unsqueeze(-1)).squeeze(-1).sum(-1)
        for term in self.terms:
            energy = energy + term.energy(states)
        return energy

    def local_field(self, values: torch.Tensor) -> torch.Tensor:
        """f at states (..., C, N): (..., C, N, K)."""
        states = values.long()
        batch = common_batch(values.shape[:-2], self.batch)
        total = self.bias.unsqueeze(-3).expand(*batch, *values.shape[-2:], self.states)
        for term in self.terms:
            members = torch.from_numpy(term.members).to(values.device)
            for place in range(term.order):
                total = total.index_add(-2, members[:, place], term.field(states, place).expand(*batch, -1, -1, -1))
        return total

    def with_temperature(self, temperature: torch.Tensor | float) -> Self:
        return self._adopt(type(self)(self.bias, as_temperature(temperature, self.bias), self.terms))

    def with_bias(self, bias: torch.Tensor) -> Self:
        if bias.shape[-2:] != self.bias.shape[-2:]:
            raise ValueError(f"a bias of shape {list(bias.shape)} for {self.size} units of {self.states} states")
        refuse_non_finite(bias=bias)
        # −0 equals 0, but its bytes, which are hashed, do not.
        return self._adopt(type(self)(bias + 0.0, self.temperature, self.terms))

    def plus(self, bias: torch.Tensor | float = 0.0, terms: Sequence[TableTerm] = ()) -> PottsModel:
        """The model whose energy has these terms on top; they enter the conditionals like its own."""
        added = PottsModel.of(self.bias + bias, self.temperature, terms)
        return PottsModel(added.bias, self.temperature, (*self.terms, *added.terms))

    def parts(self) -> Iterator[tuple[str, Any]]:
        yield "bias", self.bias
        yield "temperature", self.temperature
        for place, term in enumerate(self.terms):
            yield f"members{place}", term.members
            yield f"table{place}", term.table
            yield f"shared{place}", term.shared
            if term.weights is not None:
                yield f"weights{place}", term.weights

    @classmethod
    def of_parts(cls, parts: Mapping[str, Any]) -> Self:
        count = sum(name.startswith("members") for name in parts)
        terms = (
            TableTerm(parts[f"members{k}"], parts[f"table{k}"], parts.get(f"weights{k}"), parts[f"shared{k}"])
            for k in range(count)
        )
        return cls(parts["bias"], parts["temperature"], tuple(terms))

    def _batches(self) -> list[torch.Size]:
        return [self.bias.shape[:-2], self.temperature.shape, *(term.batch for term in self.terms)]


def _checked(place: int, term: TableTerm, bias: torch.Tensor) -> TableTerm:
    """A term in the dtype of `bias`, whose shapes and numbers are in order. Raises ValueError."""
    (n, k), members = bias.shape[-2:], np.asarray(term.members, dtype=np.int64)
    if members.ndim != 2 or members.shape[1] < 2:
        raise ValueError(f"groups of shape {list(members.shape)}; (M, k) with k ≥ 2 is needed")
    refuse_bad_members(n, members)
    axes = (*(() if term.shared else (len(members),)), *(k,) * members.shape[1])
    if tuple(term.table.shape[-len(axes) :]) != axes:
        raise ValueError(f"table[{place}] has shape {list(term.table.shape)}; its last axes must be {list(axes)}")
    weights = term.weights
    if weights is not None:
        if weights.shape[-1:] != (len(members),):
            raise ValueError(f"weights[{place}] has shape {list(weights.shape)} for {len(members)} groups")
        weights = weights.to(bias)
        refuse_non_finite(**{f"weights[{place}]": weights})
    table = term.table.to(bias)
    refuse_non_finite(**{f"table[{place}]": table})
    return TableTerm(members, table, weights, term.shared)
