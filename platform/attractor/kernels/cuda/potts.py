"""Colour-block Gibbs sweeps of categorical units on a GPU; `attractor.kernels.potts` says what is computed.

A launch updates one colour of one sweep. A thread takes four consecutive elements of the draw, the four words of one
Philox block, and all states of each: their fields lie along the second axis of a tile.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import torch
import triton
import triton.language as tl

from attractor.kernels.cuda.gibbs import _power

_TILE: Final = 2048


@triton.jit
def _update(
    state, bias, bias_point, bias_chain, tables, tables_point, weights, weights_point, scale, scale_point, scale_chain,
    keys, keys_point, terms, origin, stride, starts, members, strides, size, chains, free, kinds, begin, end, sweep,
    lane, tick_low, tick_high, bias_chains, states: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    point = tl.program_id(1).to(tl.int64)
    # In 64 bits from the start: an argument that happens to be 1 is a constant without a type.
    wide = tl.program_id(0).to(tl.int64)
    first = (wide * 0 + sweep) * free * chains
    low, high = first + begin * chains, first + end * chains
    quad = low // 4 + wide * width + tl.arange(0, width)
    seed = tl.load(keys + point * keys_point) | (tl.load(keys + point * keys_point + 1) << 32)
    zero = quad * 0
    w0, w1, w2, w3 = tl.philox(
        seed.to(tl.uint64), quad.to(tl.uint32), (zero + lane).to(tl.uint32), (zero + tick_low).to(tl.uint32),
        (zero + tick_high).to(tl.uint32),
    )  # fmt: skip
    here = state + point * size * chains
    a = tl.arange(0, states)
    for j in tl.static_range(4):
        element = quad * 4 + j
        inside = (element >= low) & (element < high)
        p, c = (element - first) // chains, (element - first) % chains
        both = inside[:, None] & (a[None, :] < kinds)
        at = (p[:, None] * kinds + a[None, :]) * bias_chains + c[:, None] * bias_chain
        field = tl.load(bias + point * bias_point + at, mask=both, other=float("-inf"))
        g = tl.load(terms + p, mask=inside, other=0)
        last = tl.load(terms + p + 1, mask=inside, other=0)
        for i in range(tl.max(last - g, axis=0)):
            there = inside & (g + i < last)
            place = tl.load(origin + g + i, mask=there, other=0)
            m = tl.load(starts + g + i, mask=there, other=0)
            stop = tl.load(starts + g + i + 1, mask=there, other=0)
            for o in range(tl.max(stop - m, axis=0)):
                on = there & (m + o < stop)
                near = tl.load(members + m + o, mask=on, other=0)
                place += tl.load(strides + m + o, mask=on, other=0) * tl.load(
                    here + near * chains + c, mask=on, other=0
                )
            own = tl.load(stride + g + i, mask=there, other=0)
            weight = tl.load(weights + point * weights_point + g + i, mask=there, other=0.0)
            entry = tl.load(
                tables + point * tables_point + place[:, None] + a[None, :] * own[:, None],
                mask=there[:, None] & both, other=0.0,
            )  # fmt: skip
            field += weight[:, None] * entry
        x = field * tl.load(scale + point * scale_point + c * scale_chain, mask=inside, other=1.0)[:, None]
        weight = tl.where(both, _power(x - tl.max(x, axis=1)[:, None]), 0.0)
        running = tl.cumsum(weight, axis=1)
        if j == 0:
            word = w0
        elif j == 1:
            word = w1
        elif j == 2:
            word = w2
        else:
            word = w3
        u = ((word >> 8).to(tl.int32).to(tl.float32) + 0.5) * 5.9604644775390625e-08
        limit = tl.minimum(u, 1.0 - 5.9604644775390625e-08) * tl.sum(weight, axis=1)
        passed = (running <= limit[:, None]) & (a[None, :] < kinds - 1)
        tl.store(here + p * chains + c, tl.sum(passed.to(tl.int64), axis=1), mask=inside)


def sweep(
    states: torch.Tensor, bias: torch.Tensor, tables: torch.Tensor, weights: torch.Tensor, scale: torch.Tensor,
    keys: torch.Tensor, tick: int, lane: int, sweeps: int, order: torch.Tensor, colours: torch.Tensor,
    terms: torch.Tensor, origin: torch.Tensor, stride: torch.Tensor, starts: torch.Tensor, members: torch.Tensor,
    strides: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """As `attractor.kernels.potts.reference`, but for rounding: a draw within 1e-6 of a limit may fall otherwise."""
    points, size, chains = states.shape
    kinds = bias.shape[2]
    tile = triton.next_power_of_2(kinds)
    width = max(16, _TILE // tile)
    state = states[:, order].contiguous()
    bias, tables, weights, scale = (value.contiguous() for value in (bias, tables, weights, scale))
    keys = keys.to(states.device).contiguous()
    borders = colours.tolist()
    update: Any = _update

    def step(value: torch.Tensor, axis: int = 0) -> int:
        return value.stride(axis) if value.shape[axis] > 1 else 0

    for t in range(sweeps):
        now = scale[:, t if scale.shape[1] > 1 else 0]
        for begin, end in pairwise(borders):
            quads = ((end - begin) * chains + 3) // 4 + 1
            update[(triton.cdiv(quads, width), points)](
                state, bias, step(bias), step(bias, 3), tables, step(tables), weights, step(weights), now, step(now),
                step(now, 1), keys, step(keys), terms, origin, stride, starts, members, strides, size, chains,
                borders[-1], kinds, begin, end, t, lane, tick & 0xFFFFFFFF, tick >> 32, bias.shape[3], states=tile,
                width=width,
            )  # fmt: skip
    after = torch.empty_like(states)
    after[:, order] = state
    return after
