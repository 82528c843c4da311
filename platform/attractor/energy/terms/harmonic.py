"""Consonance of tones that sound together."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, categories, occupations

# Sethares 1993, JASA 94:1218: fit of the curves of Plomp & Levelt 1965.
_B1, _B2, _D, _S1, _S2 = 3.5, 5.75, 0.24, 0.021, 19.0


def roughness(f: float, g: float, partials: int, rolloff: float) -> float:
    """Sensory dissonance of two harmonic tones (Plomp & Levelt 1965, in the form of Sethares 1993).

    Args:
        f, g: fundamentals in Hz.
        partials: harmonics of each tone; harmonic k has amplitude rolloff^(k − 1).
    """
    k = np.arange(1, partials + 1)
    amplitude = rolloff ** (k - 1.0)
    first, second = np.meshgrid(f * k, g * k, indexing="ij")
    difference = np.abs(first - second)
    scale = _D / (_S1 * np.minimum(first, second) + _S2)
    weight = np.minimum.outer(amplitude, amplitude)
    return float((weight * (np.exp(-_B1 * scale * difference) - np.exp(-_B2 * scale * difference))).sum())


class Harmonic(TermSettings):
    """E = Σ_{a<b} D(f_a, f_b) n_a n_b − μ Σ n_a + λ(Σ n_a − v)², D the roughness over the partials.

    ``pitches``: one spin for each of 12·octaves pitches, n = (1 + s)/2. ``voices``: v categorical units, each on one of
    the pitches; then E = Σ_{a<b} D, and μ and λ have nothing to decide. Equal temperament.
    """

    reference: ClassVar[str] = "Plomp & Levelt 1965; Sethares 1993, JASA 94:1218"

    form: Literal["pitches", "voices"] = "pitches"
    lowest: float = Field(261.625565, gt=0, le=20000, description="Hz, the lowest pitch")
    octaves: int = Field(1, ge=1, le=5)
    voices: int = Field(3, ge=1, le=16)
    mu: float = 0.0
    lam: float = Field(1.0, ge=0)
    partials: int = Field(6, ge=1, le=32)
    rolloff: float = Field(0.88, gt=0, le=1)

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        pitches = 12 * self.octaves
        return (pitches,) if self.form == "pitches" else (self.voices, pitches)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        pitches = self.lowest * 2.0 ** (np.arange(12 * self.octaves) / 12.0)
        table = np.array([[roughness(f, g, self.partials, self.rolloff) for g in pitches] for f in pitches])
        if self.form == "voices":
            pairs = np.argwhere(np.triu(np.ones((self.voices, self.voices)), 1)).astype(np.int64)
            return categories(np.zeros((self.voices, len(pitches))), pairs, table)
        # λ(Σn − v)² = λ Σ n(1 − 2v) + 2λ Σ_{a<b} n_a n_b + λv², since n² = n.
        cost = np.full(len(pitches), -self.mu + self.lam * (1.0 - 2.0 * self.voices))
        return occupations(table + 2.0 * self.lam, cost, self.lam * self.voices**2)
