"""Drug-likeness of a scaffold with fragments."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import (
    EnergyTerm,
    Numbers,
    TermSettings,
    as_array,
    products_of_spins,
    refuse_large_table,
)

PROPERTIES: Final = ("weight", "logP", "acceptors", "donors", "polar_area", "rotatable_bonds")
"""g/mol, -, -, -, Å², -: what a row of numbers means, in this order."""

# Bickerton et al. 2012, Nat. Chem. 4:90, supplement: double sigmoids a, b, c, d, e, f, maximum; mean weights.
_SIGMOIDS: Final = np.array([
    [2.817065973, 392.5754953, 290.7489764, 2.419764353, 49.22325677, 65.37051707, 104.9805561],
    [3.172690585, 137.8624751, 2.534937431, 4.581497897, 0.822739154, 0.576295591, 131.3186604],
    [2.948620388, 160.4605972, 3.615294657, 4.435986202, 0.290141953, 1.300669958, 148.7763046],
    [1.618662227, 1010.051101, 0.985094388, 1e-9, 0.713820843, 0.920922555, 258.1632616],
    [1.876861559, 125.2232657, 62.90773554, 87.83366614, 12.01999824, 28.51324732, 104.5686167],
    [0.01, 272.4121427, 2.55837997, 1.565547684, 1.271567166, 2.758063707, 105.4420403],
])  # fmt: skip
_WEIGHTS: Final = np.array([0.66, 0.46, 0.05, 0.61, 0.06, 0.65])
# Lipinski et al. 1997: weight, logP, acceptors, donors.
_RULE_OF_FIVE: Final = np.array([500.0, 5.0, 10.0, 5.0])


def desirability(properties: Numbers) -> Numbers:
    """Desirability of each property, (..., 6), in (0, 1]."""
    a, b, c, d, e, f, top = _SIGMOIDS.T
    # Far out the exponentials overflow to the limit that is meant.
    with np.errstate(over="ignore"):
        rise = 1.0 / (1.0 + np.exp(-(properties - c + d / 2.0) / e))
        fall = 1.0 - 1.0 / (1.0 + np.exp(-(properties - c - d / 2.0) / f))
    wanted: Numbers = (a + b * rise * fall) / top
    return wanted


def qed_surrogate(properties: Numbers) -> Numbers:
    """Weighted geometric mean of the desirabilities, (...): QED without aromatic rings and structural alerts, which are
    no sums over fragments."""
    score: Numbers = np.exp((_WEIGHTS * np.log(desirability(properties))).sum(-1) / _WEIGHTS.sum())
    return score


def lipinski_violations(properties: Numbers) -> Numbers:
    """How many of the four rules are broken, (...)."""
    broken: Numbers = (properties[..., :4] > _RULE_OF_FIVE).sum(-1).astype(np.float64)
    return broken


class DrugLikeness(TermSettings):
    """E = −w_q·QED + w_l·(Lipinski violations) + w_s·(synthetic accessibility penalty); a spin +1: fragment present.

    Properties and penalties add up over the scaffold and the fragments that are present. The score is no sum over
    pairs: the term holds every product of spins that it needs.
    """

    reference: ClassVar[str] = "Bickerton et al. 2012, Nat. Chem. 4:90; Lipinski et al. 1997; Ertl & Schuffenhauer 2009"

    fragments: list[list[float]] = Field([[0.0] * 6], min_length=1, max_length=12, description=", ".join(PROPERTIES))
    scaffold: list[float] = Field([0.0] * 6, min_length=6, max_length=6)
    accessibility: list[float] = Field([], description="penalty of each fragment, ≥ 0; empty: none")
    w_qed: float = Field(1.0, ge=0)
    w_lipinski: float = Field(1.0, ge=0)
    w_accessibility: float = Field(1.0, ge=0)

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (len(self.fragments),)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        (n,) = self.units()
        refuse_large_table(2, n)
        fragments = as_array(self.fragments, (n, len(PROPERTIES)), "fragments")
        hard = as_array(self.accessibility or [0.0] * n, (n,), "accessibility")
        present = np.stack(np.meshgrid(*[[0.0, 1.0]] * n, indexing="ij"), axis=-1)
        total = present @ fragments + np.asarray(self.scaffold)
        energy = (
            -self.w_qed * qed_surrogate(total)
            + self.w_lipinski * lipinski_violations(total)
            + self.w_accessibility * (present @ hard)
        )
        return products_of_spins(energy)
