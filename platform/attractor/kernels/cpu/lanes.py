"""Vectors of 16 numbers in compiled functions, loaded from and stored to plain addresses.

A loop that reads seven rows and writes two is vectorised by LLVM only behind a test that none of them overlap, and a
row handed over as a view counts references; on rows of a few hundred cells both cost more than the arithmetic. Here
the vectors are part of the program. LLVM splits them into the registers the processor has; every lane is computed like
the scalar would be, so results depend neither on the width of the registers nor on where an element lies.

Nothing is checked: an address must lie inside an array that outlives the call.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES: Final = 16


class Lanes(types.Type):
    """16 numbers of one element type."""

    def __init__(self, dtype: Any) -> None:
        super().__init__(f"Lanes({dtype})")
        self.dtype = dtype


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Lanes) -> None:
        element = manager.lookup(fe_type.dtype).get_value_type()
        super().__init__(manager, fe_type, ir.VectorType(element, LANES))  # type: ignore[no-untyped-call]


def _inlined(code: Callable[..., Any]) -> Any:
    return intrinsic(code)


def _place(builder: Any, address: Any, value_type: Any) -> Any:
    return builder.inttoptr(address, value_type.as_pointer())


def _bytes(value_type: Any) -> int:
    element = value_type.element if isinstance(value_type, ir.VectorType) else value_type
    return 8 if isinstance(element, ir.DoubleType) else 4


def _loader(result: Callable[[Any], Any]) -> Any:
    def load(typing_context: Any, address: Any, like: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value_type = context.get_value_type(signature.return_type)
            return builder.load(_place(builder, arguments[0], value_type), align=_bytes(value_type))

        return result(like)(types.intp, like), code

    return load


@_inlined
def load(typing_context: Any, address: Any, like: Any) -> Any:
    """The 16 numbers from `address` on, of the type of the scalar `like`."""
    return _loader(Lanes)(typing_context, address, like)


@_inlined
def load_one(typing_context: Any, address: Any, like: Any) -> Any:
    """The number at `address`, of the type of the scalar `like`."""
    return _loader(lambda like: like)(typing_context, address, like)


@_inlined
def store(typing_context: Any, address: Any, value: Any) -> Any:
    """Write a number, or 16 of them, from `address` on."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place, number = arguments
        builder.store(number, _place(builder, place, number.type), align=_bytes(number.type))
        return context.get_dummy_value()

    return types.void(types.intp, value), code


@_inlined
def fill(typing_context: Any, value: Any) -> Any:
    """16 times the same number."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(arguments[0].type, LANES)
        index = ir.IntType(32)
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[0], ir.Constant(index, 0))
        same = ir.Constant(ir.VectorType(index, LANES), [0] * LANES)
        return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), same)

    return Lanes(value)(value), code


def _between(builder: Any, first: Any, last: Any) -> Any:
    """The mask of the lanes first … last − 1."""
    index = ir.IntType(32)
    lanes = ir.Constant(ir.VectorType(index, LANES), list(range(LANES)))
    same = ir.Constant(ir.VectorType(index, LANES), [0] * LANES)
    bounds = []
    for bound in (first, last):
        narrow = builder.trunc(bound, index)
        vector = builder.insert_element(ir.Constant(lanes.type, ir.Undefined), narrow, ir.Constant(index, 0))
        bounds.append(builder.shuffle_vector(vector, ir.Constant(lanes.type, ir.Undefined), same))
    low, high = bounds
    return builder.and_(builder.icmp_signed(">=", lanes, low), builder.icmp_signed("<", lanes, high))


def _masked(builder: Any, name: str, element: Any, result: Any, arguments: Any) -> Any:
    suffix = "f64" if isinstance(element, ir.DoubleType) else "f32"
    kind = ir.FunctionType(result, [one.type for one in arguments])
    declared: Any = cgutils.get_or_insert_function
    function = declared(builder.module, kind, f"llvm.masked.{name}.v{LANES}{suffix}.p0")
    return builder.call(function, arguments)


@_inlined
def load_some(typing_context: Any, address: Any, like: Any, first: Any, last: Any) -> Any:
    """As `load`, but only the lanes first … last − 1: the others are 0, and nothing is read for them."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(signature.return_type)
        place, align = _place(builder, arguments[0], vector), ir.Constant(ir.IntType(32), _bytes(vector))
        mask = _between(builder, arguments[2], arguments[3])
        return _masked(builder, "load", vector.element, vector, [place, align, mask, ir.Constant(vector, None)])

    return Lanes(like)(types.intp, like, types.intp, types.intp), code


@_inlined
def store_some(typing_context: Any, address: Any, value: Any, first: Any, last: Any) -> Any:
    """As `store` of 16 numbers, but only the lanes first … last − 1: nothing is written for the others."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = arguments[1].type
        place, align = _place(builder, arguments[0], vector), ir.Constant(ir.IntType(32), _bytes(vector))
        mask = _between(builder, arguments[2], arguments[3])
        _masked(builder, "store", vector.element, ir.VoidType(), [arguments[1], place, align, mask])
        return context.get_dummy_value()

    return types.void(types.intp, value, types.intp, types.intp), code


@_inlined
def only(typing_context: Any, value: Any, first: Any, last: Any) -> Any:
    """The lanes first … last − 1 of 16 numbers, and 0 in the others, whatever stood there."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        mask = _between(builder, arguments[1], arguments[2])
        return builder.select(mask, arguments[0], ir.Constant(arguments[0].type, None))

    return value(value, types.intp, types.intp), code


@_inlined
def with_one(typing_context: Any, value: Any, lane: Any, number: Any) -> Any:
    """16 numbers with another one in a lane."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, lane, number = arguments
        return builder.insert_element(vector, number, builder.trunc(lane, ir.IntType(32)))

    return value(value, types.intp, value.dtype), code


def _arithmetic(function: Any, instruction: str) -> None:
    @type_callable(function)
    def typed(context: Any) -> Any:
        def resolve(a: Any, b: Any) -> Any:
            return a if isinstance(a, Lanes) and a == b else None

        return resolve

    def lowered(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments)

    register: Any = lower_builtin
    register(function, Lanes, Lanes)(lowered)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")


@_inlined
def widened(typing_context: Any, value: Any) -> Any:
    """The 16 numbers in double precision."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.VectorType(ir.DoubleType(), LANES)
        return arguments[0] if arguments[0].type == wide else builder.fpext(arguments[0], wide)

    return Lanes(types.float64)(value), code
