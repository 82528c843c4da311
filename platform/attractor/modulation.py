"""The modulation matrix: routes from ports to live parameters.

effective = clamp(replace? r : base·Π(1 + scale) + Σ add); a gate lets the base through while its source exceeds its
threshold, and is 0 (clamped into the range) otherwise. The base is never written. A route reads its source one tick
late, so that a node may modulate itself; until the source has spoken the route does nothing.

A whole number is rounded (half to even). A switch counts as 0 or 1 on the way in, and is on when what comes out is at
least ½. All is computed in double precision, as plain numbers where there is one value and no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from ctypes import c_float
from typing import Any

import torch

from attractor.graph import RouteSpec, Transform
from attractor.parameter import SMALLEST, Parameter, ParameterRefused


def number_of(raw: Any) -> Any:
    """The value of a route's source as the routes compute with it: a number, or a tensor of double precision."""
    if not isinstance(raw, torch.Tensor):
        return float(raw)
    if raw.dim() == 0 and not raw.requires_grad:
        return raw.item()
    return raw.double()


def transformed(transform: Transform, value: Any, smoothed: Any, keep: float) -> Any:
    """A source value after the transform.

    Args:
        value: number, or tensor of batch shape.
        smoothed: result of the tick before, or None at the first.
        keep: share of `smoothed` that survives a tick.
    """
    if transform.range is not None:
        (low, high), (to_low, to_high) = transform.range.source, transform.range.target
        value = to_low + (value - low) * ((to_high - to_low) / (high - low))
    if transform.invert:
        value = -value
    if transform.curve != "lin":
        curve = torch.expm1 if transform.curve == "exp" else torch.tanh
        curved = curve(torch.as_tensor(value, dtype=torch.float64))
        value = curved if isinstance(value, torch.Tensor) else curved.item()
    value = transform.gain * value + transform.offset
    if keep > 0.0 and smoothed is not None:
        value = keep * smoothed + (1.0 - keep) * value
    return value


def combined(base: Any, routes: Sequence[tuple[RouteSpec, Any, Any]]) -> Any:
    """What the routes make of a base value, before its range is looked at.

    Args:
        base: the stored value.
        routes: (route, raw source value, transformed value) of every route that has something to say.
    """
    if isinstance(base, bool):
        base = float(base)
    elif isinstance(base, torch.Tensor):
        base = base.double()
    scale: Any = 1.0
    add: Any = 0.0
    replaced: Any = None
    gate: Any = None
    for route, raw, value in routes:
        match route.mode:
            case "scale":
                scale = scale * (1.0 + route.depth * value)
            case "add":
                add = add + route.depth * value
            case "replace":
                replaced = base + route.depth * (value - base)
            case "gate":
                above = raw > route.threshold
                gate = above if gate is None else gate & above
    result = base * scale + add if replaced is None else replaced
    if isinstance(gate, torch.Tensor):
        result = torch.where(gate, torch.as_tensor(result, dtype=torch.float64), 0.0)
    elif gate is not None and not gate:
        result = 0.0
    return result


def refusals(parameter: Parameter, result: Any) -> Iterator[tuple[Any, str, str]]:
    """What must not be said of a combined value: (a bool or bool tensor that must be false, message, mend)."""
    nan = torch.isnan(result) if isinstance(result, torch.Tensor) else math.isnan(result)
    yield nan, "the routes make it not a number.", "Look at their sources and transforms."
    if parameter.open_min:
        yield (
            result < SMALLEST, f"the routes take it out of its range, {parameter.range}.",
            f"Make their depth or gain smaller; the smallest value is {SMALLEST:.8g}.",
        )  # fmt: skip


def legal(parameter: Parameter, result: Any, dtype: torch.dtype) -> Any:
    """A combined value inside the parameter's range and in its type; a float is rounded to `dtype`.

    A plain number is rounded as a tensor is, so that a point of a batch is the run with that value.
    """
    if isinstance(result, torch.Tensor):
        if parameter.min is not None or parameter.max is not None:
            result = result.clamp(parameter.min, parameter.max)
        if parameter.type == "bool":
            return result >= 0.5
        return result.round().long() if parameter.type == "int" else result.to(dtype)
    if parameter.min is not None and result < parameter.min:
        result = parameter.min
    if parameter.max is not None and result > parameter.max:
        result = parameter.max
    if parameter.type == "bool":
        return bool(result >= 0.5)
    return round(result) if parameter.type == "int" else rounded(float(result), dtype)


def rounded(value: float, dtype: torch.dtype) -> float:
    """The number of `dtype` that is nearest to `value`; ±∞ beyond its largest."""
    if dtype == torch.float64:
        return value
    # A tick may round many numbers, and a tensor for each of them would be most of what a route costs.
    return c_float(value).value if dtype == torch.float32 else float(torch.tensor(value, dtype=dtype))


def effective(parameter: Parameter, base: Any, routes: Sequence[tuple[RouteSpec, Any, Any]], dtype: torch.dtype) -> Any:
    """The effective value of a parameter under its routes, inside its range.

    Args:
        base, routes: as for `combined`.
        dtype: precision of the run.

    Raises:
        ParameterRefused: the value is not a number (0·∞, ∞ − ∞), or falls to an end that does not belong to the range,
            where there is nothing to clamp to.
    """
    result = combined(base, routes)
    for bad, message, mend in refusals(parameter, result):
        if bool(bad.any() if isinstance(bad, torch.Tensor) else bad):
            raise ParameterRefused(message, mend)
    return legal(parameter, result, dtype)
