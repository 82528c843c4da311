"""Named terms of an energy: each is built into couplings, biases and tables, and so enters the sampled conditionals."""

from typing import Final

from attractor.energy.terms.architecture_constraint import ArchitectureConstraint
from attractor.energy.terms.biome_adjacency import BiomeAdjacency
from attractor.energy.terms.circuit_validity import CircuitValidity
from attractor.energy.terms.drug_likeness import DrugLikeness
from attractor.energy.terms.energy_term import EnergyTerm, TermSettings
from attractor.energy.terms.harmonic import Harmonic
from attractor.energy.terms.hebbian import Hebbian
from attractor.energy.terms.neural_coherence import NeuralCoherence
from attractor.energy.terms.photonic_coupling import PhotonicCoupling
from attractor.energy.terms.pixel_coherence import PixelCoherence
from attractor.energy.terms.plain import HigherOrder, Pairwise, Table, Unary
from attractor.energy.terms.rl_value_function import RlValueFunction
from attractor.energy.terms.spatial_locality import SpatialLocality

TERMS: Final[dict[str, type[TermSettings]]] = {
    "unary": Unary,
    "pairwise": Pairwise,
    "higher": HigherOrder,
    "table": Table,
    "harmonic": Harmonic,
    "neural_coherence": NeuralCoherence,
    "hebbian_energy": Hebbian,
    "pixel_coherence": PixelCoherence,
    "biome_adjacency": BiomeAdjacency,
    "architecture_constraint": ArchitectureConstraint,
    "circuit_validity": CircuitValidity,
    "drug_likeness": DrugLikeness,
    "rl_value_function": RlValueFunction,
    "photonic_coupling": PhotonicCoupling,
    "spatial_locality": SpatialLocality,
}

__all__ = ["TERMS", "EnergyTerm", "TermSettings"]
