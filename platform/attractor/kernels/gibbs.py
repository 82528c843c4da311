"""Colour-block Gibbs sweeps of spins on any graph, with multi-spin terms (Geman & Geman 1984)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy.colouring import Colouring
from attractor.energy.interaction_graph import Indices
from attractor.kernels.block_terms import BlockTerms, added_in_order
from attractor.kernels.dispatch import traced
from attractor.kernels.threads import in_pieces
from attractor.philox import refuse_large_draw, uniforms

EXP2: Final = (0.0013289937051013112, 0.00967395305633545, 0.05550678074359894, 0.24022160470485687,
               0.6931470036506653, 1.0000001192092896)  # fmt: skip
"""2^y for |y| ≤ 1/2, highest power first: the polynomial of least relative error, 6e-8."""

LIMIT: Final = 126.0
"""|x| at which 2^x is cut: beyond, no uniform of 24 bits can tell the difference."""

_SECONDS: Final = 2e-9
"""Rough time of an update; it only decides whether threads pay."""

_LANES_FROM: Final = 12
"""Chains from which a vector of chains is faster than a vector of units."""


@dataclass(frozen=True, eq=False)
class SweepTables:
    """What a sweep reads of a model's structure. Units are renumbered by *position*: colour by colour, within a colour
    by falling number of neighbours; units that are not updated come last.

    The neighbours are kept as jagged diagonals: row r of a colour holds the r-th neighbour of its first ``counts[r]``
    units, from ``targets[offsets[r]]`` on, so that a sum over neighbours runs along units that lie side by side.

    Attributes:
        order: (N,) unit at a position. colours: (Q + 1,) first position of each colour; the last entry is the number
            of units that are updated. rows: (Q + 1,) first row of each colour. offsets, counts: (rows,).
        targets: (nnz,) int32 position of a neighbour. pairs: (nnz,) int64 number of its coupling.
        groups: (free + 1,) first multi-spin term of each position, the others in `starts`: (terms + 1,) first entry in
            `members` (int32 positions of the other units). weights: (terms,) int64 number of its weight.
    """

    order: torch.Tensor
    colours: torch.Tensor
    rows: torch.Tensor
    offsets: torch.Tensor
    counts: torch.Tensor
    targets: torch.Tensor
    pairs: torch.Tensor
    groups: torch.Tensor
    starts: torch.Tensor
    members: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(
        cls, size: int, edges: Indices, groups: Sequence[Indices], colouring: Colouring,
        fixed: npt.NDArray[np.bool_] | None = None,
    ) -> SweepTables:  # fmt: skip
        """Tables of a graph.

        Args:
            edges: (E, 2), in the order of the couplings.
            groups: (M, k) for each order k of multi-spin terms, in the order of the weights.
            colouring: proper for edges and groups.
            fixed: (N,) units that are never updated.
        """
        ends = np.concatenate([edges, edges[:, ::-1]])
        number = np.tile(np.arange(len(edges)), 2)
        degrees = np.bincount(ends[:, 0], minlength=size)
        colours = colouring.colours.copy()
        if fixed is not None:
            colours[fixed] = colouring.count
        order = np.lexsort((-degrees, colours))
        place = np.empty(size, dtype=np.int64)
        place[order] = np.arange(size)
        firsts = np.searchsorted(colours[order], np.arange(colouring.count + 1))
        firsts = np.unique(firsts) if fixed is not None else firsts
        free = int(firsts[-1])

        # Neighbour r of a unit, in ascending order of units.
        by_unit = np.lexsort((ends[:, 1], ends[:, 0]))
        ends, number = ends[by_unit], number[by_unit]
        rank = np.arange(len(ends)) - np.concatenate([[0], np.cumsum(degrees)])[ends[:, 0]]
        position = place[ends[:, 0]]
        kept = position < free
        ends, number, rank, position = ends[kept], number[kept], rank[kept], position[kept]
        colour = np.searchsorted(firsts, position, side="right") - 1
        jag = np.lexsort((position, rank, colour))
        ends, number, rank, colour = ends[jag], number[jag], rank[jag], colour[jag]
        new = np.ones(len(ends), dtype=bool)
        new[1:] = (rank[1:] != rank[:-1]) | (colour[1:] != colour[:-1])
        offsets = np.flatnonzero(new)
        counts = np.diff(np.append(offsets, len(ends)))
        rows = np.searchsorted(colour[offsets], np.arange(len(firsts)))

        owners, others, weights = [], [], []
        first = 0
        for members in groups:
            for slot in range(members.shape[1]):
                owners.append(place[members[:, slot]])
                others += list(place[np.delete(members, slot, axis=1)])
                weights.append(first + np.arange(len(members)))
            first += len(members)
        owner = np.concatenate(owners) if owners else np.zeros(0, dtype=np.int64)
        weight = np.concatenate(weights) if weights else np.zeros(0, dtype=np.int64)
        by_owner = np.lexsort((weight, owner))
        by_owner = by_owner[owner[by_owner] < free]
        lists = [others[k] for k in by_owner]
        table = {
            "order": order, "colours": firsts, "rows": rows, "offsets": offsets, "counts": counts,
            "targets": place[ends[:, 1]].astype(np.int32), "pairs": number,
            "groups": np.searchsorted(owner[by_owner], np.arange(free + 1)),
            "starts": np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64),
            "members": np.concatenate(lists).astype(np.int32) if lists else np.zeros(0, dtype=np.int32),
            "weights": weight[by_owner],
        }  # fmt: skip
        return cls(**{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in table.items()})

    @property
    def free(self) -> int:
        """Number of units that are updated."""
        return int(self.colours[-1])

    def to(self, device: torch.device) -> SweepTables:
        """The same tables on a device."""
        return SweepTables(**{part.name: getattr(self, part.name).to(device) for part in fields(self)})

    def structure(self) -> tuple[torch.Tensor, ...]:
        """The tables as the operator takes them."""
        return (
            self.order, self.colours, self.rows, self.offsets, self.counts, self.targets, self.groups, self.starts,
            self.members,
        )  # fmt: skip


def log2_odds(temperature: torch.Tensor) -> torch.Tensor:
    """−2/(T ln 2): times the local field, the exponent x of P(+1) = 1/(1 + 2^x)."""
    return (-2.0 / math.log(2.0)) / temperature


def reference(
    spins: torch.Tensor, bias: torch.Tensor, weights: torch.Tensor, products: torch.Tensor, scale: torch.Tensor,
    keys: torch.Tensor, tick: int, lane: int, sweeps: int, order: torch.Tensor, colours: torch.Tensor,
    rows: torch.Tensor, offsets: torch.Tensor, counts: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor,
    starts: torch.Tensor, members: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Spins after `sweeps` sweeps of B points with C chains each. The definition, in plain torch.

    A sweep takes the colours in turn; every unit of a colour becomes +1 with probability 1/(1 + 2^(scale·field)), else
    −1, where field = bias + Σ weight·neighbour + Σ weight·Π others, added up in float32 in this order. Unit at
    position p of chain c in sweep t draws element (t·F + p)·C + c of (key, tick, lane), F the number of free units.

    Args:
        spins: int8 (B, N, C), −1 or +1, by unit.
        bias: (B or 1, F, 1 or C) float32, by position.
        weights: (B or 1, nnz) float32, in the order of `targets`. products: (B or 1, terms) float32, of `members`.
        scale: (B or 1, 1 or sweeps, 1 or C) float32, see `log2_odds`.
        keys: int64 (B or 1, 2), Philox keys.
        order, …: `SweepTables.structure`.

    Returns:
        int8 (B, N, C). Point b equals the sweeps of point b alone. Probabilities are multiples of 2^-24 give or take
        rounding; below 3e-8 they are 0.

    Raises:
        ValueError: there are more updates than a draw holds.
    """
    points, _, chains = spins.shape
    refuse_large_draw(sweeps * int(colours[-1]) * chains)
    state = spins[:, order].float()
    borders, free = colours.tolist(), int(colours[-1])
    first_rows, ends = rows.tolist(), [*offsets.tolist(), len(targets)]
    terms = [BlockTerms.of(groups, starts, *block) for block in pairwise(borders)] if len(members) else []
    for t in range(sweeps):
        u = uniforms(keys.cpu().numpy(), tick, t * free * chains, free * chains, lane)
        drawn = torch.from_numpy(u).to(spins.device).view(-1, free, chains)
        now = scale[:, t if scale.shape[1] > 1 else 0].unsqueeze(1)
        for q, (low, high) in enumerate(pairwise(borders)):
            field = bias[:, low:high].expand(points, high - low, chains).clone()
            own = ends[first_rows[q] : first_rows[q + 1] + 1]
            pairs = slice(own[0], own[-1])
            near = weights[:, pairs, None] * state[:, targets[pairs]]
            field = added_in_order(field, near, tuple(end - own[0] for end in own))
            if terms and len(terms[q].terms):
                others = torch.where(terms[q].there.unsqueeze(-1), state[:, members[terms[q].entries]], 1.0)
                field = terms[q].added(field, products[:, terms[q].terms, None] * others.prod(2))
            u_power = fma(drawn[:, low:high], power(now * field), drawn[:, low:high])
            state[:, low:high] = torch.where(u_power < 1.0, 1.0, -1.0)
    out = spins.clone()
    out[:, order] = state.to(torch.int8)
    return out


def power(x: torch.Tensor) -> torch.Tensor:
    """2^x, operation by operation as the kernels compute it; cut at |x| = 126."""
    x = x.clamp(-LIMIT, LIMIT)
    whole = x.round()
    y = x - whole
    p = torch.full_like(y, EXP2[0])
    for c in EXP2[1:]:
        p = fma(p, y, torch.full_like(y, c))
    return torch.ldexp(p, whole.int())


def fma(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """a·b + c of float32 rounded once: the product is exact in double precision, and the sum there as good as exact."""
    return (a.double() * b.double() + c.double()).float()


def kernel(
    spins: torch.Tensor, bias: torch.Tensor, weights: torch.Tensor, products: torch.Tensor, scale: torch.Tensor,
    keys: torch.Tensor, tick: int, lane: int, sweeps: int, order: torch.Tensor, colours: torch.Tensor,
    rows: torch.Tensor, offsets: torch.Tensor, counts: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor,
    starts: torch.Tensor, members: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """As `reference`, to the last spin, by the kernel of the device the spins are on."""
    inputs = (
        spins, bias, weights, products, scale, keys, tick, lane, sweeps, order, colours, rows, offsets, counts,
        targets, groups, starts, members,
    )  # fmt: skip
    if traced():
        out: torch.Tensor = gibbs(*inputs)
        return out
    return _computed(*inputs)


def _computed(
    spins: torch.Tensor, bias: torch.Tensor, weights: torch.Tensor, products: torch.Tensor, scale: torch.Tensor,
    keys: torch.Tensor, tick: int, lane: int, sweeps: int, order: torch.Tensor, colours: torch.Tensor,
    rows: torch.Tensor, offsets: torch.Tensor, counts: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor,
    starts: torch.Tensor, members: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    structure = (order, colours, rows, offsets, counts, targets, groups, starts, members)
    refuse_large_draw(sweeps * int(colours[-1]) * spins.shape[-1])
    if spins.device.type == "cuda":
        import attractor.kernels.cuda.gibbs as cuda

        drawn: torch.Tensor = cuda.sweep(spins, bias, weights, products, scale, keys, tick, lane, sweeps, *structure)
        return drawn
    if spins.device.type != "cpu":
        raise NotImplementedError(f"there is no kernel for Gibbs sweeps on {spins.device}: use the eager tier")
    from attractor.kernels.cpu import gibbs as cpu

    points, _, chains = spins.shape
    out = spins.contiguous().clone()
    common: tuple[Any, ...] = (
        out.numpy(), bias.contiguous().numpy(), weights.contiguous().numpy(), products.contiguous().numpy(),
        scale.contiguous().numpy(), keys.contiguous().numpy().view(np.uint64), np.uint64(tick), np.uint64(lane),
        sweeps, *(table.numpy() for table in structure),
    )  # fmt: skip
    seconds = _SECONDS * sweeps * float(colours[-1]) * points * chains
    if chains < _LANES_FROM:
        chain: Any = cpu.chain
        in_pieces(lambda low, high: chain(*common, low, high), points, seconds)
        return out
    width = next(
        (w for w in cpu.WIDTHS if points * -(-chains // w) >= torch.get_num_threads() and chains > w // 2),
        cpu.WIDTHS[-1],
    )
    strips = points * -(-chains // width)
    lanes: Any = cpu.lanes
    in_pieces(lambda low, high: lanes(*common, (0,) * width, low, high), strips, seconds)
    return out


gibbs = torch.library.custom_op("attractor::gibbs", _computed, mutates_args=())


@gibbs.register_fake
def _(spins: torch.Tensor, *inputs: Any) -> torch.Tensor:
    return torch.empty_like(spins)
