"""Colour-block Gibbs sweeps of categorical units on the CPU; `attractor.kernels.potts` says what is computed.

The chains of a unit lie side by side in vector registers, `WIDTH` at a time, and its states one after the other.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from attractor.kernels.cpu.exponential import power
from attractor.kernels.cpu.philox import fill, uniform
from attractor.kernels.jit import jit

WIDTH: Final = 16

_FOUR = np.uint64(4)


@jit
def sweep(
    states: Any, bias: Any, tables: Any, weights: Any, scale: Any, keys: Any, tick: Any, lane: Any, sweeps: Any,
    order: Any, colours: Any, terms: Any, origin: Any, stride: Any, starts: Any, members: Any, strides: Any,
    first: Any, last: Any,
) -> None:  # fmt: skip
    """Strips of chains `first` … `last` − 1."""
    size, chains = states.shape[1:]
    k = bias.shape[2]
    strips = (chains + WIDTH - 1) // WIDTH
    free = colours[-1]
    field = np.empty((k, WIDTH), np.float32)
    most = np.empty(WIDTH, np.float32)
    total = np.empty(WIDTH, np.float32)
    limit = np.empty(WIDTH, np.float32)
    factor = np.empty(WIDTH, np.float32)
    at = np.empty(WIDTH, np.int32)
    pairs = np.empty(WIDTH // 2 + 2, np.uint64)
    words = pairs.view(np.uint32)
    state = np.zeros((size, WIDTH), np.int32)
    for piece in range(first, last):
        b = piece // strips
        low = (piece % strips) * WIDTH
        wide = min(WIDTH, chains - low)
        b_bias = bias[b if bias.shape[0] > 1 else 0]
        b_tables = tables[b if tables.shape[0] > 1 else 0]
        b_weights = weights[b if weights.shape[0] > 1 else 0]
        b_scale = scale[b if scale.shape[0] > 1 else 0]
        key = keys[b if keys.shape[0] > 1 else 0]
        for p in range(size):
            for c in range(wide):
                state[p, c] = states[b, order[p], low + c]
        for t in range(sweeps):
            now = b_scale[t if b_scale.shape[0] > 1 else 0]
            for c in range(wide):
                factor[c] = now[low + c if now.shape[0] > 1 else 0]
            for p in range(free):
                for a in range(k):
                    if b_bias.shape[2] > 1:
                        for c in range(wide):
                            field[a, c] = b_bias[p, a, low + c]
                    else:
                        field[a, :] = b_bias[p, a, 0]
                for g in range(terms[p], terms[p + 1]):
                    at[:] = origin[g]
                    for m in range(starts[g], starts[g + 1]):
                        near, step = state[members[m]], np.int32(strides[m])
                        for c in range(WIDTH):
                            at[c] += step * near[c]
                    weight = b_weights[g]
                    for a in range(k):
                        entries = b_tables[a * stride[g] :]
                        row = field[a]
                        for c in range(WIDTH):
                            row[c] += weight * entries[at[c]]
                for c in range(WIDTH):
                    most[c] = factor[c] * field[0, c]
                for a in range(k):
                    row = field[a]
                    for c in range(WIDTH):
                        row[c] = factor[c] * row[c]
                        most[c] = max(most[c], row[c])
                for a in range(k):
                    row = field[a]
                    for c in range(WIDTH):
                        row[c] = power(row[c] - most[c])
                for c in range(WIDTH):
                    total[c] = field[0, c]
                for a in range(1, k):
                    row = field[a]
                    for c in range(WIDTH):
                        total[c] += row[c]
                element = np.uint64(t * free + p) * np.uint64(chains) + np.uint64(low)
                skip = np.int64(element % _FOUR)
                fill(pairs, WIDTH // 4 + (1 if skip else 0), element // _FOUR, lane, tick, key[0], key[1])
                own = state[p]
                for c in range(WIDTH):
                    limit[c] = uniform(words[c + skip]) * total[c]
                    total[c] = np.float32(0.0)
                    own[c] = 0
                for a in range(k - 1):
                    row = field[a]
                    for c in range(WIDTH):
                        total[c] += row[c]
                        own[c] += np.int32(1) if total[c] <= limit[c] else np.int32(0)
        for p in range(free):
            for c in range(wide):
                states[b, order[p], low + c] = state[p, c]
