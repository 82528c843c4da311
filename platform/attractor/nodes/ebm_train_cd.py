"""Contrastive divergence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attractor.energy.boltzmann_learning import SpinMoments
from attractor.node import Context, Outputs, Params, State
from attractor.nodes.boltzmann_trainer import (
    DATA,
    LEARNED,
    LEARNING,
    BoltzmannTrainer,
    negative_log_pseudo_likelihood,
)  # fmt: skip
from attractor.parameter import Parameter
from attractor.port import Port


class ContrastiveDivergence(BoltzmannTrainer):
    """Learns from a random batch of the observations; the chains of the second term start at that very batch."""

    kind = "ebm.train_cd"
    title = "Contrastive divergence (CD-k)"
    summary = "Learns couplings and biases of spins from data, by short chains that start at the data."
    equation = "ΔJ_ij = η(⟨s_i s_j⟩_data − ⟨s_i s_j⟩_k − λJ_ij), Δh_i = η(⟨s_i⟩_data − ⟨s_i⟩_k)"
    references = ("Hinton 2002, Neural Comput. 14:1771",)
    inputs = DATA
    outputs = (
        *LEARNED,
        Port(
            "loss",
            "scalar",
            unit="nat",
            doc="Negative log-pseudo-likelihood of the batch per spin. CD itself descends no function.",
        ),
        Port("grad_norm", "scalar", doc="Norm of (⟨ss⟩_data − ⟨ss⟩_k, ⟨s⟩_data − ⟨s⟩_k)."),
    )
    params = (
        *LEARNING,
        Parameter("k", "int", 10, min=1, max=1000, doc="Sweeps of a chain."),
        Parameter(
            "minibatch", "int", 64, min=2, max=65536, doc="Observations in an update, each the start of a chain."
        ),
    )

    @classmethod
    def needed(cls, params: Mapping[str, Any]) -> int:
        return int(params["minibatch"])

    def learned(self, state: State, params: Params, ctx: Context) -> tuple[State, Outputs]:
        model = self.model(state, ctx)
        data = self.chosen(state, self.settings["minibatch"], ctx)
        after = self.run_on(model, data, self.settings["k"], ctx)
        gradient = SpinMoments.of(data, dtype=ctx.dtype).minus(SpinMoments.of(after, dtype=ctx.dtype))
        told = {"loss": negative_log_pseudo_likelihood(model, data), "grad_norm": gradient.norm()}
        return self.moved(state, gradient, params["lr"], params["l2"]), told
