"""Several chains of one model, and whether they agree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch

from attractor.energy.gibbs_sampler import GibbsSampler
from attractor.energy.heat_bath import random_start
from attractor.energy.model_port import refuse_other_variables, units_of_model
from attractor.node import ABSENT, Context, Cost, Inputs, ModelSize, Outputs, Params, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape
from attractor.statistics.convergence import MIN_DRAWS, bulk_ess, r_hat

CONVERGED: Final = 1.01
"""R̂ below which chains count as converged (Vehtari et al. 2021)."""

# Lanes of the node's random numbers.
_START, _SWEEP = 0, 1


class MultiChain(TensorNode):
    """Independent chains from random starts, a draw of each a tick, judged every `length` draws after the warm-up.

    Judged are the energy and every unit (categories: whether a unit is in its own state 0 … K − 1, one by one); the
    worst one is told. When the model changes, warm-up and judgement begin again, the chains go on from where they are.

    State: ``values`` (..., C, N), ``energies`` and ``draws`` (..., length, C[, N]), the draws since the last judgement;
    ``drawn`` (), draws of this model; ``model`` (32,), its identity.
    """

    kind = "ebm.multichain"
    title = "Multi-chain sampler"
    category = "energy-based models"
    summary = "Runs several chains of a model and tells whether they have converged."
    equation = (
        "R̂ = √((n − 1)/n + B/(nW)) of rank-normalised split chains, the larger of bulk and folded; "
        "ESS = CN/(1 + 2Σρ_t), Geyer's initial monotone sequence; converged: R̂ < 1.01"
    )
    references = ("Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021, Bayesian Analysis 16:667",)
    inputs = (Port("model", "model", shape=("N",), doc="What is sampled."),)
    outputs = (
        Port("samples", "any", doc="The tick's draw of every chain, [chains, N]; silent during the warm-up."),
        Port("energies", "vector", shape=("chains",), doc="Energies of the tick's draws, also during the warm-up."),
        Port("r_hat", "scalar", doc="The largest R̂ of all judged quantities. Silent when none of them varied."),
        Port("ess", "scalar", doc="The smallest effective number of draws of all chains together."),
        Port("converged", "trigger", doc="Whether R̂ < 1.01."),
    )
    params = (
        Parameter("variables", "choice", "spin", choices=("spin", "cat"), doc="What the model's units are."),
        Parameter("chains", "int", 8, min=2, max=1024, doc="Chains."),
        Parameter("length", "int", 100, min=MIN_DRAWS, max=100_000, unit="tick",
                  doc="Draws of a chain that are judged."),
        Parameter("warmup", "int", 100, min=0, max=1_000_000, unit="tick", doc="Draws that are thrown away at first."),
        Parameter("sweeps", "int", 1, min=1, max=1000, doc="Sweeps from draw to draw; all are done, for one draw too."),
    )  # fmt: skip
    differentiable = "spins are drawn, which has no gradient"

    @classmethod
    def output_kinds(cls, params: Mapping[str, Any]) -> dict[str, str]:
        return {"samples": params["variables"]}

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        n, chains = units_of_model(inputs, params["variables"]), params["chains"]
        return {"samples": (chains, n), "energies": (chains,), "r_hat": (), "ess": (), "converged": ()}

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        return cls.cost_with(params, shapes, {})

    @classmethod
    def cost_with(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]) -> Cost:
        chains, n = shapes["samples"]
        size = models.get("model") or ModelSize.complete(shapes["model"])
        item, quantities = (1.0, n + 1.0) if params["variables"] == "spin" else (8.0, n * float(size.states) + 1.0)
        length, units = params["length"], float(chains * n)
        # Judged once in `length` draws: the ranks of all draws, three times, and a transform forth and back.
        judged = length * chains * quantities
        judging = judged * (3.0 * math.log2(length * chains) + 10.0 * math.log2(length) + 57.0) / length
        return Cost(
            flops=chains * (params["sweeps"] * size.sweep + size.energy) + judging,
            bytes=item * units + (item * units + 4.0 * chains) * length + size.tables,
            outputs=item * units + 4.0 * chains,
            scratch=max(chains * max(size.swept(params["sweeps"]), size.told + (4.0 + item) * n), 92.0 * judged)
            + item * units * length, preparing=size.tabling,
        )  # fmt: skip

    def prepare(self, ctx: Context) -> None:
        self._sweep = GibbsSampler(kernels=ctx.kernels)

    def initial_state(self, ctx: Context) -> State:
        chains, n = self.port_shapes["samples"]
        length = self.settings["length"]
        dtype = torch.int8 if self.settings["variables"] == "spin" else torch.int64
        return {
            "values": torch.zeros(*ctx.batch, chains, n, dtype=dtype, device=ctx.device),
            "draws": torch.zeros(*ctx.batch, length, chains, n, dtype=dtype, device=ctx.device),
            "energies": torch.zeros(*ctx.batch, length, chains, dtype=ctx.dtype, device=ctx.device),
            "drawn": torch.full((), -1, dtype=torch.int64),
            "model": torch.zeros(32, dtype=torch.uint8),
        }

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        silence: Outputs = {port.name: ABSENT for port in self.outputs}
        model = inputs["model"]
        if model is ABSENT:
            return state, silence
        refuse_other_variables(model, self.settings["variables"], ctx)
        values, drawn = state["values"], int(state["drawn"])
        identity = torch.tensor(list(bytes.fromhex(model.identity.removeprefix("sha256:"))), dtype=torch.uint8)
        if drawn < 0:
            values = random_start(model, self._uniform(_START, ctx))
        if not torch.equal(identity, state["model"]):
            drawn = 0
        values = self._sweep(model, values, ctx.random.key, ctx.tick, self.settings["sweeps"], _SWEEP)
        energies = model.energy(values).to(ctx.dtype)
        drawn += 1
        state = {**state, "values": values, "drawn": torch.tensor(drawn), "model": identity}
        out = silence | {"energies": energies}
        since = drawn - self.settings["warmup"]
        if since <= 0:
            return state, out
        place = (since - 1) % self.settings["length"]
        for name, new, axis in (("draws", values, -3), ("energies", energies, -2)):
            kept = state[name].clone()
            kept.select(axis, place).copy_(new)
            state[name] = kept
        out["samples"] = values
        if place == self.settings["length"] - 1:
            out |= self._judged(state, model, ctx)
        return state, out

    def _uniform(self, lane: int, ctx: Context) -> torch.Tensor:
        chains, n = self.port_shapes["samples"]
        drawn = ctx.random.uniform(chains * n, lane, ahead=False)
        return drawn.reshape(*drawn.shape[:-1], chains, n).expand(*ctx.batch, chains, n)

    def _judged(self, state: State, model: Any, ctx: Context) -> Outputs:
        units = state["draws"]
        if self.settings["variables"] == "cat":
            # A category is no number: what is judged is how often each state is taken.
            units = torch.nn.functional.one_hot(units, model.states).flatten(-2)
        judged = torch.cat((units.double(), state["energies"].double().unsqueeze(-1)), dim=-1)
        series = judged.movedim(-3, -1).movedim(-2, -3).cpu().numpy()
        worst, fewest = r_hat(series), bulk_ess(series)
        moved = ~np.isnan(worst)
        if not moved.any(-1).all():
            return {}
        largest = np.where(moved, worst, -np.inf).max(-1)
        if np.isinf(largest).any():
            # Chains that stand still apart: nothing that could be written as a number.
            ctx.log("some chains stand still in different states: they have not converged", "warning")
            return {"converged": torch.from_numpy(np.asarray(largest < CONVERGED)).to(ctx.device)}

        def shaped(value: Any, dtype: torch.dtype) -> torch.Tensor:
            return torch.as_tensor(value, dtype=dtype, device=ctx.device).reshape(ctx.batch)

        return {
            "r_hat": shaped(largest, ctx.dtype),
            "ess": shaped(np.where(moved, fewest, np.inf).min(-1), ctx.dtype),
            "converged": shaped(largest < CONVERGED, torch.bool),
        }
