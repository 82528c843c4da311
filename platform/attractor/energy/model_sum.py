"""Sums of energies: a model with the terms of another one on top, in its energy and so in its conditionals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from attractor.energy.couplings import Couplings
from attractor.energy.energy_model import EnergyModel
from attractor.energy.potts_model import PottsModel, TableTerm
from attractor.energy.spin_model import SpinModel


def summed(
    model: EnergyModel, term: EnergyModel, weight: torch.Tensor | float = 1.0, like: EnergyModel | None = None
) -> EnergyModel:
    """The model with energy E_model + weight·E_term, at the temperature of `model`.

    Args:
        weight: a number, or a tensor of batch shape.
        like: a sum made before; if its terms join the same units, its graph and colouring are taken over.

    Raises:
        ValueError: the two are not over the same units.
    """
    w = torch.as_tensor(weight, dtype=model.temperature.dtype, device=model.temperature.device)
    if isinstance(model, SpinModel) and isinstance(term, SpinModel):
        if term.continuous.any():
            raise ValueError("a term over continuous units cannot be added")
        made: EnergyModel = model.plus(
            _scaled(term.couplings, w), w[..., None] * term.bias,
            [(product.members, w[..., None] * product.weights) for product in term.products],
        )  # fmt: skip
    elif isinstance(model, PottsModel) and isinstance(term, PottsModel) and model.states == term.states:
        terms = [TableTerm(part.members, part.table, w[..., None] * _weights(part), part.shared) for part in term.terms]
        made = model.plus(w[..., None, None] * term.bias, terms)
    else:
        raise ValueError(
            f"a term over {term.size} units of kind {_kind(term)} cannot be put on {model.size} of kind {_kind(model)}"
        )
    if like is not None and _structure_equal(like, made):
        like._adopt(made)
    return made


def nothing_like(term: EnergyModel, temperature: torch.Tensor | float = 1.0) -> EnergyModel:
    """A model over the same units whose energy is 0."""
    if isinstance(term, PottsModel):
        return PottsModel.of(torch.zeros_like(term.bias), temperature)
    if isinstance(term, SpinModel):
        none = Couplings.of_edges(term.size, np.zeros((0, 2), dtype=np.int64), term.bias.new_zeros(0))
        return SpinModel.of(none, torch.zeros_like(term.bias), temperature)
    raise ValueError(f"{type(term).__name__} has no counterpart without energy")


def _scaled(couplings: Couplings, w: torch.Tensor) -> Couplings:
    values = w[..., None, None] * couplings.values if couplings.dense else w[..., None] * couplings.values
    return couplings.with_values(values)


def _weights(term: TableTerm) -> torch.Tensor:
    return term.table.new_ones(len(term.members)) if term.weights is None else term.weights


def _kind(model: EnergyModel) -> str:
    return f"cat with {model.states} states" if isinstance(model, PottsModel) else model.variables


def _structure_equal(a: EnergyModel, b: EnergyModel) -> bool:
    if type(a) is not type(b):
        return False
    one, other = list(_structure(a)), list(_structure(b))
    return len(one) == len(other) and all(
        x.shape == y.shape and bool((x == y).all()) for x, y in zip(one, other, strict=True)
    )


def _structure(model: EnergyModel) -> Iterator[Any]:
    """What decides who is joined with whom."""
    for _, part in model.parts():
        if isinstance(part, np.ndarray):
            yield part
    if isinstance(model, SpinModel) and model.couplings.dense:
        yield model.couplings.values.ne(0).reshape(-1, model.size, model.size).any(0)
