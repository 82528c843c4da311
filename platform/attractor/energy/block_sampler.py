"""What the colour-block Gibbs samplers of spins and of categories have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from typing import Generic, Self, TypeVar

from attractor.energy.colouring import Colouring
from attractor.energy.energy_model import EnergyModel

Model = TypeVar("Model", bound=EnergyModel)


class BlockSampler(ABC, Generic[Model]):
    """Colour-block Gibbs sweeps (Geman & Geman 1984) of a model. Its work on the structure is done once."""

    def __init__(self, model: Model, colouring: Colouring | None) -> None:
        conflict = None if colouring is None else colouring.conflict(model.graph)
        if conflict is not None:
            raise ValueError(f"units {conflict[0]} and {conflict[1]} share a term and a block")
        self.model = model
        self.blocks = colouring or model.colouring

    @abstractmethod
    def fits(self, model: Model) -> bool:
        """Whether a model has the structure of this sampler's own, so that it differs in numbers alone."""

    def with_numbers(self, model: Model) -> Self:
        """The sampler of a model that `fits`.

        Raises:
            ValueError: it does not fit.
        """
        if not self.fits(model):
            raise ValueError("the model has another structure; make a new sampler for it")
        sampler = copy(self)
        sampler.model = model
        sampler._take_numbers(self.model)
        return sampler

    @abstractmethod
    def _take_numbers(self, before: Model | None = None) -> None:
        """Lay out the numbers of the model; those of the model `before` are laid out already."""
