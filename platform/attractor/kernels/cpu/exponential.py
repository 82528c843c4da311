"""2^x in single precision for compiled functions, bit by bit what `attractor.kernels.gibbs.power` is."""

from __future__ import annotations

from typing import Any

import numpy as np

from attractor.kernels import fma as fused
from attractor.kernels.cpu import bitcast
from attractor.kernels.gibbs import EXP2, LIMIT
from attractor.kernels.jit import jit

# Numba fills in the first argument of an intrinsic, which a type checker cannot know.
fma: Any = fused.fma
bits_of: Any = bitcast.bits_of
float_of: Any = bitcast.float_of

_LIMIT = np.float32(LIMIT)
_C5, _C4, _C3, _C2, _C1, _C0 = (np.float32(c) for c in EXP2)


@jit(inline="always")
def power(x: Any) -> Any:
    """2^x of a float32, cut at |x| = 126."""
    x = min(max(x, -_LIMIT), _LIMIT)
    whole = np.rint(x)
    y = x - whole
    p = fma(_C5, y, _C4)
    p = fma(p, y, _C3)
    p = fma(p, y, _C2)
    p = fma(p, y, _C1)
    p = fma(p, y, _C0)
    return float_of(np.int32(bits_of(p) + (np.int32(whole) << np.int32(23))))
