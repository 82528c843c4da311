"""The one-off test that an integration step is fine enough."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import torch

from attractor.integrators import dopri5, rk4
from attractor.oscillators import CELLS
from attractor.oscillators.vector_field import VectorField

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
    # Both orbits end at the same time, also where dt does not divide 1.
    steps = math.ceil(1.0 / dt)
    full = _orbit_end(cell, params, method, dt, steps)
    half = _orbit_end(cell, params, method, dt / 2, 2 * steps)
    difference = (full - half).abs().max()
    return float(torch.nan_to_num(difference, nan=float("inf")))


def _orbit_end(name: str, params: tuple[tuple[str, float], ...], method: str, dt: float, steps: int) -> torch.Tensor:
    cell, step = CELLS[name], METHODS[method]
    s = torch.tensor(cell.start, dtype=torch.float64).unsqueeze(-1)
    field = VectorField(cell, dict(params), s)
    with torch.no_grad():
        for _ in range(steps):
            s = step(field, s, dt)
    return s
