"""Gibbs sweeps of ±J spins on a torus, 64 chains in a machine word (multi-spin coding).

Couplings of one size |J| and no biases leave 2D + 1 local fields on a D-dimensional lattice, so that a chain's field is
a count of neighbours that pull it up, and its new spin a comparison of random bits with the bits of a threshold.
Every chain has random bits of its own: the chains are independent (Zorn, Herrmann & Rebbi 1981 introduced the coding;
Isakov et al. 2015, arXiv:1401.1084, and Bernaschi et al. 2024 use it for spin glasses).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import torch

from attractor.kernels.dispatch import traced
from attractor.kernels.threads import in_pieces, threads_for
from attractor.philox import philox, refuse_large_draw

WORD: Final = 64
"""Chains in a word."""

BITS: Final = 32
"""Random bits that a spin may take: its probability is a multiple of 2^-32."""

_SECONDS: Final = 4e-10
"""Rough time of an update; it only decides whether threads pay."""

_LEAST_ROWS: Final = 64
"""Rows of the smallest strip: threads wait for each other after every few of its sweeps."""


def thresholds(temperature: torch.Tensor, size: float, dimensions: int) -> torch.Tensor:
    """P(+1)·2^32 for n = 0 … 2D neighbours that pull up, int64 (..., 2D + 1), at most 2^32 − 1.

    Args:
        temperature: T, of any shape.
        size: |J|.
    """
    pulls = 2.0 * torch.arange(2 * dimensions + 1, dtype=torch.float64) - 2.0 * dimensions
    odds = 2.0 * size * pulls / temperature.detach().double().cpu().unsqueeze(-1)
    return (torch.sigmoid(odds) * 2.0**BITS).round().clamp(max=2.0**BITS - 1).long()


def refuse_lattice(sides: Sequence[int], sweeps: int, chains: int) -> None:
    """What the operator does not do.

    Raises:
        ValueError: a side that is odd or below 4, more or fewer than 2 or 3 sides, or more updates than a draw holds.
    """
    if len(sides) not in (2, 3) or any(side % 2 or side < 4 for side in sides):
        raise ValueError(f"a lattice with sides {list(sides)}; 2 or 3 even sides of at least 4 are needed")
    # Of its numbers of 32 bits, two make the bits of a word.
    refuse_large_draw(sweeps * math.prod(sides) * -(-chains // WORD) * BITS * (WORD // 32))


def reference(
    spins: torch.Tensor, negative: torch.Tensor, threshold: torch.Tensor, keys: torch.Tensor, tick: int, lane: int,
    sweeps: int, sides: Sequence[int],
) -> torch.Tensor:  # fmt: skip
    """Spins after `sweeps` sweeps of B points with C chains each. The definition, in plain torch.

    A sweep updates the sites with an even sum of coordinates, then the others. A site of which n neighbours, each times
    its bond, are +1 becomes +1 if U < threshold[n], else −1. The 32 bits of U come one by one, highest first: bit r of
    site p, sweep t, chain 64·g + c is bit c of the 64-bit word r mod 2, low half first, of the Philox block
    ((t·G + g)·N + p)·16 + r div 2 of (key, tick, lane), where G is the number of words that hold C chains.

    Args:
        spins: int8 (B, N, C), −1 or +1; sites in row-major order.
        negative: bool (B or 1, D, N): whether the bond from a site to the next one along an axis is −|J|.
        threshold: int64 (B or 1, sweeps or 1, 2D + 1), see `thresholds`.
        keys: int64 (B or 1, 2), Philox keys.
        sides: D even lengths, see `refuse_lattice`.

    Returns:
        int8 (B, N, C). Point b equals the sweeps of point b alone.
    """
    refuse_lattice(sides, sweeps, spins.shape[-1])
    points, sites, chains = spins.shape
    shape = (points, *sides, chains)
    state = (spins > 0).view(shape)
    parity = torch.from_numpy(np.indices(tuple(sides)).sum(0) % 2).to(spins.device)[None, ..., None]
    bonds = negative.view(-1, len(sides), *sides, 1)
    for t in range(sweeps):
        u = _numbers(keys, tick, lane, t, sites, chains).to(spins.device).view(-1, *sides, chains)
        limits = threshold[:, t if threshold.shape[1] > 1 else 0].to(spins.device).expand(points, -1)
        for colour in (0, 1):
            count = torch.zeros(shape, dtype=torch.int64, device=spins.device)
            for axis in range(len(sides)):
                bond = bonds[:, axis]
                count += state.roll(-1, axis + 1) ^ bond
                count += state.roll(1, axis + 1) ^ bond.roll(1, axis + 1)
            limit = limits.gather(1, count.view(points, -1)).view(shape)
            state = torch.where(parity == colour, u < limit, state)
    return torch.where(state, 1, -1).to(torch.int8).view(points, sites, chains)


def _numbers(keys: torch.Tensor, tick: int, lane: int, sweep: int, sites: int, chains: int) -> torch.Tensor:
    """U of every site and chain in a sweep, int64 (B or 1, N, C)."""
    groups, per = -(-chains // WORD), BITS // 2
    counter = np.empty((4, groups * sites * per), dtype=np.uint64)
    counter[0] = np.arange(counter.shape[1], dtype=np.uint64) + np.uint64(sweep * counter.shape[1])
    counter[1], counter[2], counter[3] = lane, tick & 0xFFFFFFFF, tick >> 32
    found = []
    for k0, k1 in keys.tolist():
        octets = philox(counter, (k0, k1)).view(np.uint8).reshape(groups, sites, BITS, WORD // 8)
        numbers = np.zeros((sites, groups, WORD), dtype=np.int64)
        for place in range(BITS):
            numbers <<= 1
            numbers |= np.unpackbits(octets[:, :, place], axis=-1, bitorder="little").swapaxes(0, 1)
        found.append(numbers.reshape(sites, groups * WORD)[:, :chains])
    return torch.from_numpy(np.stack(found))


def kernel(
    spins: torch.Tensor, negative: torch.Tensor, threshold: torch.Tensor, keys: torch.Tensor, tick: int, lane: int,
    sweeps: int, sides: Sequence[int],
) -> torch.Tensor:  # fmt: skip
    """As `reference`, to the last spin, by the kernel of the device the spins are on."""
    if traced():
        out: torch.Tensor = lattice(spins, negative, threshold, keys, tick, lane, sweeps, list(sides))
        return out
    return _computed(spins, negative, threshold, keys, tick, lane, sweeps, list(sides))


def _computed(
    spins: torch.Tensor, negative: torch.Tensor, threshold: torch.Tensor, keys: torch.Tensor, tick: int, lane: int,
    sweeps: int, sides: list[int],
) -> torch.Tensor:  # fmt: skip
    refuse_lattice(sides, sweeps, spins.shape[-1])
    if spins.device.type == "cuda":
        import attractor.kernels.cuda.lattice as cuda

        after: torch.Tensor = cuda.sweep(spins, negative, threshold, keys, tick, lane, sweeps, sides)
        return after
    if spins.device.type != "cpu":
        raise NotImplementedError(f"there is no kernel for lattices on {spins.device}: use the eager tier")
    from attractor.kernels.cpu import lattice as cpu

    points, sites, chains = spins.shape
    out = spins.contiguous().clone()
    words = points * -(-chains // WORD)
    depth, rows, columns = planes = (1, *sides) if len(sides) == 2 else tuple(sides)
    bonds = negative.contiguous().numpy()
    # A site more at either end repeats the other end, and the last vector of a row may run over into the padding.
    padded = -(-(columns // 2) // cpu.SITES) * cpu.SITES + 2
    now, then = (np.zeros((words, 2, depth, rows, padded), np.uint64) for _ in range(2))
    ways = np.zeros((len(bonds), 2, depth, rows, 2 * len(sides), padded), np.uint64)
    draws = keys.contiguous().numpy().view(np.uint64), np.uint64(tick), np.uint64(lane)
    seconds = _SECONDS * points * sites * chains
    strips, step = _strips(rows, sweeps, words, threads_for(words * rows, seconds * sweeps))

    in_pieces(lambda low, high: cpu.pack(out.numpy(), now, planes, low, high), words * rows, seconds)
    in_pieces(
        lambda low, high: cpu.pack_bonds(bonds, ways, planes, len(sides), low, high), len(bonds) * rows,
        _SECONDS * bonds.size,
    )  # fmt: skip
    for begin in range(0, sweeps, step):
        end = min(begin + step, sweeps)
        common: tuple[Any, ...] = (
            now, then, ways, chains, threshold.contiguous().numpy(), *draws, begin, end, planes, len(sides), strips,
        )  # fmt: skip
        in_pieces(partial(cpu.sweep, *common), words * strips, seconds * (end - begin))
        now, then = then, now
    in_pieces(lambda low, high: cpu.unpack(out.numpy(), now, planes, low, high), words * rows, seconds)
    return out


def _strips(rows: int, sweeps: int, words: int, threads: int) -> tuple[int, int]:
    """Into how many strips a lattice is cut, and how many sweeps a strip does for itself.

    It is cut when there are fewer words of chains than threads, and so that of what a strip computes at most about an
    eighth is computed by others as well.
    """
    strips = min(-(-threads // words), rows // _LEAST_ROWS)
    if strips < 2:
        return 1, sweeps
    return strips, max(1, min(sweeps, rows // strips // 16, 16))


lattice = torch.library.custom_op("attractor::lattice", _computed, mutates_args=())


@lattice.register_fake
def _(spins: torch.Tensor, *inputs: Any) -> torch.Tensor:
    return torch.empty_like(spins)
