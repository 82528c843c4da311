"""The one-off test that an integration step is fine enough."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch

from attractor.integrators import dopri5, rk4
from attractor.oscillators import CELLS
from attractor.oscillators.vector_field import vector_field

METHODS: Final = {"rk4": rk4, "dopri5": dopri5}
TOLERANCE: Final = 1e-3
_COARSE: Final = 1e-3


@lru_cache(maxsize=256)
def halving_error(cell: str, params: tuple[tuple[str, float], ...], method: str, dt: float) -> float:
    """Largest difference of the states after 1 time unit at step dt and at dt/2, from the cell's start point.

    A step below 1e-3 is first tested at 1e-3: the error falls with a power of dt, so what holds there holds below.

    Returns:
        the difference (units of the state); infinite when an orbit is lost.
    """
    if dt < _COARSE and (coarse := halving_error(cell, params, method, _COARSE)) <= TOLERANCE:
        return coarse
    full, half = _after_one_unit(cell, params, method, dt), _after_one_unit(cell, params, method, dt / 2)
    difference = (full - half).abs().max()
    return float(torch.nan_to_num(difference, nan=float("inf")))


def _after_one_unit(name: str, params: tuple[tuple[str, float], ...], method: str, dt: float) -> torch.Tensor:
    cell, step = CELLS[name], METHODS[method]
    steps = max(1, round(1.0 / dt))
    s = torch.tensor(cell.start, dtype=torch.float64).unsqueeze(-1)
    field = vector_field(cell, dict(params), s)
    with torch.no_grad():
        for _ in range(steps):
            s = step(field, s, dt)
    return s
