"""An array of cells, a tick on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from attractor.integrators import stochastic_heun
from attractor.neighbourhood import Neighbourhood
from attractor.oscillators.cell import Cell
from attractor.oscillators.halving_test import METHODS
from attractor.oscillators.vector_field import VectorField


def step_plan(speed: Any, seconds: float, dt: float) -> tuple[Any, Any]:
    """How a tick is cut into equal steps: the least number of them that are not longer than `dt`.

    Args:
        speed: time units per second, a number or a tensor of batch shape: then every point has its own steps.
        seconds: length of the tick.

    Returns:
        the number of steps and their length in time units, numbers or tensors of batch shape (int64, and the type of
        `speed`).
    """
    units = speed * seconds
    if isinstance(units, torch.Tensor):
        steps = torch.ceil(units.detach().double() / dt - 1e-9).clamp(min=1.0).long()
        return steps, units / steps
    steps = max(1, math.ceil(units / dt - 1e-9))
    return steps, units / steps


def advance(
    cell: Cell, method: str, s: torch.Tensor, params: Mapping[str, Any], steps: Any, h: Any, *,
    neighbourhood: Neighbourhood | None = None, coupling: Any = 0.0, coupled: Sequence[int] = (),
    drive: torch.Tensor | None = None, noise: Any = None, draws: torch.Tensor | None = None,
    visit: Callable[[torch.Tensor], None] | None = None,
) -> torch.Tensor:  # fmt: skip
    """The states (..., D, N) after `steps` steps of length `h`, with everything else held.

    Args:
        method: of `METHODS`; where there is noise, the stochastic Heun method takes its place.
        params: parameters of the cell, as `VectorField` takes them.
        steps, h: from `step_plan`.
        noise: standard deviation per √unit, a number or a tensor of batch shape; None: none.
        draws: standard normal numbers (..., steps, D, N) for the noise.
        visit: called with the states after every step.
    """
    rate: Any = 1.0
    most, longest, uneven = steps, h, False
    if isinstance(h, torch.Tensor):
        # One field for all points: that of a point with shorter steps is slowed down, and it stops when it is there.
        longest = float(h.detach().max())
        rate = h / longest
    if isinstance(steps, torch.Tensor):
        most = int(steps.max())
        uneven = bool((steps != most).any())
    field = VectorField(
        cell, params, s, neighbourhood=neighbourhood, coupling=coupling, coupled=coupled, drive=drive, rate=rate
    )
    sigma = None if noise is None else noise * rate**0.5
    sigma = sigma[..., None, None] if isinstance(sigma, torch.Tensor) else sigma
    for j in range(most):
        if sigma is None:
            after = METHODS[method](field, s, longest)
        else:
            assert draws is not None
            after = stochastic_heun(field, s, longest, sigma, draws[..., j, :, :])
        s = torch.where((steps > j)[..., None, None], after, s) if uneven else after
        if visit is not None:
            visit(s)
    return s
