"""The bits of a float32 as an int32 and back, for compiled functions."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def bits_of(typing_context: Any, value: Any) -> Any:
    """The 32 bits of a float32, as an int32."""
    if value != types.float32:
        raise TypeError(f"bits_of takes a float32, not {value}")

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), code


@intrinsic
def float_of(typing_context: Any, bits: Any) -> Any:
    """The float32 that has these 32 bits, given as an int32."""
    if bits != types.int32:
        raise TypeError(f"float_of takes an int32, not {bits}")

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), code
