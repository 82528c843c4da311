"""Heat-bath (Gibbs) sweeps of any energy model, one colour after the other (Geman & Geman 1984), in plain torch."""

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


def swept(
    model: EnergyModel, values: torch.Tensor, uniform: torch.Tensor, temperature: torch.Tensor | None = None,
    held: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """Values after one sweep: every unit drawn once from its law given all others.

    Args:
        values: (..., C, N): int8 spins, or int64 categories.
        uniform: numbers uniform on (0, 1), (..., C, N); unit i of chain c uses its own.
        temperature: of each chain, (..., C), in place of the model's.
        held: (..., C, N) or what broadcasts to it, true for units that keep their value: they leave the free blocks.

    Raises:
        ValueError: the model has continuous units.
    """
    refuse_continuous(model)
    heat = (model.temperature.unsqueeze(-1) if temperature is None else temperature).unsqueeze(-1)
    still = None if held is None else held.expand(values.shape)
    for block in model.colouring.blocks():
        units = torch.from_numpy(block).to(values.device)
        field = model.local_field(values)
        if isinstance(model, PottsModel):
            odds = torch.softmax(field[..., units, :] / heat.unsqueeze(-1), dim=-1).cumsum(-1)
            # The last sum may fall short of 1 by rounding, where a draw could lie beyond it.
            drawn = (uniform[..., units].unsqueeze(-1) > odds[..., :-1]).sum(-1)
        else:
            up = torch.sigmoid(2.0 * field[..., units] / heat)
            drawn = torch.where(uniform[..., units] < up, 1, -1)
        drawn = drawn.to(values.dtype)
        if still is not None:
            drawn = torch.where(still[..., units], values[..., units], drawn)
        values = values.index_copy(-1, units, drawn.expand(*values.shape[:-1], len(block)))
    return values


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
