"""Where heat-bath sweeps of an energy model begin, and what they draw from: see `gibbs_sampler` for the sweeps."""

from __future__ import annotations

import torch

from attractor.energy.energy_model import EnergyModel
from attractor.energy.potts_model import PottsModel
from attractor.energy.spin_model import SpinModel


def refuse_continuous(model: EnergyModel) -> None:
    """Refuse a model whose units are not all spins or categories.

    Raises:
        ValueError: it has continuous units.
    """
    if not isinstance(model, PottsModel | SpinModel) or (isinstance(model, SpinModel) and model.continuous.any()):
        raise ValueError("the model has continuous units; only spins and categories are sampled here")


def conditional_log_probability(model: EnergyModel, values: torch.Tensor) -> torch.Tensor:
    """ln P(v_i | all others) of every unit at its value, (..., C, N)."""
    refuse_continuous(model)
    heat = model.temperature[..., None, None]
    field = model.local_field(values)
    if isinstance(model, PottsModel):
        logits = torch.log_softmax(field / heat.unsqueeze(-1), dim=-1)
        return logits.gather(-1, values.long().unsqueeze(-1)).squeeze(-1)
    return torch.nn.functional.logsigmoid(2.0 * values.to(field.dtype) * field / heat)


def random_start(model: EnergyModel, uniform: torch.Tensor) -> torch.Tensor:
    """Values uniform over all states, from numbers uniform on (0, 1), (..., C, N)."""
    refuse_continuous(model)
    if isinstance(model, PottsModel):
        return (uniform * model.states).long().clamp(max=model.states - 1)
    return torch.where(uniform < 0.5, 1, -1).to(torch.int8)
