"""Colour-block Gibbs sweeps of spins on a GPU; `attractor.kernels.gibbs` says what is computed and of what.

A launch updates one colour of one sweep. A thread takes four consecutive elements of the draw, the four words of one
Philox block; chains of a unit are consecutive, so threads side by side read neighbours side by side.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import torch
import triton
import triton.language as tl

from attractor.kernels.gibbs import EXP2, LIMIT

_BLOCK: Final = 256

# A compiled function sees no other globals than these.
_LIMIT = tl.constexpr(LIMIT)
_C5, _C4, _C3, _C2, _C1, _C0 = map(tl.constexpr, EXP2)


@triton.jit
def _power(x):
    """2^x, operation by operation as on the CPU."""
    x = tl.minimum(tl.maximum(x, -_LIMIT), _LIMIT)
    whole = tl.floor(x + 0.5)
    y = x - whole
    p = tl.fma(y * 0.0 + _C5, y, y * 0.0 + _C4)
    p = tl.fma(p, y, y * 0.0 + _C3)
    p = tl.fma(p, y, y * 0.0 + _C2)
    p = tl.fma(p, y, y * 0.0 + _C1)
    p = tl.fma(p, y, y * 0.0 + _C0)
    bits = p.to(tl.int32, bitcast=True) + (whole.to(tl.int32) << 23)
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def _update(
    state, bias, bias_point, bias_unit, bias_chain, weights, weights_point, products, products_point, scale,
    scale_point, scale_chain, keys, keys_point, offsets, counts, targets, groups, starts, members, size, chains, free,
    begin, end, first_row, last_row, sweep, lane, tick_low, tick_high, terms: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    point = tl.program_id(1).to(tl.int64)
    # In 64 bits from the start: an argument that happens to be 1 is a constant without a type.
    wide = tl.program_id(0).to(tl.int64)
    origin = (wide * 0 + sweep) * free * chains
    low, high = origin + begin * chains, origin + end * chains
    quad = low // 4 + wide * width + tl.arange(0, width)
    seed = tl.load(keys + point * keys_point) | (tl.load(keys + point * keys_point + 1) << 32)
    zero = quad * 0
    w0, w1, w2, w3 = tl.philox(
        seed.to(tl.uint64), quad.to(tl.uint32), (zero + lane).to(tl.uint32), (zero + tick_low).to(tl.uint32),
        (zero + tick_high).to(tl.uint32),
    )  # fmt: skip
    here = state + point * size * chains
    for j in tl.static_range(4):
        element = quad * 4 + j
        inside = (element >= low) & (element < high)
        place = element - origin
        p, c = place // chains, place % chains
        field = tl.load(bias + point * bias_point + p * bias_unit + c * bias_chain, mask=inside, other=0.0)
        for r in range(first_row, last_row):
            there = inside & (p - begin < tl.load(counts + r))
            at = tl.load(offsets + r) + p - begin
            near = tl.load(targets + at, mask=there, other=0).to(tl.int64)
            weight = tl.load(weights + point * weights_point + at, mask=there, other=0.0)
            spin = tl.load(here + near * chains + c, mask=there, other=0).to(tl.float32)
            field += weight * spin
        if terms:
            g = tl.load(groups + p, mask=inside, other=0)
            last = tl.load(groups + p + 1, mask=inside, other=0)
            most = tl.max(last - g, axis=0)
            for k in range(most):
                there = inside & (g + k < last)
                sign = tl.load(products + point * products_point + g + k, mask=there, other=0.0)
                m = tl.load(starts + g + k, mask=there, other=0)
                stop = tl.load(starts + g + k + 1, mask=there, other=0)
                for i in range(tl.max(stop - m, axis=0)):
                    on = there & (m + i < stop)
                    other = tl.load(members + m + i, mask=on, other=0).to(tl.int64)
                    sign *= tl.load(here + other * chains + c, mask=on, other=1).to(tl.float32)
                field += sign
        x = field * tl.load(scale + point * scale_point + c * scale_chain, mask=inside, other=0.0)
        if j == 0:
            word = w0
        elif j == 1:
            word = w1
        elif j == 2:
            word = w2
        else:
            word = w3
        u = ((word >> 8).to(tl.int32).to(tl.float32) + 0.5) * 5.9604644775390625e-08
        u = tl.minimum(u, 1.0 - 5.9604644775390625e-08)
        up = tl.fma(u, _power(x), u) < 1.0
        tl.store(here + p * chains + c, tl.where(up, 1, -1).to(tl.int8), mask=inside)


def sweep(
    spins: torch.Tensor, bias: torch.Tensor, weights: torch.Tensor, products: torch.Tensor, scale: torch.Tensor,
    keys: torch.Tensor, tick: int, lane: int, sweeps: int, order: torch.Tensor, colours: torch.Tensor,
    rows: torch.Tensor, offsets: torch.Tensor, counts: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor,
    starts: torch.Tensor, members: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """As `attractor.kernels.gibbs.reference`, but for rounding: a draw within 1e-7 of its limit may fall otherwise."""
    points, size, chains = spins.shape
    state = spins[:, order].contiguous()
    bias, weights, products, scale = (value.contiguous() for value in (bias, weights, products, scale))
    keys = keys.to(spins.device).contiguous()
    borders, first_rows = colours.tolist(), rows.tolist()
    free = borders[-1]
    update: Any = _update

    def step(value: torch.Tensor, axis: int) -> int:
        return value.stride(axis) if value.shape[axis] > 1 else 0

    for t in range(sweeps):
        now = scale[:, t if scale.shape[1] > 1 else 0]
        for q, (begin, end) in enumerate(pairwise(borders)):
            quads = ((end - begin) * chains + 3) // 4 + 1
            update[(triton.cdiv(quads, _BLOCK), points)](
                state, bias, step(bias, 0), bias.stride(1), step(bias, 2), weights, step(weights, 0), products,
                step(products, 0), now, step(now, 0), step(now, 1), keys, step(keys, 0), offsets, counts, targets,
                groups, starts, members, size, chains, free, begin, end, first_rows[q], first_rows[q + 1],
                t, lane, tick & 0xFFFFFFFF, tick >> 32, terms=len(members) > 0, width=_BLOCK,
            )  # fmt: skip
    after = torch.empty_like(spins)
    after[:, order] = state
    return after
