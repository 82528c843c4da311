"""Persistent contrastive divergence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attractor.energy.boltzmann_learning import SpinMoments
from attractor.node import Context, Inputs, Outputs, Params, State
from attractor.nodes.boltzmann_trainer import DATA, LEARNED, LEARNING, START, BoltzmannTrainer
from attractor.parameter import Parameter
from attractor.port import Port


class PersistentContrastiveDivergence(BoltzmannTrainer):
    """Learns from a random batch of the observations; the chains of the second term (particles) are never restarted.

    Adds to the state ``particles`` (..., P, N), random at the start.
    """

    kind = "ebm.train_pcd"
    title = "Persistent contrastive divergence"
    summary = "Learns couplings and biases of spins from data, by chains that go on from update to update."
    equation = "ΔJ_ij = η_t(⟨s_i s_j⟩_data − ⟨s_i s_j⟩_particles − λJ_ij), η_t = η/(1 + decay·t)"
    references = ("Tieleman 2008, ICML", "Younes 1989")
    inputs = DATA
    outputs = (
        *LEARNED,
        Port("fantasy", "spin", shape=("particles", "N"), doc="The particles."),
        Port("recon", "scalar", doc="Mean of (1[s_i = +1] − P(s_i = +1 | rest))² over the batch; 0.25 knows nothing."),
        Port("grad_norm", "scalar", doc="Norm of (⟨ss⟩_data − ⟨ss⟩_particles, ⟨s⟩_data − ⟨s⟩_particles)."),
    )
    params = (
        *LEARNING,
        Parameter("decay", "float", 0.0, min=0, max=10, doc="Fall of the learning rate; t counts updates."),
        Parameter("k", "int", 1, min=1, max=1000, doc="Sweeps of the particles between updates."),
        Parameter("particles", "int", 64, min=2, max=65536, doc="Particles."),
        Parameter("minibatch", "int", 64, min=2, max=65536, doc="Observations in an update."),
    )

    @classmethod
    def needed(cls, params: Mapping[str, Any]) -> int:
        return int(params["minibatch"])

    def initial_state(self, ctx: Context) -> State:
        state = super().initial_state(ctx)
        return state | {"particles": self.any_spins(self.model(state, ctx), self.settings["particles"], START, ctx)}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        state, out = super().step(state, inputs, params, ctx)
        return state, out | {"fantasy": state["particles"]}

    def learned(self, state: State, params: Params, ctx: Context) -> tuple[State, Outputs]:
        model = self.model(state, ctx)
        data = self.chosen(state, self.settings["minibatch"], ctx)
        particles = self.run_on(model, state["particles"], self.settings["k"], ctx)
        gradient = SpinMoments.of(data, dtype=ctx.dtype).minus(SpinMoments.of(particles, dtype=ctx.dtype))
        rate = params["lr"] / (1.0 + self.settings["decay"] * float(state["updates"]))
        field = model.local_field(data) / model.temperature[..., None, None]
        recon = (0.5 * (data - torch.tanh(field))).square().mean((-2, -1))
        following = self.moved(state, gradient, rate, params["l2"]) | {"particles": particles}
        return following, {"recon": recon, "grad_norm": gradient.norm()}
