"""A soft policy from action values."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, as_array, categories


class RlValueFunction(TermSettings):
    """E = −Σ_s Q(s, a_s)/τ: one categorical unit for each binned state, whose value is the action taken there.

    Given anything else, P(a_s = a) ∝ exp(Q(s, a)/τ): the soft policy.
    """

    data_shape: ClassVar[tuple[str, ...]] = ("states", "actions")
    reference: ClassVar[str] = "Sutton & Barto 2018, §2.8; Haarnoja et al. 2017"

    Q: list[list[float]] = Field([[0.0, 0.0]], min_length=1, description="one row a state, one column an action")
    tau: float = Field(1.0, gt=0)

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        shape = (len(self.Q), len(self.Q[0])) if data is None else (data[0], data[1])
        if shape[1] < 2:
            raise ValueError("a single action leaves nothing to choose")
        return shape

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        values = as_array(self.Q if data is None else data, self.units(None if data is None else data.shape), "Q")
        return categories(-values / self.tau)
