"""Colour-block Gibbs sweeps of spins on the CPU; `attractor.kernels.gibbs` says what is computed and of what.

Two ways round, with the same result to the last spin: `lanes` holds the chains of a unit side by side in vector
registers, `chain` the units of a colour. The first needs many chains, the second gathers neighbours one by one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from attractor.kernels.cpu.exponential import fma, power
from attractor.kernels.cpu.philox import fill, uniform
from attractor.kernels.jit import jit

WIDTHS: Final = (64, 32)
"""Chains that `lanes` takes at once."""
PIECE: Final = 512
"""Units that `chain` takes at once: their fields and random words stay in the first-level cache."""

_ONE = np.float32(1.0)
_FOUR = np.uint64(4)


@jit(inline="always")
def _is_up(word: Any, x: Any) -> Any:
    """Whether u < 1/(1 + 2^x), for the uniform u of a random word."""
    u = uniform(word)
    return fma(u, power(x), u) < _ONE


@jit
def lanes(
    spins: Any, bias: Any, weights: Any, products: Any, scale: Any, keys: Any, tick: Any, lane: Any, sweeps: Any,
    order: Any, colours: Any, rows: Any, offsets: Any, counts: Any, targets: Any, groups: Any, starts: Any,
    members: Any, width: Any, first: Any, last: Any,
) -> None:  # fmt: skip
    """Strips of chains `first` … `last` − 1; a strip is as wide as the tuple `width` is long."""
    size, chains = spins.shape[1:]
    w = len(width)
    strips = (chains + w - 1) // w
    free = colours[-1]
    field = np.empty(w, np.float32)
    sign = np.empty(w, np.float32)
    factor = np.empty(w, np.float32)
    pairs = np.empty(w // 2 + 2, np.uint64)
    words = pairs.view(np.uint32)
    state = np.ones((size, w), np.int8)
    local_bias = np.zeros((size, w), np.float32)
    own_bias = bias.shape[2] > 1
    for piece in range(first, last):
        b = piece // strips
        low = (piece % strips) * w
        high = min(low + w, chains)
        wide = high - low
        b_weights = weights[b if weights.shape[0] > 1 else 0]
        b_products = products[b if products.shape[0] > 1 else 0]
        b_bias = bias[b if bias.shape[0] > 1 else 0]
        b_scale = scale[b if scale.shape[0] > 1 else 0]
        key = keys[b if keys.shape[0] > 1 else 0]
        k0, k1 = key[0], key[1]
        for p in range(size):
            for c in range(wide):
                state[p, c] = spins[b, order[p], low + c]
        if own_bias:
            for p in range(free):
                for c in range(wide):
                    local_bias[p, c] = b_bias[p, low + c]
        for t in range(sweeps):
            now = b_scale[t if b_scale.shape[0] > 1 else 0]
            if now.shape[0] > 1:
                for c in range(wide):
                    factor[c] = now[low + c]
            else:
                factor[:] = now[0]
            for q in range(len(colours) - 1):
                begin = colours[q]
                for p in range(begin, colours[q + 1]):
                    if own_bias:
                        there = local_bias[p]
                        for c in range(w):
                            field[c] = there[c]
                    else:
                        h = b_bias[p, 0]
                        for c in range(w):
                            field[c] = h
                    r = rows[q]
                    end = rows[q + 1]
                    # Four neighbours a pass over the strip; the order of the sum is that of the rows.
                    while r + 3 < end and p - begin < counts[r + 3]:
                        a0 = offsets[r] + p - begin
                        a1 = offsets[r + 1] + p - begin
                        a2 = offsets[r + 2] + p - begin
                        a3 = offsets[r + 3] + p - begin
                        w0, w1, w2, w3 = b_weights[a0], b_weights[a1], b_weights[a2], b_weights[a3]
                        s0, s1, s2, s3 = state[targets[a0]], state[targets[a1]], state[targets[a2]], state[targets[a3]]
                        for c in range(w):
                            f = fma(w0, np.float32(s0[c]), field[c])
                            f = fma(w1, np.float32(s1[c]), f)
                            f = fma(w2, np.float32(s2[c]), f)
                            field[c] = fma(w3, np.float32(s3[c]), f)
                        r += 4
                    while r < end and p - begin < counts[r]:
                        a = offsets[r] + p - begin
                        weight = b_weights[a]
                        near = state[targets[a]]
                        for c in range(w):
                            field[c] = fma(weight, np.float32(near[c]), field[c])
                        r += 1
                    for g in range(groups[p], groups[p + 1]):
                        weight = b_products[g]
                        for c in range(w):
                            sign[c] = weight
                        for m in range(starts[g], starts[g + 1]):
                            near = state[members[m]]
                            for c in range(w):
                                sign[c] *= np.float32(near[c])
                        for c in range(w):
                            field[c] += sign[c]
                    element = np.uint64(t * free + p) * np.uint64(chains) + np.uint64(low)
                    own = state[p]
                    skip = np.int64(element % _FOUR)
                    if skip == 0:
                        fill(pairs, w // 4, element // _FOUR, lane, tick, k0, k1)
                        for c in range(w):
                            own[c] = np.int8(1) if _is_up(words[c], factor[c] * field[c]) else np.int8(-1)
                    else:
                        fill(pairs, w // 4 + 1, element // _FOUR, lane, tick, k0, k1)
                        for c in range(w):
                            own[c] = np.int8(1) if _is_up(words[c + skip], factor[c] * field[c]) else np.int8(-1)
        for p in range(free):
            for c in range(wide):
                spins[b, order[p], low + c] = state[p, c]


@jit
def chain(
    spins: Any, bias: Any, weights: Any, products: Any, scale: Any, keys: Any, tick: Any, lane: Any, sweeps: Any,
    order: Any, colours: Any, rows: Any, offsets: Any, counts: Any, targets: Any, groups: Any, starts: Any,
    members: Any, first: Any, last: Any,
) -> None:  # fmt: skip
    """Points `first` … `last` − 1, one chain after the other within a piece of a colour."""
    size, chains = spins.shape[1:]
    free = colours[-1]
    field = np.empty(PIECE, np.float32)
    pairs = np.empty(PIECE * chains // 2 + 4, np.uint64)
    words = pairs.view(np.uint32)
    state = np.empty((chains, size), np.float32)
    for b in range(first, last):
        b_weights = weights[b if weights.shape[0] > 1 else 0]
        b_products = products[b if products.shape[0] > 1 else 0]
        b_bias = bias[b if bias.shape[0] > 1 else 0]
        b_scale = scale[b if scale.shape[0] > 1 else 0]
        key = keys[b if keys.shape[0] > 1 else 0]
        for p in range(size):
            for c in range(chains):
                state[c, p] = np.float32(spins[b, order[p], c])
        for t in range(sweeps):
            now = b_scale[t if b_scale.shape[0] > 1 else 0]
            for q in range(len(colours) - 1):
                begin = colours[q]
                for low in range(begin, colours[q + 1], PIECE):
                    high = min(low + PIECE, colours[q + 1])
                    n = high - low
                    element = np.uint64(t * free + low) * np.uint64(chains)
                    skip = np.int64(element % _FOUR)
                    fill(pairs, (skip + n * chains + 3) // 4, element // _FOUR, lane, tick, key[0], key[1])
                    for c in range(chains):
                        own = state[c]
                        local = b_bias[low:high, c if b_bias.shape[1] > 1 else 0]
                        for i in range(n):
                            field[i] = local[i]
                        for r in range(rows[q], rows[q + 1]):
                            m = min(high - begin, counts[r]) - (low - begin)
                            if m <= 0:
                                break
                            a = offsets[r] + low - begin
                            near, weight = targets[a : a + m], b_weights[a : a + m]
                            for i in range(m):
                                field[i] = fma(weight[i], own[near[i]], field[i])
                        if groups[low] < groups[high]:
                            for i in range(n):
                                for g in range(groups[low + i], groups[low + i + 1]):
                                    sign = b_products[g]
                                    for j in range(starts[g], starts[g + 1]):
                                        sign *= own[members[j]]
                                    field[i] += sign
                        factor = now[c if now.shape[0] > 1 else 0]
                        drawn = words[skip + c : skip + n * chains : chains]
                        for i in range(n):
                            own[low + i] = _ONE if _is_up(drawn[i], factor * field[i]) else -_ONE
        for p in range(free):
            for c in range(chains):
                spins[b, order[p], c] = np.int8(state[c, p])
