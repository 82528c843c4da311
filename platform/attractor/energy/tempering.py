"""Parallel tempering: swaps between replicas at neighbouring temperatures, and the tuning of their ladder.

Swendsen & Wang 1986, PRL 57:2607; Geyer 1991; ladder: rates are made equal (Rathore, Chopra & de Pablo 2005, J. Chem.
Phys. 122:024111) by moving the temperatures between fixed ends, with a gain that dies out so that the limit is a fixed
ladder (Vousden, Farr & Mandel 2016, MNRAS 455:1919).
"""

from __future__ import annotations

import math
from typing import Final

import torch

GOOD_RATES: Final = (0.2, 0.4)
"""Swap rates between which a ladder is neither torn nor wastefully dense."""

LEAST_STEP: Final = 0.02
"""Least step of a tuned ladder in ln T, as a share of the mean one."""


def geometric_ladder(coldest: float, hottest: float, replicas: int) -> torch.Tensor:
    """Temperatures in geometric progression, coldest first, (R,), double precision."""
    steps = torch.linspace(0.0, 1.0, replicas, dtype=torch.float64)
    return coldest * (hottest / coldest) ** steps


def swapped(
    values: torch.Tensor, energies: torch.Tensor, temperatures: torch.Tensor, uniform: torch.Tensor, odd: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One round of swaps between the pairs (0, 1), (2, 3), … or, if `odd`, (1, 2), (3, 4), …

    A pair swaps with probability min(1, exp[(β_i − β_j)(E_i − E_j)]): always when the colder one has the higher energy.

    Args:
        values: (..., R, N), replica r at temperature r.
        energies: (..., R).
        temperatures: (..., R).
        uniform: numbers uniform on (0, 1), (..., R − 1), one for each neighbouring pair.

    Returns:
        values and energies after the swaps; which of the R − 1 pairs swapped, (..., R − 1).
    """
    replicas = values.shape[-2]
    beta = 1.0 / temperatures
    exponent = (beta[..., :-1] - beta[..., 1:]) * (energies[..., :-1] - energies[..., 1:])
    turn = torch.arange(replicas - 1, device=values.device) % 2 == int(odd)
    swap = turn & (uniform.log() < exponent)
    nothing = swap.new_zeros((*swap.shape[:-1], 1))
    up, down = torch.cat((swap, nothing), -1), torch.cat((nothing, swap), -1)
    source = torch.arange(replicas, device=values.device) + up.long() - down.long()
    values = values.gather(-2, source.unsqueeze(-1).expand(values.shape))
    return values, energies.gather(-1, source), swap


def tuned(temperatures: torch.Tensor, rates: torch.Tensor, gain: float) -> torch.Tensor:
    """A ladder with its steps, in ln T, longer where swaps are more frequent than on average and shorter elsewhere.

    Args:
        temperatures: (..., R), coldest first; the two ends stay.
        rates: (..., R − 1), share of tried swaps that were made.
        gain: of ln(step) per unit of rate; 0 changes nothing.
    """
    log_t = temperatures.log()
    steps = log_t.diff(dim=-1)
    moved = steps * torch.exp(gain * (rates - rates.mean(-1, keepdim=True)))
    # A pair whose every swap fails would close up to nothing, and never be told apart again.
    moved = torch.maximum(moved, LEAST_STEP * moved.mean(-1, keepdim=True))
    moved = moved * (steps.sum(-1, keepdim=True) / moved.sum(-1, keepdim=True))
    between = log_t[..., :1] + moved.cumsum(-1)[..., :-1]
    ladder: torch.Tensor = torch.cat((log_t[..., :1], between, log_t[..., -1:]), dim=-1).exp()
    # The ends come back as they were, not as the exponential of their logarithm.
    ladder[..., 0], ladder[..., -1] = temperatures[..., 0], temperatures[..., -1]
    return ladder


def cooled(schedule: str, start: float, end: float, progress: torch.Tensor) -> torch.Tensor:
    """Temperature of simulated annealing at `progress` in [0, 1] (Kirkpatrick, Gelatt & Vecchi 1983)."""
    match schedule:
        case "geometric":
            return start * (end / start) ** progress
        case "linear":
            return start + (end - start) * progress
        case "cosine":
            return end + 0.5 * (start - end) * (1.0 + torch.cos(math.pi * progress))
    raise ValueError(f"unknown schedule {schedule!r}")
