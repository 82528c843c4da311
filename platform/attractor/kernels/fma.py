"""The fused multiply-add, for compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.extending import intrinsic


def _fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    if not a == b == c:
        raise TypeError(f"fma takes three floats of one type, not {a}, {b}, {c}")

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return a(a, a, a), code


_intrinsic: Any = intrinsic(_fma)
fma: Callable[[Any, Any, Any], Any] = _intrinsic
"""a·b + c with one rounding (IEEE 754 fusedMultiplyAdd), for three floats of one type, inside compiled functions.

Said explicitly, a fused product is part of the program and not a liberty of the compiler: the result is the same in a
vector lane and in a scalar loop, on every processor."""
