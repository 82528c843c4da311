"""Spins coupled with continuous units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from attractor.energy import Couplings, SpinModel
from attractor.energy.spin_sampler import SpinSampler, random_spins
from attractor.node import ABSENT, Context, Cost, Inputs, ModelSize, Outputs, Params, State, TensorNode
from attractor.parameter import Parameter
from attractor.philox import BYTES_PER_DRAW_AHEAD, FLOPS_PER_DRAW, ahead
from attractor.port import Port, Shape

# Lanes of the node's random numbers; those of sweep t are _SPINS + t and _NORMALS + t.
_START, _SS, _SX = 0, 1, 2
_SPINS, _NORMALS = 1 << 16, 1 << 17


class MixedModel(TensorNode):
    """Samples spins s and continuous units x together,

        E(s, x) = −Σ_{i<j} J_ij s_i s_j − Σ_{iμ} W_iμ s_i x_μ − Σ_μ b_μ x_μ + ½ Σ_μ x_μ².

    Given s, every x_μ is normal with mean b_μ + Σ_i W_iμ s_i and variance T; given x, the spins are an Ising model in
    the field Wx. The two blocks are drawn in turn, the spins colour by colour of the graph of J. The marginal law of
    the spins is the Ising model with couplings J + WWᵀ and fields Wb.

    State: ``s``, int8 (..., Ns, C); ``x``, (..., Nc, C).
    """

    kind = "ebm.mixed"
    title = "Spins and continuous units"
    category = "energy-based models"
    summary = "Gauss–Bernoulli model: spins coupled with each other and with continuous units, sampled in two blocks."
    equation = (
        "E = −Σ J_ij s_i s_j − Σ W_iμ s_i x_μ − Σ b_μ x_μ + ½Σ x_μ², p ∝ exp(−E/T); x_μ | s ~ N(b_μ + (Wᵀs)_μ, T), "
        "P(s_i = +1 | rest) = σ(2((Js)_i + (Wx)_i)/T)"
    )
    references = (
        "Hinton & Salakhutdinov 2006, Science 313:504 (Gauss–Bernoulli machine)",
        "Geman & Geman 1984, IEEE TPAMI 6:721 (block Gibbs)",
    )
    inputs = (Port("input", "vector", shape=("Nc",), optional=True, doc="Fields b on the continuous units."),)
    outputs = (
        Port("spins", "spin", shape=("chains", "Ns"), doc="Spins of every chain after the tick's sweeps."),
        Port("continuous", "matrix", shape=("chains", "Nc"), doc="Continuous units of every chain."),
        Port("energy", "scalar", doc="E of that state, mean over the chains."),
        Port("model", "model", shape=("units",), doc="The model that was sampled: spins first, then continuous units."),
    )
    params = (
        Parameter("Ns", "int", 32, min=1, max=4096, doc="Number of spins."),
        Parameter("Nc", "int", 32, min=1, max=4096, doc="Number of continuous units."),
        Parameter("J_ss", "float", 0.5, min=0, max=100,
                  doc="Couplings among spins: normal, of deviation J_ss/√Ns; 0: none, as in a restricted machine."),
        Parameter("J_sx", "float", 0.5, min=0, max=100,
                  doc="Couplings between both: normal, of deviation J_sx/√max(Ns, Nc)."),
        Parameter("T", "float", 1.0, min=0, max=20, open_min=True, live=True, doc="Temperature."),
        Parameter("sweeps", "int", 5, min=1, max=1000, doc="Updates of both blocks per tick."),
        Parameter("chains", "int", 4, min=1, max=1024, doc="Independent chains C."),
    )  # fmt: skip
    differentiable: ClassVar[bool | str] = "its spins are discrete"

    @classmethod
    def bind(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, int]:
        return super().bind({**params, "units": params["Ns"] + params["Nc"]}, inputs)

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        ns, nc, chains = params["Ns"], params["Nc"], params["chains"]
        near = ns - 1.0 if params["J_ss"] else 0.0
        size = cls.model_size(params, shapes, {})
        spins = ns * (FLOPS_PER_DRAW + 21.0 + 2.0 * near)
        kept = ahead(nc * chains) * params["sweeps"]
        return Cost(
            flops=params["sweeps"] * chains * (spins + nc * (FLOPS_PER_DRAW + 3.0) + 4.0 * ns * nc)
            + chains * (size.energy + 4.0 * (ns + nc)),
            # The numbers of every sweep are drawn ahead.
            bytes=42.0 * ns * near + 4.0 * ns * nc + 4.0 * (ns + nc) ** 2 + chains * (ns + 4.0 * nc) + 4.0 * kept,
            outputs=chains * (ns + 4.0 * nc),
            scratch=max(BYTES_PER_DRAW_AHEAD * ahead(nc * chains), chains * (60.0 * ns + 20.0 * nc)),
            preparing=110.0 * ns * near + 24.0 * ns * nc + 6.0 * (ns + nc) ** 2,
        )  # fmt: skip

    @classmethod
    def model_size(
        cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]
    ) -> ModelSize:
        return ModelSize.complete((params["Ns"] + params["Nc"],))

    def prepare(self, ctx: Context) -> None:
        ns, nc = self.settings["Ns"], self.settings["Nc"]
        edges = np.argwhere(np.triu(np.ones((ns, ns), dtype=bool), 1)) if self.settings["J_ss"] else np.zeros((0, 2))
        J = ctx.random.normal(len(edges), _SS) * (self.settings["J_ss"] / math.sqrt(ns))
        W = ctx.random.normal(ns * nc, _SX) * (self.settings["J_sx"] / math.sqrt(max(ns, nc)))
        self.weights = W.view(*W.shape[:-1], ns, nc)
        own = Couplings.of_edges(ns, edges, J)
        self._sampler = SpinSampler(
            SpinModel.of(own, 0.0, self.settings["T"]), kernels=ctx.kernels
        )  # fmt: skip
        whole = W.new_zeros(*W.shape[:-1], ns + nc, ns + nc)
        whole[..., :ns, :ns] = own.matrix()
        whole[..., :ns, ns:] = self.weights
        whole[..., ns:, :ns] = self.weights.mT
        precision = torch.cat([W.new_zeros(ns), W.new_ones(nc)])
        self._model = SpinModel.of(Couplings.of_matrix(whole), 0.0, self.settings["T"], precision=precision)

    def initial_state(self, ctx: Context) -> State:
        ns, nc, chains = self.settings["Ns"], self.settings["Nc"], self.settings["chains"]
        u = ctx.random.uniform(ns * chains, _START, ahead=False)
        s = random_spins(u.view(*u.shape[:-1], ns, chains)).expand(*ctx.batch, ns, chains).clone()
        return {"s": s, "x": torch.zeros(*ctx.batch, nc, chains, dtype=ctx.dtype, device=ctx.device)}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        ns, nc, chains = self.settings["Ns"], self.settings["Nc"], self.settings["chains"]
        zero = torch.zeros(nc, dtype=ctx.dtype, device=ctx.device)
        b = zero if inputs["input"] is ABSENT else inputs["input"]
        temperature = torch.as_tensor(params["T"], dtype=ctx.dtype, device=ctx.device)
        if not torch.equal(self._sampler.model.temperature, temperature):
            self._sampler = self._sampler.with_numbers(self._sampler.model.with_temperature(temperature))
        spread = temperature.sqrt()[..., None, None]
        s, x = state["s"], state["x"]
        for t in range(self.settings["sweeps"]):
            s = self._sampler(s, ctx.random.key, ctx.tick, 1, _SPINS + t, field=self.weights @ x)
            z = ctx.random.normal(nc * chains, _NORMALS + t)
            mean = b.unsqueeze(-1) + self.weights.mT @ s.to(ctx.dtype)
            x = mean + spread * z.view(*z.shape[:-1], nc, chains)
        bias = torch.cat([b.new_zeros(*b.shape[:-1], ns), b], dim=-1)
        if not (torch.equal(self._model.bias, bias) and torch.equal(self._model.temperature, temperature)):
            self._model = self._model.with_bias(bias).with_temperature(temperature)
        values = torch.cat([s.to(ctx.dtype), x], dim=-2).mT
        outputs = {
            "spins": s.mT, "continuous": x.mT, "energy": self._model.energy(values).mean(-1), "model": self._model,
        }  # fmt: skip
        return {"s": s, "x": x}, outputs
