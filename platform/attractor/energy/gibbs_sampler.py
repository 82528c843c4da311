"""Gibbs sweeps of whatever energy model arrives at a node."""

from __future__ import annotations

from typing import Any

import torch

from attractor.energy.energy_model import EnergyModel
from attractor.energy.heat_bath import refuse_continuous
from attractor.energy.potts_model import PottsModel
from attractor.energy.potts_sampler import PottsSampler
from attractor.energy.spin_sampler import SpinSampler


class GibbsSampler:
    """Colour-block Gibbs sweeps (Geman & Geman 1984) of one model after the other.

    What follows from the structure of a model alone is worked out anew only for a model of another structure.

    Args:
        kernels: whether to use the kernels (the draws and their result are the same).
    """

    def __init__(self, *, kernels: bool) -> None:
        self._kernels = kernels
        self._own: SpinSampler | PottsSampler | None = None

    def __call__(
        self, model: EnergyModel, values: torch.Tensor, keys: torch.Tensor, tick: int, sweeps: int, lane: int = 0, *,
        held: torch.Tensor | None = None, temperature: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Values after a number of sweeps: in each of them every unit is drawn once from its law given all others.

        Args:
            model: of spins or categories.
            values: (..., C, N): int8 spins, or int64 categories.
            keys: Philox keys, int64 (2,), or (..., 2) for points with seeds of their own; see `Draws.key`.
            tick: of the draws.
            sweeps: number of sweeps.
            lane: of the draws; it must differ from those of the node's other draws.
            held: (..., C, N) or what broadcasts to it, true for units that keep their value.
            temperature: of each chain, (..., C), in place of the model's.

        Returns:
            (..., C, N).

        Raises:
            ValueError: the model has continuous units.
        """
        sampler = self._of(model)
        clamp = None
        if held is not None:
            free = 0 if isinstance(sampler, SpinSampler) else -1
            clamp = torch.where(held, values, torch.full_like(values, free)).mT
        heat = None if temperature is None else temperature.unsqueeze(-2)
        return sampler(values.mT, keys, tick, sweeps, lane, clamp=clamp, temperature=heat).mT

    def _of(self, model: EnergyModel) -> SpinSampler | PottsSampler:
        own = self._own
        if own is not None and own.model is model:
            return own
        refuse_continuous(model)
        kind: Any = PottsSampler if isinstance(model, PottsModel) else SpinSampler
        made: SpinSampler | PottsSampler = (
            own.with_numbers(model) if isinstance(own, kind) and own.fits(model) else kind(model, kernels=self._kernels)
        )
        self._own = made
        return made
