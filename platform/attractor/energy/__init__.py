"""Energy models: couplings, biases, multi-unit terms and a temperature over spins, categories and continuous units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attractor.energy.colouring import Colouring, ColouringRefused
from attractor.energy.couplings import Couplings
from attractor.energy.energy_model import EnergyModel
from attractor.energy.enumeration import Enumeration, enumerated, is_enumerable
from attractor.energy.interaction_graph import InteractionGraph
from attractor.energy.potts_model import PottsModel, TableTerm
from attractor.energy.spin_model import SpinModel

MODELS: Final[Mapping[str, type[EnergyModel]]] = {cls.__name__: cls for cls in (SpinModel, PottsModel)}
"""The kinds of models, by the name under which a checkpoint keeps them."""

__all__ = [
    "MODELS", "Colouring", "ColouringRefused", "Couplings", "EnergyModel", "Enumeration", "InteractionGraph",
    "PottsModel", "SpinModel", "TableTerm", "enumerated", "is_enumerable",
]  # fmt: skip
