"""The partition function of a model too large to enumerate, by annealed importance sampling.

Neal 2001, Stat. Comput. 11:125; Salakhutdinov & Murray 2008, ICML. Chains start from the uniform law and pass through
p_k ∝ exp(−β_k E/T), 0 = β_0 < … < β_K = 1. The mean of w = Π_k exp(−(β_{k+1} − β_k) E(v_k)/T) over chains, v_k after
the sweep at β_k, is an unbiased estimate of Z/Z_0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from attractor.energy.energy_model import EnergyModel
from attractor.energy.heat_bath import refuse_continuous
from attractor.energy.potts_model import PottsModel


@dataclass(frozen=True, slots=True)
class LogPartition:
    """An estimate of ln Z.

    Attributes:
        value: ln of the mean weight, of the model's batch shape.
        error: its standard error, std(w)/(mean(w)·√C). It is blind to modes that no chain has met.
        effective: effective number of chains, (Σw)²/Σw²: near 1, one chain decides and neither number can be trusted.
    """

    value: torch.Tensor
    error: torch.Tensor
    effective: torch.Tensor


def annealed_log_partition(
    model: EnergyModel, start: torch.Tensor, steps: int,
    sweep: Callable[[torch.Tensor, int, torch.Tensor], torch.Tensor],
) -> LogPartition:  # fmt: skip
    """ln Z of a model of spins or categories.

    Args:
        start: C ≥ 2 independent chains, (..., C, N), uniform over all states (`heat_bath.random_start`).
        steps: K temperatures, β growing in even steps.
        sweep: sweep(values, k, T): the values after a sweep of the model at temperatures T, (..., C); k = 1 … K − 1.

    Raises:
        ValueError: fewer than two chains, no step, or continuous units.
    """
    refuse_continuous(model)
    chains = start.shape[-2]
    if chains < 2 or steps < 1:
        raise ValueError(f"{chains} chains and {steps} steps; an error bar needs two chains, a path one step")
    n = model.size
    states = model.states if isinstance(model, PottsModel) else 2

    values = start.expand(*model.batch, chains, n)
    heat = model.temperature.unsqueeze(-1)
    log_w = torch.zeros(*model.batch, chains, dtype=torch.float64, device=values.device)
    for step in range(1, steps + 1):
        log_w = log_w - (model.energy(values) / heat).double() / steps
        if step < steps:
            warm = (heat * (steps / step)).expand(*model.batch, chains)
            values = sweep(values, step, warm)
    top = log_w.amax(-1, keepdim=True)
    w = (log_w - top).exp()
    mean = w.mean(-1)
    value = mean.log() + top.squeeze(-1) + n * math.log(states)
    error = w.std(-1) / (mean * math.sqrt(chains))
    effective = w.sum(-1).square() / w.square().sum(-1)
    return LogPartition(value, error, effective)
