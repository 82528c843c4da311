"""The modulation matrix: routes from ports to live parameters.

effective = clamp(replace? r : base·Π(1 + scale) + Σ add); a gate lets the base through while its source exceeds its
threshold, and is 0 (clamped into the range) otherwise. The base is never written. A route reads its source one tick
late, so that a node may modulate itself; until the source has spoken the route does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from attractor.graph import RouteSpec, Transform
from attractor.parameter import Parameter, ParameterRefused


def transformed(transform: Transform, value: Any, smoothed: Any, dt: float) -> Any:
    """A source value after the transform.

    Args:
        value: number or tensor of batch shape.
        smoothed: result of the tick before, or None at the first.
        dt: seconds per tick.
    """
    if transform.range is not None:
        (low, high), (to_low, to_high) = transform.range.source, transform.range.target
        value = to_low + (value - low) * ((to_high - to_low) / (high - low))
    if transform.invert:
        value = -value
    if transform.curve == "exp":
        value = torch.expm1(torch.as_tensor(value))
    elif transform.curve == "s":
        value = torch.tanh(torch.as_tensor(value))
    value = transform.gain * value + transform.offset
    if transform.smooth_ms > 0 and smoothed is not None:
        keep = float(torch.exp(torch.tensor(-dt * 1e3 / transform.smooth_ms, dtype=torch.float64)))
        value = keep * smoothed + (1.0 - keep) * value
    return value


def effective(parameter: Parameter, base: Any, routes: Sequence[tuple[RouteSpec, Any, Any]]) -> Any:
    """The effective value of a parameter under its routes, inside its range.

    Args:
        base: the stored value.
        routes: (route, raw source value, transformed value) of every route that has something to say.

    Raises:
        ParameterRefused: the value is not a number (0·∞, ∞ − ∞), or falls to an end that does not belong to the range,
            where there is nothing to clamp to.
    """
    scale: Any = 1.0
    add: Any = 0.0
    replaced: Any = None
    gate: torch.Tensor | None = None
    for route, raw, value in routes:
        match route.mode:
            case "scale":
                scale = scale * (1.0 + route.depth * value)
            case "add":
                add = add + route.depth * value
            case "replace":
                replaced = base + route.depth * (value - base)
            case "gate":
                above = torch.as_tensor(raw > route.threshold)
                gate = above if gate is None else torch.logical_and(gate, above)
    result = base * scale + add if replaced is None else replaced
    if gate is not None:
        result = torch.where(gate, torch.as_tensor(result), torch.zeros(()))
    if bool(torch.isnan(torch.as_tensor(result)).any()):
        raise ParameterRefused("the routes make it not a number.", "Look at their sources and transforms.")
    if parameter.open_min and bool((torch.as_tensor(result) <= (parameter.min or 0.0)).any()):
        raise ParameterRefused(
            f"the routes take it out of its range, {parameter.range}.", "Make their depth or gain smaller."
        )
    if parameter.min is not None or parameter.max is not None:
        result = torch.clamp(torch.as_tensor(result), parameter.min, parameter.max)
    if isinstance(result, torch.Tensor) and result.dim() == 0 and not result.requires_grad:
        result = result.item()
    if parameter.type == "int":
        return result.round().long() if isinstance(result, torch.Tensor) else round(result)
    return result
