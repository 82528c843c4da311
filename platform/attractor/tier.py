"""Tiers: how the steps of a run are carried out. The meaning is the same in all of them.

``eager`` is plain torch and the definition of what is right; ``compiled`` fuses regions of tensor nodes by torch's
compiler; ``kernels`` lets nodes call hand-tuned operators; ``compiled+kernels`` does both. A run keeps its tier from
its first tick to its last, on whatever machine it continues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from attractor.node import TensorNode
from attractor.plan import Plan
from attractor.tier_request import REQUESTS
from attractor.toolchain import missing_compiler

# The cost rule. Seconds a tensor node takes for a tick in plain torch beside its arithmetic, and operations a second.
NODE_SECONDS: Final = 2e-4
FLOPS: Final = 2e9
# Below this the loading of the kernels alone would be felt.
KERNELS_SECONDS: Final = 5.0
# Nobody shall wait for the first tick for more than a small share of the run.
COMPILATION_SECONDS: Final = 20.0
NODE_COMPILATION_SECONDS: Final = 5.0
COMPILATION_SHARE: Final = 20.0


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
    def choose(cls, request: str, plan: Plan, ticks: int, device: torch.device | str = "cpu") -> Tier:
        """The tier for a run of `plan` over `ticks` ticks.

        What ``auto`` means depends on the plan and the length of the run alone, never on a measurement, so that the
        same run has the same tier wherever it is made. Where nothing can be compiled, a tier without compilation takes
        the place of one with it, and the reason says so.

        Args:
            request: a tier, or ``auto`` for the cost rule.

        Raises:
            ValueError: there is no such tier.
        """
        if request not in REQUESTS:
            raise ValueError(f"there is no tier {request!r}: choose one of {', '.join(REQUESTS)}")
        chosen = cls(request, "asked for") if request != "auto" else cls._cheapest(plan, ticks)
        if not chosen.compiled:
            return chosen
        missing = missing_compiler(torch.device(device).type)
        if missing is None:
            return chosen
        rest = "kernels" if chosen.kernels else "eager"
        return cls(rest, f"in place of {chosen.name}, because {missing}")

    @classmethod
    def _cheapest(cls, plan: Plan, ticks: int) -> Tier:
        """The cost rule: what makes a run fast must first have paid for itself."""
        tensor_nodes = sum(issubclass(node.cls, TensorNode) and not node.cls.view for node in plan.nodes.values())
        eager = ticks * (tensor_nodes * NODE_SECONDS + plan.estimate.flops_per_tick / FLOPS)
        compilation = COMPILATION_SECONDS + tensor_nodes * NODE_COMPILATION_SECONDS
        said = f"the cost rule: plain torch would take about {eager:.2g} s"
        if eager < KERNELS_SECONDS:
            return cls("eager", f"{said}, too short for anything else to pay")
        if eager < COMPILATION_SHARE * compilation:
            return cls("kernels", f"{said}, too short for {compilation:.2g} s of compilation to pay")
        return cls("compiled+kernels", f"{said}, which pays for {compilation:.2g} s of compilation")


EAGER: Final = Tier("eager", "asked for")
