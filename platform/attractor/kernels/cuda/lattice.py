"""Bit-packed Gibbs sweeps of ±J lattices on a GPU; `attractor.kernels.lattice` says what is computed.

A launch updates one colour of one sweep; a thread takes one site with 64 chains. A block of threads draws random bits
until all its chains have decided.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
import triton
import triton.language as tl

from attractor.kernels.lattice import BITS, WORD

_BLOCK: Final = 128
_ROUNDS = tl.constexpr(BITS // 2)


@triton.jit
def _pull(state, negative, site, bond, inside):
    """Which chains a neighbour pulls up: its word, inverted where the bond is negative."""
    word = tl.load(state + site, mask=inside, other=0)
    return word ^ (0 - tl.load(negative + bond, mask=inside, other=0).to(tl.int64))


@triton.jit
def _compare(bits, n0, n1, n2, n3, n4, n5, n6, limits, shift, cubic: tl.constexpr, alive, up):
    """One random bit of every chain against the same bit of its threshold."""
    limit = n0 & (0 - ((tl.load(limits) >> shift) & 1))
    limit |= n1 & (0 - ((tl.load(limits + 1) >> shift) & 1))
    limit |= n2 & (0 - ((tl.load(limits + 2) >> shift) & 1))
    limit |= n3 & (0 - ((tl.load(limits + 3) >> shift) & 1))
    limit |= n4 & (0 - ((tl.load(limits + 4) >> shift) & 1))
    if cubic:
        limit |= n5 & (0 - ((tl.load(limits + 5) >> shift) & 1))
        limit |= n6 & (0 - ((tl.load(limits + 6) >> shift) & 1))
    up |= alive & limit & ~bits
    alive &= ~(limit ^ bits)
    return alive, up


@triton.jit
def _update(
    state, negative, negative_point, limits, limits_point, keys, keys_point, words, depth, rows, columns, colour, sweep,
    lane, tick_low, tick_high, cubic: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    point = tl.program_id(1).to(tl.int64) // words
    group = tl.program_id(1).to(tl.int64) % words
    sites = depth * rows * columns
    half = columns // 2
    i = tl.program_id(0).to(tl.int64) * width + tl.arange(0, width)
    inside = i < depth * rows * half
    row = i // half
    y, z = row % rows, row // rows
    x = 2 * (i % half) + (colour + y + z) % 2
    site = row * columns + x
    left, right = row * columns + (x + columns - 1) % columns, row * columns + (x + 1) % columns
    above, below = (z * rows + (y + rows - 1) % rows) * columns + x, (z * rows + (y + 1) % rows) * columns + x
    here = state + (point * words + group) * sites
    bonds = negative + point * negative_point
    if cubic:
        along, down = bonds + 2 * sites, bonds + sites
    else:
        along, down = bonds + sites, bonds
    p, q = _pull(here, along, left, left, inside), _pull(here, along, right, site, inside)
    r, s = _pull(here, down, above, above, inside), _pull(here, down, below, site, inside)
    pq, rs = p ^ q, r ^ s
    c0 = pq ^ rs
    c1 = (p & q) ^ (r & s) ^ (pq & rs)
    c2 = p & q & r & s
    if cubic:
        behind, before = ((z + depth - 1) % depth * rows + y) * columns + x, ((z + 1) % depth * rows + y) * columns + x
        p, q = _pull(here, bonds, behind, behind, inside), _pull(here, bonds, before, site, inside)
        carry = (p & q) | (c0 & (p ^ q))
        c0 = c0 ^ p ^ q
        c2 = c2 | (c1 & carry)
        c1 = c1 ^ carry
    n0, n1, n2, n3 = ~(c0 | c1 | c2), c0 & ~(c1 | c2), c1 & ~(c0 | c2), c0 & c1 & ~c2
    n4, n5, n6 = c2 & ~(c0 | c1), c0 & c2 & ~c1, c1 & c2 & ~c0

    seed = tl.load(keys + point * keys_point) | (tl.load(keys + point * keys_point + 1) << 32)
    first = ((i * 0 + sweep) * words + group) * sites + site
    up = i * 0
    alive = tl.where(inside, up - 1, up)
    limits += point * limits_point
    j = 0
    while (j < _ROUNDS) & (tl.max(tl.where(alive != 0, 1, 0), axis=0) > 0):
        w0, w1, w2, w3 = tl.philox(
            seed.to(tl.uint64), (first * _ROUNDS + j).to(tl.uint32), (up * 0 + lane).to(tl.uint32),
            (up * 0 + tick_low).to(tl.uint32), (up * 0 + tick_high).to(tl.uint32),
        )  # fmt: skip
        one = w0.to(tl.int64) | (w1.to(tl.int64) << 32)
        two = w2.to(tl.int64) | (w3.to(tl.int64) << 32)
        alive, up = _compare(one, n0, n1, n2, n3, n4, n5, n6, limits, 31 - 2 * j, cubic, alive, up)
        alive, up = _compare(two, n0, n1, n2, n3, n4, n5, n6, limits, 30 - 2 * j, cubic, alive, up)
        j += 1
    tl.store(here + site, up, mask=inside)


def sweep(
    spins: torch.Tensor,
    negative: torch.Tensor,
    threshold: torch.Tensor,
    keys: torch.Tensor,
    tick: int,
    lane: int,
    sweeps: int,
    sides: list[int],
) -> torch.Tensor:
    """As `attractor.kernels.lattice.reference`, to the last spin."""
    points, sites, chains = spins.shape
    device = spins.device
    words = -(-chains // WORD)
    place = torch.arange(WORD, device=device)
    padded = torch.zeros(points, sites, words * WORD, dtype=torch.int64, device=device)
    padded[..., :chains] = spins > 0
    state = (padded.view(points, sites, words, WORD) << place).sum(-1).transpose(1, 2).contiguous()
    depth, rows, columns = (1, *sides) if len(sides) == 2 else sides
    bonds = negative.to(device, torch.int8).contiguous()
    limits, keys = threshold.to(device), keys.to(device).contiguous()
    update: Any = _update

    def step(value: torch.Tensor) -> int:
        return value.stride(0) if len(value) > 1 else 0

    for t in range(sweeps):
        now = limits[:, t if limits.shape[1] > 1 else 0].contiguous()
        for colour in (0, 1):
            update[(triton.cdiv(math.prod(sides) // 2, _BLOCK), points * words)](
                state, bonds, step(bonds), now, step(now), keys, step(keys), words, depth, rows, columns, colour, t,
                lane, tick & 0xFFFFFFFF, tick >> 32, cubic=len(sides) == 3, width=_BLOCK,
            )  # fmt: skip
    bits = (state.transpose(1, 2).unsqueeze(-1) >> place) & 1
    up = bits.reshape(points, sites, words * WORD)[..., :chains].bool()
    return torch.where(up, 1, -1).to(torch.int8)
