"""Values of an orbit between the steps of an integrator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attractor.oscillators.cell import Cell


def slopes(cell: Cell, params: Mapping[str, Any], s: torch.Tensor, drive: Any) -> torch.Tensor:
    """The field of one cell at many points of its orbit, (..., D, n).

    Operation by operation, so that the bits of a point do not depend on how many points there are.

    Args:
        params: numbers, or tensors that broadcast against (..., n).
        drive: added to the driven component: a number or a tensor that broadcasts against (..., n).
    """
    features = (*s.unbind(-2), *cell.nonlinear(s).unbind(-2))
    constants = cell.constants(params) or [0.0] * len(cell.components)
    rows = []
    for d, (row, constant) in enumerate(zip(cell.coefficients(params), constants, strict=True)):
        total = torch.zeros_like(features[0]) + _as(constant, s)
        for weight, feature in zip(row, features, strict=True):
            if isinstance(weight, torch.Tensor) or weight != 0.0:
                total = total + _as(weight, s) * feature
        rows.append(total + drive if d == cell.driven else total)
    return torch.stack(rows, dim=-2)


def _as(value: Any, like: torch.Tensor) -> Any:
    return value.to(like.dtype) if isinstance(value, torch.Tensor) else value


def samples(
    knots: torch.Tensor, field: torch.Tensor, spacing: Any, steps: int | torch.Tensor, count: int
) -> torch.Tensor:
    """Cubic Hermite interpolation (Hairer, Nørsett & Wanner 1993, II.6) at `count` times that divide the whole evenly.

    Between knots a distance h apart the error is at most h⁴ max|s⁗|/384. The last sample is the last knot; where the
    samples fall on knots they are the knots.

    Args:
        knots: states (..., D, n + 1) at equal distances, the first at the beginning.
        field: slopes there.
        spacing: distance of the knots in time units, a number or a tensor (..., 1, 1).
        steps: n; a tensor of batch shape when a point has come to its end after fewer knots than there is room for.

    Returns:
        (..., D, count).
    """
    n = torch.as_tensor(steps, dtype=torch.float64, device=knots.device).unsqueeze(-1)
    place = torch.arange(1, count + 1, dtype=torch.float64, device=knots.device) * n / count
    left = torch.minimum(place.floor(), n - 1.0)
    t = (place - left).to(knots.dtype).unsqueeze(-2)
    index = left.long().unsqueeze(-2).expand(*knots.shape[:-1], count)
    s0, s1 = knots.gather(-1, index), knots.gather(-1, index + 1)
    f0, f1 = field.gather(-1, index), field.gather(-1, index + 1)
    u = 1.0 - t
    bend = t * u * (u * f0 - t * f1)
    value: torch.Tensor = u * u * (1.0 + 2.0 * t) * s0 + t * t * (3.0 - 2.0 * t) * s1 + spacing * bend
    return value
