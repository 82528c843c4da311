"""Moment matching: maximum likelihood, or pseudo-likelihood, on all observations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, Final

import torch

from attractor.energy.boltzmann_learning import Empirical, SpinMoments, pseudo_likelihood_gradient
from attractor.energy.partition_function import annealed_log_partition
from attractor.energy.spin_model import SpinModel
from attractor.node import Context, Cost, ModelSize, Outputs, Params, ShapeProblem, State
from attractor.nodes.boltzmann_trainer import DATA, LEARNED, LEARNING, START, BoltzmannTrainer
from attractor.parameter import Parameter
from attractor.port import Port, Shape

EXACT_LIMIT: Final = 16
"""Most spins whose 2^N states are summed over."""

# Lanes of the annealed estimate, clear of those of the sweeps.
_ANNEALED: Final = 1 << 20


class MomentMatching(BoltzmannTrainer):
    """Follows the gradient of the log-likelihood of all observations that are kept.

    The divergence KL(data ‖ model) of the empirical distribution is exact as long as 2^N states can be summed over.
    Beyond that it is an estimate by annealed importance sampling, and ``kl_error`` its standard error.

    Adds to the state ``particles`` (..., P, N) for ``mcmc``.
    """

    kind = "ebm.train_moments"
    title = "Moment matching"
    summary = "Learns couplings and biases of spins from data, and tells how far the model is from them."
    equation = (
        "exact, mcmc: ΔJ_ij = η(⟨s_i s_j⟩_data − ⟨s_i s_j⟩_model − λJ_ij); "
        "pseudo_likelihood: η ∇ Σ_i ⟨ln P(s_i | others)⟩; "
        "KL = Σ p̂ ln p̂ + ⟨E⟩_data/T + ln Z, ln Z exact or by annealed importance sampling"
    )
    references = (
        "Ackley, Hinton & Sejnowski 1985, Cogn. Sci. 9:147",
        "Besag 1975, The Statistician 24:179",
        "Salakhutdinov & Murray 2008, ICML; Neal 2001 (annealed importance sampling)",
    )
    inputs = DATA
    outputs = (
        *LEARNED,
        Port("kl", "scalar", unit="nat", doc="KL(data ‖ model): exact for N ≤ 16, otherwise an estimate."),
        Port("kl_error", "scalar", unit="nat", doc="Standard error of `kl`; 0 where it is exact."),
        Port("grad_norm", "scalar", doc="Norm of the gradient."),
    )
    params = (
        *LEARNING,
        Parameter("method", "choice", "exact", choices=("exact", "mcmc", "pseudo_likelihood"),
                  doc=f"exact: sums over all states, N ≤ {EXACT_LIMIT}; mcmc: particles that are never restarted."),
        Parameter("k", "int", 10, min=1, max=1000, doc="mcmc: sweeps of the particles between updates."),
        Parameter("particles", "int", 256, min=2, max=65536, doc="mcmc: particles; otherwise chains of the estimate."),
        Parameter("least", "int", 64, min=2, max=1_000_000, doc="Observations before the first update."),
        Parameter("report", "int", 10, min=1, max=1_000_000, doc="Updates from one `kl` to the next."),
        Parameter("path", "int", 200, min=1, max=100_000, doc="Temperatures of the annealed estimate of ln Z."),
    )  # fmt: skip

    @classmethod
    def needed(cls, params: Mapping[str, Any]) -> int:
        return int(params["least"])

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        n = inputs.get("data", (0, 0))[-1]
        if params["method"] == "exact" and n > EXACT_LIMIT:
            raise ShapeProblem(
                "data", f"the exact method sums over 2^{n} states and stops at N = {EXACT_LIMIT}.",
                'Set `method` to "mcmc" or "pseudo_likelihood".',
            )  # fmt: skip
        return super().shapes(params, inputs)

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        n, memory, particles, method = shapes["h"][0], params["memory"], params["particles"], params["method"]
        size, states = ModelSize.complete((n,)), 2.0**n if n <= EXACT_LIMIT else 0.0
        known = memory * (4.0 * n * n + 6.0 * n) if method == "pseudo_likelihood" else memory * 2.0 * n * n
        chains = {"exact": states * (size.energy + 2.0 * n * n + 2.0 * n)}.get(method, 0.0)
        if method == "mcmc":
            chains = particles * (params["k"] * size.sweep + 2.0 * n * n)
        # Of the divergence: ln Z, the distinct rows, and their energy.
        told = states * (size.energy + 5.0)
        if not states:
            told = params["path"] * particles * (size.sweep + size.energy)
        told += memory * (size.energy + n * math.log2(memory))
        update = known + chains + 20.0 * n * n + told / params["report"]
        # Sums over all states are weighted in their own precision; ln Z is summed in double precision.
        passing = max(memory * n * 20.0, states * n * 12.0, particles * n * 24.0)
        return Cost(
            flops=update / max(1, params["every"]) + 6.0 * n * n,
            bytes=float(memory * n) + states * n + 20.0 * n * n + particles * n * (method == "mcmc"),
            outputs=4.0 * n * n / max(1, params["every"]), scratch=memory * n + passing + 40.0 * n * n,
            preparing=states * (56.0 + 8.0 * n) if states else 0.0,
        )  # fmt: skip

    def prepare(self, ctx: Context) -> None:
        super().prepare(ctx)
        n = self.port_shapes["h"][0]
        self._states: torch.Tensor | None = None
        if n <= EXACT_LIMIT:
            every = torch.tensor(list(itertools.product((-1, 1), repeat=n)), dtype=torch.int8)
            self._states = every.to(ctx.device)

    def initial_state(self, ctx: Context) -> State:
        state = super().initial_state(ctx)
        if self.settings["method"] != "mcmc":
            return state
        return state | {"particles": self.any_spins(self.model(state, ctx), self.settings["particles"], START, ctx)}

    def learned(self, state: State, params: Params, ctx: Context) -> tuple[State, Outputs]:
        model, data = self.model(state, ctx), self.known(state)
        added: State = {}
        match self.settings["method"]:
            case "pseudo_likelihood":
                gradient = pseudo_likelihood_gradient(model, data)
            case "mcmc":
                particles = self.run_on(model, state["particles"], self.settings["k"], ctx)
                added = {"particles": particles}
                gradient = SpinMoments.of(data, dtype=ctx.dtype).minus(SpinMoments.of(particles, dtype=ctx.dtype))
            case _:
                gradient = SpinMoments.of(data, dtype=ctx.dtype).minus(self._exact_moments(model))
        following = self.moved(state, gradient, params["lr"], params["l2"]) | added
        told: Outputs = {"grad_norm": gradient.norm()}
        if (int(state["updates"]) + 1) % self.settings["report"] == 0:
            told |= self._divergence(self.model(following, ctx), data, ctx)
        return following, told

    def _exact_moments(self, model: SpinModel) -> SpinMoments:
        assert self._states is not None
        weights = torch.softmax(-model.energy(self._states) / model.temperature.unsqueeze(-1), dim=-1)
        return SpinMoments.of(self._states.expand(*model.batch, -1, -1), weights)

    def _divergence(self, model: SpinModel, data: torch.Tensor, ctx: Context) -> Outputs:
        """KL of every point with its standard error."""
        if self._states is not None:
            log_z = torch.logsumexp(-model.energy(self._states).double() / model.temperature.double().unsqueeze(-1), -1)
            error = torch.zeros_like(log_z)
        else:
            start = self.any_spins(model, self.settings["particles"], _ANNEALED, ctx)
            found = annealed_log_partition(
                model, start, self.settings["path"],
                lambda values, step, temperature: self.sweep(
                    model, values, ctx.random.key, ctx.tick, 1, _ANNEALED + step, temperature=temperature
                ),
            )  # fmt: skip
            log_z, error = found.value, found.error
        log_z = log_z.expand(ctx.batch)
        points = [
            Empirical.of(rows).divergence(one, z)
            for rows, one, z in zip(
                data.reshape(-1, *data.shape[-2:]), _points(model, ctx), log_z.reshape(-1), strict=True
            )
        ]
        kl = torch.stack(points).reshape(ctx.batch)
        return {"kl": kl.to(ctx.dtype), "kl_error": error.to(ctx.dtype).expand(ctx.batch)}


def _points(model: SpinModel, ctx: Context) -> list[SpinModel]:
    """The models of the points of a sweep, each without leading dimensions."""
    n = model.size
    pairs = model.couplings.matrix().expand(*ctx.batch, n, n).reshape(-1, n, n)
    biases = model.bias.expand(*ctx.batch, n).reshape(-1, n)
    return [
        SpinModel.of(model.couplings.with_values(pair), bias, model.temperature)
        for pair, bias in zip(pairs, biases, strict=True)
    ]
