"""The Ising model and spin glasses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy import ColouringRefused, Couplings, SpinModel
from attractor.energy.colouring import STRATEGIES
from attractor.energy.couplings import DENSE_FROM
from attractor.energy.lattice_sampler import LatticeSampler
from attractor.energy.spin_sampler import SpinSampler, random_spins
from attractor.kernels.lattice import BITS, WORD
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
from attractor.philox import BYTES_PER_DRAW, FLOPS_PER_DRAW
from attractor.port import Port, Shape
from attractor.topology import DEGREE, colours_of, grid_sides, make_topology, validate_topology, width_of

GRAPHS: Final = {"grid": "grid2d", "dense": "all_to_all", "sparse_k": "random"}

PACKED_FROM: Final = 32
"""Chains from which a ±J grid without fields keeps them as bits of a word, and draws bit by bit."""

# Lanes of the node's random numbers; those between belong to the topology.
_START, _SWEEP, _COUPLINGS = 0, 1, 1 << 16


class Ising(TensorNode):
    """Samples p(s) ∝ exp(−E(s)/T), E = −Σ_{i<j} J_ij s_i s_j − Σ_i h_i s_i, s_i ∈ {−1, +1}, by colour-block Gibbs.

    State: ``s``, int8 (..., N, C): the C chains of a unit lie side by side. It goes on from tick to tick.

    A grid of even sides with couplings ±J_scale, no bias, no clamp and at least `PACKED_FROM` chains is swept by
    `LatticeSampler`, anything else by `SpinSampler`: the law is the same, the draws are not.
    """

    kind = "ebm.ising"
    title = "Ising model / spin glass"
    category = "energy-based models"
    summary = "Spins with pair couplings and biases at temperature T, sampled by colour-block Gibbs sweeps."
    equation = (
        "E = −Σ_{i<j} J_ij s_i s_j − Σ_i h_i s_i, p ∝ exp(−E/T); P(s_i = +1 | rest) = σ(2(Σ_j J_ij s_j + h_i)/T), "
        "all units of one colour of a proper colouring together"
    )
    references = (
        "Geman & Geman 1984, IEEE TPAMI 6:721",
        "Sherrington & Kirkpatrick 1975, Phys. Rev. Lett. 35:1792 (gauss_sk)",
        "Edwards & Anderson 1975, J. Phys. F 5:965 (edwards_anderson_pm1)",
        "Brélaz 1979, Commun. ACM 22:251 (colouring)",
    )
    inputs = (
        Port("bias", "vector", shape=("N",), optional=True, doc="Fields h_i; nothing counts as 0."),
        Port("J", "matrix", shape=("N", "N"), optional=True,
             doc="Couplings, symmetric with zero diagonal; for graph = from_matrix, which is silent until they come."),
        Port("T_mod", "scalar", optional=True, doc="Effective temperature = T·(1 + T_mod)."),
        Port("clamp", "spin", shape=("chains", "N"), optional=True, doc="±1 holds a spin there; 0 leaves it free."),
    )  # fmt: skip
    outputs = (
        Port("spins", "spin", shape=("chains", "N"), doc="State of every chain after the tick's sweeps."),
        Port("energy", "scalar", doc="E of that state, mean over the chains."),
        Port("magnetisation", "scalar", doc="Mean spin over units and chains."),
        Port("prob", "prob", shape=("N",), doc="P(s_i = +1) given the other spins, mean over the chains."),
        Port("model", "model", shape=("N",), doc="The model that was sampled, for samplers, trainers and profilers."),
    )
    params = (
        Parameter("N", "int", 64, min=1, max=16384, doc="Number of spins."),
        Parameter("graph", "choice", "grid", choices=(*GRAPHS, "from_matrix"),
                  doc="grid: a torus, as square as N allows; sparse_k: random, of mean degree `degree`; from_matrix: "
                      "the pairs of port J that are not 0."),
        DEGREE,
        Parameter("J_init", "choice", "gauss_sk", choices=("gauss_sk", "edwards_anderson_pm1", "ferro", "zero"),
                  doc="Couplings: normal of deviation J_scale/√N; ±J_scale; J_scale; none."),
        Parameter("J_scale", "float", 1.0, min=0, max=100, doc="Size of the couplings."),
        Parameter("T", "float", 1.0, min=0, max=20, open_min=True, live=True, doc="Temperature."),
        Parameter("sweeps", "int", 5, min=1, max=1000, doc="Updates of every spin per tick."),
        Parameter("chains", "int", 4, min=1, max=1024, doc="Independent chains C."),
        Parameter("blocking", "choice", "auto", choices=("auto", *STRATEGIES),
                  doc="Units that are updated together; auto is coloring_dsatur."),
    )  # fmt: skip
    differentiable: ClassVar[bool | str] = "its samples are discrete"

    def __init__(self, id: str, params: Mapping[str, Any], shapes: Mapping[str, Shape] | None = None) -> None:
        super().__init__(id, params, shapes)
        self._sampler: SpinSampler | LatticeSampler | None = None
        self._matrix: torch.Tensor | None = None

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        if params["graph"] in GRAPHS:
            degree = 4 if params["graph"] == "grid" else params["degree"]
            validate_topology(GRAPHS[params["graph"]], params["N"], degree)

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        if params["graph"] != "from_matrix" and "J" in inputs:
            raise ShapeProblem(
                "J", "couplings arrive, but the graph is not made from them.",
                'Set `graph` to "from_matrix", or take the edge away.',
            )  # fmt: skip
        return super().shapes(params, inputs)

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        n, chains, sweeps = params["N"], params["chains"], params["sweeps"]
        units = float(n * chains)
        size = cls.model_size(params, shapes, {})
        # Of a tick: the field and the energy, the probabilities, and the sums over them.
        shown = chains * (size.field + size.energy) + 9.0 * units
        if _packed(params, shapes):
            # Every spin takes a number of 32 bits, which plain torch puts together bit by bit.
            words = float(n * WORD * -(-chains // WORD))
            # The numbers are put together while those of the sweep before and its fields are kept.
            sampling, scratch = words * (FLOPS_PER_DRAW + 2.0 * BITS) + 20.0 * units, 38.0 * words + 18.0 * units
        else:
            sampling, scratch = chains * size.sweep, chains * size.swept(sweeps)
        # A coupling stands in lists of pairs, neighbours and weights, for both its ends; while they are made, in the
        # sorted lists of them too, and in the sets of the colouring.
        matrix = 4.0 * n * n if size.dense else 12.0 * n * size.width
        return Cost(
            flops=sweeps * sampling + shown, bytes=size.tables + 10.0 * n * size.degree + matrix + units,
            outputs=units + 4.0 * n, scratch=max(scratch, 24.0 * units),
            preparing=max(size.tabling + (0.0 if size.dense else 250.0 * n), BYTES_PER_DRAW * units),
        )  # fmt: skip

    @classmethod
    def model_size(
        cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]
    ) -> ModelSize:
        n, graph = params["N"], params["graph"]
        if graph in ("dense", "from_matrix"):
            return ModelSize.complete((n,))
        topology, degree = GRAPHS[graph], 4 if graph == "grid" else params["degree"]
        dense = degree > DENSE_FROM * (n - 1)
        return ModelSize(n, degree, width_of(topology, n, degree), dense, colours_of(topology, n, degree))

    def prepare(self, ctx: Context) -> None:
        """Draws the couplings and colours their graph.

        Raises:
            NodeFailed: there are no couplings to come, or the graph cannot be coloured as asked.
        """
        if self.settings["graph"] != "from_matrix":
            model = SpinModel.of(self._couplings(ctx), 0.0, self.settings["T"])
            self._sampler = self._packed(model, ctx) if self.packed else self._sampler_of(model, ctx)
        elif "J" not in self.port_shapes:
            raise ctx.fail("its graph is made from J, and nothing is connected to J.", "Connect J, or choose a graph.")

    @property
    def packed(self) -> bool:
        """Whether chains are kept as bits; it follows from the graph alone, and is the same in every tier."""
        return _packed(self.settings, self.port_shapes)

    def _packed(self, model: SpinModel, ctx: Context) -> LatticeSampler:
        return LatticeSampler(model, grid_sides(self.settings["N"]), kernels=ctx.kernels)

    def _couplings(self, ctx: Context) -> Couplings:
        n, scale = self.settings["N"], self.settings["J_scale"]
        degree = 4 if self.settings["graph"] == "grid" else self.settings["degree"]

        def uniform(count: int, lane: int) -> npt.NDArray[np.float64]:
            return ctx.random.uniform(count, lane).to("cpu", torch.float64).numpy()

        topology = make_topology(GRAPHS[self.settings["graph"]], n, degree, 0.0, uniform)
        edges = topology.edges()
        match self.settings["J_init"]:
            case "gauss_sk":
                values = ctx.random.normal(len(edges), _COUPLINGS) * (scale / math.sqrt(n))
            case "edwards_anderson_pm1":
                values = scale * random_spins(ctx.random.uniform(len(edges), _COUPLINGS)).to(ctx.dtype)
            case "ferro":
                values = torch.full((len(edges),), scale, dtype=ctx.dtype, device=ctx.device)
            case _:
                values = torch.zeros(len(edges), dtype=ctx.dtype, device=ctx.device)
        return Couplings.of_edges(n, edges, values)

    def _sampler_of(self, model: SpinModel, ctx: Context) -> SpinSampler:
        strategy = self.settings["blocking"]
        try:
            colouring = None if strategy == "auto" else STRATEGIES[strategy](model.graph)
        except ColouringRefused as refused:
            raise ctx.fail(f"{refused}", f'Set `blocking` to "auto". {refused.mend}') from refused
        return SpinSampler(model, kernels=ctx.kernels, colouring=colouring)

    def initial_state(self, ctx: Context) -> State:
        n, chains = self.settings["N"], self.settings["chains"]
        u = ctx.random.uniform(n * chains, _START, ahead=False)
        return {"s": random_spins(u.view(*u.shape[:-1], n, chains)).expand(*ctx.batch, n, chains).clone()}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        model = self._current(inputs, params, ctx)
        if model is None:
            return state, {}
        place = (state["s"], ctx.random.key, ctx.tick, self.settings["sweeps"], _SWEEP)
        if isinstance(self._sampler, SpinSampler):
            s = self._sampler(*place, clamp=None if inputs["clamp"] is ABSENT else inputs["clamp"].mT)
        else:
            assert self._sampler is not None
            s = self._sampler(*place)
        return {"s": s}, spin_outputs(model, s, ctx)

    def _current(self, inputs: Inputs, params: Params, ctx: Context) -> SpinModel | None:
        """The tick's model, and `_sampler` for it; None while the couplings are still to come."""
        if self.settings["graph"] == "from_matrix":
            if inputs["J"] is ABSENT:
                return None
            if inputs["J"] is not self._matrix:
                self._sampler = self._of_matrix(inputs["J"], ctx)
                self._matrix = inputs["J"]
        assert self._sampler is not None
        model = self._sampler.model
        zero = torch.zeros(self.settings["N"], dtype=ctx.dtype, device=ctx.device)
        bias = zero if inputs["bias"] is ABSENT else inputs["bias"]
        temperature = torch.as_tensor(params["T"], dtype=ctx.dtype, device=ctx.device)
        if inputs["T_mod"] is not ABSENT:
            temperature = temperature * (1.0 + inputs["T_mod"])
        if not bool((temperature > 0).all()):
            raise ctx.fail(
                "T·(1 + T_mod) is not positive.", "Keep T_mod above −1: lower the gain of what is connected to it."
            )
        if not torch.equal(model.bias, bias) or not torch.equal(model.temperature, temperature):
            model = model.with_bias(bias).with_temperature(temperature)
            self._sampler = self._sampler.with_numbers(model)
        return model

    def _of_matrix(self, matrix: torch.Tensor, ctx: Context) -> SpinSampler:
        try:
            model = SpinModel.of(Couplings.of_matrix(matrix), 0.0, self.settings["T"])
        except ValueError as error:
            raise ctx.fail(f"{error}.", "Look at the node that J comes from.") from error
        if isinstance(self._sampler, SpinSampler) and self._sampler.fits(model):
            return self._sampler.with_numbers(model)
        return self._sampler_of(model, ctx)


def _packed(params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> bool:
    return (
        params["graph"] == "grid" and params["J_init"] in ("edwards_anderson_pm1", "ferro")
        and params["J_scale"] > 0 and params["chains"] >= PACKED_FROM
        and params["blocking"] in ("auto", "checkerboard")
        and all(side % 2 == 0 and side >= 4 for side in grid_sides(params["N"]))
        and not {"bias", "clamp"} & set(shapes)
    )  # fmt: skip


def spin_outputs(model: SpinModel, s: torch.Tensor, ctx: Context) -> Outputs:
    """The outputs of a node of spins (..., N, C)."""
    v = s.mT.to(ctx.dtype)
    field = model.local_field(v)
    odds = 2.0 * field / model.temperature[..., None, None]
    return {
        "spins": s.mT, "energy": model.energy(v).mean(-1), "magnetisation": v.mean((-2, -1)),
        "prob": torch.sigmoid(odds).mean(-2), "model": model,
    }  # fmt: skip
