"""Tiers: how the steps of a run are carried out. The meaning is the same in all of them.

``eager`` is plain torch and the definition of what is right; ``compiled`` fuses regions of tensor nodes by torch's
compiler; ``kernels`` lets nodes call hand-tuned operators; ``compiled+kernels`` does both. A run keeps its tier from
its first tick to its last, on whatever machine it continues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from attractor.plan import Plan

TIERS: Final = ("eager", "compiled", "kernels", "compiled+kernels")
REQUESTS: Final = ("auto", *TIERS)


@dataclass(frozen=True, slots=True)
class Tier:
    """The tier of a run.

    Attributes:
        name: one of `TIERS`.
        reason: why this one, in a sentence for the manifest.
    """

    name: str
    reason: str

    @property
    def compiled(self) -> bool:
        """Whether regions of tensor nodes are compiled."""
        return self.name.startswith("compiled")

    @property
    def kernels(self) -> bool:
        """Whether nodes may call kernels (`Context.kernels`)."""
        return self.name.endswith("kernels")

    @classmethod
    def choose(cls, request: str, plan: Plan, ticks: int) -> Tier:
        """The tier for a run of `plan` over `ticks` ticks.

        It depends on the plan and the length of the run alone, never on a measurement, so that the same run has the
        same tier wherever it is made.

        Args:
            request: a tier, or ``auto`` for the cost rule.

        Raises:
            ValueError: there is no such tier.
        """
        if request not in REQUESTS:
            raise ValueError(f"there is no tier {request!r}: choose one of {', '.join(REQUESTS)}")
        if request != "auto":
            return cls(request, "asked for")
        return cls("eager", "the cost rule: the run is too short for anything else to pay")


EAGER: Final = Tier("eager", "asked for")
