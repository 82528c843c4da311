"""Colour-block Gibbs sweeps of categorical units on any graph, with terms of any order given as tables (Wu 1982)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy.colouring import Colouring
from attractor.energy.potts_model import PottsModel
from attractor.kernels.block_terms import BlockTerms
from attractor.kernels.dispatch import traced
from attractor.kernels.gibbs import power
from attractor.kernels.threads import in_pieces
from attractor.philox import refuse_large_draw, uniforms

_SECONDS: Final = 3e-9
"""Rough time of a state's probability; it only decides whether threads pay."""


@dataclass(frozen=True, eq=False)
class PottsTables:
    """What a sweep reads of a model's structure. Units are renumbered by *position*, colour by colour; units that are
    not updated come last. The terms of the unit at position p have the numbers ``terms[p]`` … ``terms[p + 1] − 1``.

    Attributes:
        order: (N,) unit at a position. colours: (Q + 1,) first position of each colour; the last entry is the number of
            units that are updated. terms: (free + 1,).
        origin: (count,) where a term's table begins in the list of all tables. stride: (count,) step to the next state
            of the unit itself. starts: (count + 1,) first of its other units in `members` (positions) and `strides`.
        weights: (count,) number of its weight.
    """

    order: torch.Tensor
    colours: torch.Tensor
    terms: torch.Tensor
    origin: torch.Tensor
    stride: torch.Tensor
    starts: torch.Tensor
    members: torch.Tensor
    strides: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, model: PottsModel, colouring: Colouring, fixed: npt.NDArray[np.bool_] | None = None) -> PottsTables:
        """Tables of a model; `fixed`, (N,), says which units are never updated."""
        n, k = model.size, model.states
        colours = colouring.colours.copy()
        if fixed is not None:
            colours[fixed] = colouring.count
        order = np.argsort(colours, kind="stable")
        place = np.empty(n, dtype=np.int64)
        place[order] = np.arange(n)
        firsts = np.unique(np.searchsorted(colours[order], np.arange(colouring.count + 1)))
        free = int(firsts[-1])
        owner, origin, stride, weights = ([np.zeros(0, dtype=np.int64)] for _ in range(4))
        others: list[npt.NDArray[np.int64]] = []
        steps: list[npt.NDArray[np.int64]] = []
        base = number = 0
        for term in model.terms:
            count, arity = term.members.shape
            every = np.arange(count, dtype=np.int64)
            axis = k ** np.arange(arity - 1, -1, -1, dtype=np.int64)
            for slot in range(arity):
                owner.append(place[term.members[:, slot]])
                origin.append(base + (0 if term.shared else k**arity) * every)
                stride.append(np.full(count, axis[slot]))
                weights.append(number + every)
                others += list(place[np.delete(term.members, slot, axis=1)])
                steps += [np.delete(axis, slot)] * count
            base += k**arity * (1 if term.shared else count)
            number += count
        owners = np.concatenate(owner)
        by_owner = np.argsort(owners, kind="stable")
        by_owner = by_owner[owners[by_owner] < free]
        lists = [others[i] for i in by_owner]
        empty = [np.zeros(0, dtype=np.int64)]
        table = {
            "order": order, "colours": firsts, "terms": np.searchsorted(owners[by_owner], np.arange(free + 1)),
            "origin": np.concatenate(origin)[by_owner], "stride": np.concatenate(stride)[by_owner],
            "starts": np.concatenate([[0], np.cumsum([len(one) for one in lists], dtype=np.int64)]),
            "members": np.concatenate(lists + empty), "strides": np.concatenate([steps[i] for i in by_owner] + empty),
            "weights": np.concatenate(weights)[by_owner],
        }  # fmt: skip
        return cls(**{name: torch.from_numpy(np.ascontiguousarray(one, np.int64)) for name, one in table.items()})

    @property
    def free(self) -> int:
        """Number of units that are updated."""
        return int(self.colours[-1])

    def to(self, device: torch.device) -> PottsTables:
        """The same tables on a device."""
        return PottsTables(**{part.name: getattr(self, part.name).to(device) for part in fields(self)})

    def structure(self) -> tuple[torch.Tensor, ...]:
        """The tables as the operator takes them."""
        return (
            self.order, self.colours, self.terms, self.origin, self.stride, self.starts, self.members, self.strides,
        )  # fmt: skip


def log2_scale(temperature: torch.Tensor) -> torch.Tensor:
    """1/(T ln 2): times the local field of a state, the exponent of its weight 2^x."""
    return (1.0 / math.log(2.0)) / temperature


def reference(
    states: torch.Tensor, bias: torch.Tensor, tables: torch.Tensor, weights: torch.Tensor, scale: torch.Tensor,
    keys: torch.Tensor, tick: int, lane: int, sweeps: int, order: torch.Tensor, colours: torch.Tensor,
    terms: torch.Tensor, origin: torch.Tensor, stride: torch.Tensor, starts: torch.Tensor, members: torch.Tensor,
    strides: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """States after `sweeps` sweeps of B points with C chains each. The definition, in plain torch.

    A sweep takes the colours in turn. The weight of state a of a unit is 2^(x_a − max x), x_a = scale·field_a, where
    field_a = bias_a + Σ weight·table[…, a, …], added up in float32 in this order; the new state is the number of
    partial sums of the weights, but for the last, that do not exceed u times their total. Unit at position p of chain
    c in sweep t draws element (t·F + p)·C + c of (key, tick, lane), F the number of free units.

    Args:
        states: int64 (B, N, C), 0 … K − 1, by unit.
        bias: (B or 1, F, K, 1 or C) float32, by position.
        tables: (B or 1, entries) float32, all tables one after the other. weights: (B or 1, count) float32.
        scale: (B or 1, 1 or sweeps, 1 or C) float32, see `log2_scale`.
        keys: int64 (B or 1, 2), Philox keys.
        order, …: `PottsTables.structure`.

    Returns:
        int64 (B, N, C). Point b equals the sweeps of point b alone.

    Raises:
        ValueError: there are more updates than a draw holds.
    """
    points, _, chains = states.shape
    refuse_large_draw(sweeps * int(colours[-1]) * chains)
    k = bias.shape[2]
    state = states[:, order]
    borders, free = colours.tolist(), int(colours[-1])
    every = torch.arange(k, device=states.device)
    blocks = [BlockTerms.of(terms, starts, *block) for block in pairwise(borders)]
    for t in range(sweeps):
        u = uniforms(keys.cpu().numpy(), tick, t * free * chains, free * chains, lane)
        drawn = torch.from_numpy(u).to(states.device).view(-1, free, chains).expand(points, -1, -1)
        now = scale[:, t if scale.shape[1] > 1 else 0].unsqueeze(1)
        for q, (low, high) in enumerate(pairwise(borders)):
            field = bias[:, low:high].expand(points, high - low, k, chains).clone()
            own = blocks[q]
            if len(own.terms):
                step = torch.where(own.there, strides[own.entries], 0)
                at = origin[own.terms, None] + (step.unsqueeze(-1) * state[:, members[own.entries]]).sum(2)
                index = at.unsqueeze(2) + (every * stride[own.terms, None]).unsqueeze(-1)
                value = tables.expand(points, -1).gather(1, index.reshape(points, -1)).view(points, -1, k, chains)
                field = own.added(field, weights[:, own.terms, None, None] * value)
            x = now.unsqueeze(2) * field
            weight = power(x - x.amax(2, keepdim=True))
            # One after the other: a sum in another order would differ in the last bit.
            total = weight[:, :, 0].clone()
            for a in range(1, k):
                total = total + weight[:, :, a]
            limit = drawn[:, low:high] * total
            passed = torch.zeros_like(state[:, low:high])
            total = torch.zeros_like(limit)
            for a in range(k - 1):
                total = total + weight[:, :, a]
                passed += total <= limit
            state[:, low:high] = passed
    out = states.clone()
    out[:, order] = state
    return out


def kernel(
    states: torch.Tensor, bias: torch.Tensor, tables: torch.Tensor, weights: torch.Tensor, scale: torch.Tensor,
    keys: torch.Tensor, tick: int, lane: int, sweeps: int, order: torch.Tensor, colours: torch.Tensor,
    terms: torch.Tensor, origin: torch.Tensor, stride: torch.Tensor, starts: torch.Tensor, members: torch.Tensor,
    strides: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """As `reference`, to the last state, by the kernel of the device the states are on."""
    inputs = (
        states, bias, tables, weights, scale, keys, tick, lane, sweeps, order, colours, terms, origin, stride, starts,
        members, strides,
    )  # fmt: skip
    if traced():
        out: torch.Tensor = potts(*inputs)
        return out
    return _computed(*inputs)


def _computed(
    states: torch.Tensor, bias: torch.Tensor, tables: torch.Tensor, weights: torch.Tensor, scale: torch.Tensor,
    keys: torch.Tensor, tick: int, lane: int, sweeps: int, order: torch.Tensor, colours: torch.Tensor,
    terms: torch.Tensor, origin: torch.Tensor, stride: torch.Tensor, starts: torch.Tensor, members: torch.Tensor,
    strides: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    structure = (order, colours, terms, origin, stride, starts, members, strides)
    refuse_large_draw(sweeps * int(colours[-1]) * states.shape[-1])
    if states.device.type == "cuda":
        import attractor.kernels.cuda.potts as cuda

        after: torch.Tensor = cuda.sweep(
            states, bias, tables, weights, scale, keys, tick, lane, sweeps, *structure
        )  # fmt: skip
        return after
    if states.device.type != "cpu":
        raise NotImplementedError(f"there is no kernel for Gibbs sweeps on {states.device}: use the eager tier")
    from attractor.kernels.cpu import potts as cpu

    points, _, chains = states.shape
    out = states.contiguous().clone()
    common: tuple[Any, ...] = (
        out.numpy(), bias.contiguous().numpy(), tables.contiguous().numpy(), weights.contiguous().numpy(),
        scale.contiguous().numpy(), keys.contiguous().numpy().view(np.uint64), np.uint64(tick), np.uint64(lane),
        sweeps, *(table.numpy() for table in structure),
    )  # fmt: skip
    sweep: Any = cpu.sweep
    seconds = _SECONDS * sweeps * float(colours[-1]) * points * chains * bias.shape[2]
    strips = points * -(-chains // cpu.WIDTH)
    in_pieces(lambda low, high: sweep(*common, low, high), strips, seconds)
    return out


potts = torch.library.custom_op("attractor::potts", _computed, mutates_args=())


@potts.register_fake
def _(states: torch.Tensor, *inputs: Any) -> torch.Tensor:
    return torch.empty_like(states)
