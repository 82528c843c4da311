"""Energy models: couplings, biases, multi-unit terms and a temperature over spins, categories and continuous units."""

from attractor.energy.colouring import Colouring, ColouringRefused
from attractor.energy.couplings import Couplings
from attractor.energy.energy_model import EnergyModel
from attractor.energy.enumeration import Enumeration, enumerated, is_enumerable
from attractor.energy.interaction_graph import InteractionGraph
from attractor.energy.potts_model import PottsModel, TableTerm
from attractor.energy.spin_model import SpinModel

__all__ = [
    "Colouring", "ColouringRefused", "Couplings", "EnergyModel", "Enumeration", "InteractionGraph", "PottsModel",
    "SpinModel", "TableTerm", "enumerated", "is_enumerable",
]  # fmt: skip
