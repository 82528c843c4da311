"""Philox 4x32-10 for compiled functions: the draws of `attractor.philox`, word for word."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from attractor.kernels.jit import jit
from attractor.philox import MULTIPLIERS, ROUNDS, WEYL

_M0, _M1 = MULTIPLIERS
_W0, _W1 = np.uint64(WEYL[0]), np.uint64(WEYL[1])
_MASK: Final = np.uint64(0xFFFFFFFF)
_SHIFT: Final = np.uint64(32)
_TOP: Final = np.float32(1.0 - 2.0**-24)
_STEP: Final = np.float32(2.0**-24)
_HALF: Final = np.float32(0.5)


@jit(inline="always")
def block(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """The four words of counter (c0, c1, c2, c3) under key (k0, k1), all uint64 of which the lower halves count.

    Upper halves carry what a 32-bit register would have lost: masked only where a product would see them, a round is
    two multiplications, two shifts and two three-way exclusive ors on eight lanes.
    """
    for _ in range(ROUNDS):
        p0 = (c0 & _MASK) * _M0
        p1 = (c2 & _MASK) * _M1
        c0 = (p1 >> _SHIFT) ^ c1 ^ k0
        c2 = (p0 >> _SHIFT) ^ c3 ^ k1
        c1 = p1
        c3 = p0
        k0 = (k0 + _W0) & _MASK
        k1 = (k1 + _W1) & _MASK
    return c0, c1, c2, c3


@jit(inline="always")
def fill(pairs: Any, blocks: Any, first: Any, lane: Any, tick: Any, k0: Any, k1: Any) -> None:
    """The words of `blocks` consecutive counters, from element 4·`first` on.

    Args:
        pairs: uint64 (≥ 2·blocks,), to be written; seen as uint32 it holds the words in order.
        blocks: int64. first, lane, tick, k0, k1: uint64.
    """
    low, high = tick & _MASK, tick >> _SHIFT
    for q in range(blocks):
        a, b, c, d = block(first + np.uint64(q), lane, low, high, k0, k1)
        pairs[2 * q] = (a & _MASK) | (b << _SHIFT)
        pairs[2 * q + 1] = (c & _MASK) | (d << _SHIFT)


@jit(inline="always")
def uniform(word: Any) -> Any:
    """The float32 on (0, 1) of a 32-bit word, as `RandomStream.uniform` makes it."""
    # By way of a signed integer, which 24 bits always fit: there is an instruction for its conversion everywhere.
    u = (np.float32(np.int32(word >> np.uint32(8))) + _HALF) * _STEP
    return min(u, _TOP)
