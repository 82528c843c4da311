"""The Potts model and its kin: categorical units coupled in pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy import PottsModel, TableTerm
from attractor.energy.potts_sampler import PottsSampler
from attractor.node import (
    ABSENT,
    Context,
    Cost,
    Inputs,
    ModelSize,
    Outputs,
    Params,
    ShapeProblem,
    State,
    TensorNode,
)
from attractor.parameter import Parameter
from attractor.philox import BYTES_PER_DRAW
from attractor.port import Port, Shape
from attractor.topology import DEGREE, REWIRE, TOPOLOGIES, colours_of, make_topology, validate_topology

# Lanes of the node's random numbers; lanes from 2 on belong to the topology.
_START, _SWEEP = 0, 1


class Potts(TensorNode):
    """Samples p(c) ∝ exp(−E(c)/T), E = −Σ_i h_i[c_i] − J Σ_{i<j} M[c_i, c_j] over the pairs of a graph, with
    M[a, b] = δ(a, b) or a table, by colour-block Gibbs.

    State: ``c``, int64 (..., N, C): the C chains of a unit lie side by side. It goes on from tick to tick.
    """

    kind = "ebm.potts"
    title = "Categorical model (Potts)"
    category = "energy-based models"
    summary = "Categorical units with pair couplings and biases at temperature T, sampled by colour-block Gibbs sweeps."
    equation = (
        "E = −Σ_i h_i[c_i] − J Σ_{i<j} M[c_i, c_j], p ∝ exp(−E/T); P(c_i = a | rest) = "
        "softmax_a((h_i[a] + J Σ_j M[a, c_j])/T), all units of one colour of a proper colouring together"
    )
    references = ("Wu 1982, Rev. Mod. Phys. 54:235", "Geman & Geman 1984, IEEE TPAMI 6:721")
    inputs = (
        Port("bias", "matrix", shape=("N", "K"), optional=True, doc="Fields h_i[a]; nothing counts as 0."),
        Port("observations", "cat", shape=("chains", "N"), optional=True,
             doc="A state holds a unit there; −1 leaves it free."),
    )  # fmt: skip
    outputs = (
        Port("states", "cat", shape=("chains", "N"), doc="State of every chain after the tick's sweeps."),
        Port("probs", "matrix", shape=("N", "K"), doc="P(c_i = a) given the other units, mean over the chains."),
        Port("energy", "scalar", doc="E of the states, mean over the chains."),
        Port("model", "model", shape=("N", "K"), doc="The model that was sampled."),
    )
    params = (
        Parameter("N", "int", 64, min=1, max=16384, doc="Number of units."),
        Parameter("K", "int", 5, min=2, max=64, doc="Number of states of a unit."),
        Parameter("graph", "choice", "grid2d", choices=TOPOLOGIES, doc="Who is coupled with whom; grid2d is a torus."),
        DEGREE,
        REWIRE,
        Parameter("coupling", "choice", "potts", choices=("potts", "table"),
                  doc="potts: equal neighbours gain J; table: neighbours a and b gain J·table[a][b]."),
        Parameter("J", "float", 1.0, min=-100, max=100, doc="Strength of the couplings."),
        Parameter("table", "list", [], doc="For coupling = table: K rows of K numbers, symmetric."),
        Parameter("T", "float", 1.0, min=0, max=20, open_min=True, live=True, doc="Temperature."),
        Parameter("sweeps", "int", 5, min=1, max=1000, doc="Updates of every unit per tick."),
        Parameter("chains", "int", 4, min=1, max=1024, doc="Independent chains C."),
    )  # fmt: skip
    differentiable: ClassVar[bool | str] = "its samples are discrete"

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        validate_topology(params["graph"], params["N"], params["degree"])
        if params["coupling"] != "table":
            return
        table, k = params["table"], params["K"]
        rows = [row if isinstance(row, list | tuple) else () for row in table]
        if len(rows) != k or any(len(row) != k for row in rows):
            raise ShapeProblem("table", f"it is no matrix of {k} × {k} numbers.", f"Give {k} rows of {k} numbers.")
        if any(table[a][b] != table[b][a] for a in range(k) for b in range(a)):
            raise ShapeProblem(
                "table", "it is not symmetric, and a pair of neighbours has no order.", "Use (M + Mᵀ)/2."
            )

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        n, k, chains = params["N"], params["K"], params["chains"]
        size = cls.model_size(params, shapes, {})
        # Each end of a pair is a term with its place in a table, its partner, and its weight; while they are made, an
        # array of its own. The fields of all states are made once a tick.
        return Cost(
            flops=chains * (params["sweeps"] * size.sweep + size.field + size.energy) + 7.0 * n * chains * k,
            bytes=size.tables + 4.0 * k * k + 8.0 * n * chains, outputs=8.0 * n * chains + 4.0 * n * k,
            scratch=chains * max(size.shown, size.swept(params["sweeps"])),
            preparing=max(size.tabling, BYTES_PER_DRAW * n * chains),
        )  # fmt: skip

    @classmethod
    def model_size(
        cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]
    ) -> ModelSize:
        n, graph, degree = params["N"], params["graph"], params["degree"]
        mean = {"none": 0.0, "all_to_all": n - 1.0}.get(graph, float(degree))
        return ModelSize(n, mean, mean, False, colours_of(graph, n, degree), (), params["K"])

    def prepare(self, ctx: Context) -> None:
        n, k = self.settings["N"], self.settings["K"]

        def uniform(count: int, lane: int) -> npt.NDArray[np.float64]:
            return ctx.random.uniform(count, lane).to("cpu", torch.float64).numpy()

        topology = make_topology(self.settings["graph"], n, self.settings["degree"], self.settings["rewire_p"], uniform)
        if self.settings["coupling"] == "potts":
            table = torch.eye(k, dtype=ctx.dtype, device=ctx.device)
        else:
            table = torch.tensor(self.settings["table"], dtype=ctx.dtype, device=ctx.device)
        self._silence = torch.zeros(n, k, dtype=ctx.dtype, device=ctx.device)
        term = TableTerm(topology.edges(), self.settings["J"] * table)
        model = PottsModel.of(self._silence, self.settings["T"], [term])
        self._sampler = PottsSampler(model, kernels=ctx.kernels)

    def initial_state(self, ctx: Context) -> State:
        n, k, chains = self.settings["N"], self.settings["K"], self.settings["chains"]
        u = ctx.random.uniform(n * chains, _START, ahead=False)
        c = (u.view(*u.shape[:-1], n, chains) * k).long()
        return {"c": c.expand(*ctx.batch, n, chains).clone()}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        model = self._sampler.model
        bias = self._silence if inputs["bias"] is ABSENT else inputs["bias"]
        temperature = torch.as_tensor(params["T"], dtype=ctx.dtype, device=ctx.device)
        if not (torch.equal(model.bias, bias) and torch.equal(model.temperature, temperature)):
            model = model.with_bias(bias).with_temperature(temperature)
            self._sampler = self._sampler.with_numbers(model)
        clamp = None if inputs["observations"] is ABSENT else inputs["observations"].mT
        if clamp is not None and bool((clamp >= self.settings["K"]).any()):
            raise ctx.fail(
                f"an observed state is {int(clamp.max())}, and there are only K = {self.settings['K']}.",
                "Observe states 0 … K − 1, or −1 for none.",
            )
        c = self._sampler(state["c"], ctx.random.key, ctx.tick, self.settings["sweeps"], _SWEEP, clamp=clamp)
        states = c.mT
        logits = model.local_field(states) / model.temperature[..., None, None, None]
        outputs = {
            "states": states, "probs": torch.softmax(logits, -1).mean(-3), "energy": model.energy(states).mean(-1),
            "model": model,
        }  # fmt: skip
        return {"c": c}, outputs
