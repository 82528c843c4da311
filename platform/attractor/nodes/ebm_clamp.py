"""The conditional sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attractor.energy.gibbs_sampler import GibbsSampler
from attractor.energy.heat_bath import conditional_log_probability, random_start
from attractor.energy.model_port import refuse_other_variables
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
from attractor.philox import FLOPS_PER_DRAW
from attractor.port import Port, Shape

# Lanes of the node's random numbers.
_START, _SWEEP = 0, 1


class ConditionalSampler(TensorNode):
    """Draws the free spins of a model given the observed ones, which leave the free blocks and act as constants.

    What is reported is the pseudo-log-likelihood of the free spins given the clamped ones: their true conditional
    likelihood holds a partition function that cannot be computed. It keeps no state of its own.
    """

    kind = "ebm.clamp"
    title = "Conditional sampler"
    category = "energy-based models"
    summary = "Samples the free spins of a model while the observed ones are held."
    equation = "P(s_i = +1 | rest) = σ(2 f_i/T) for free i; log_pl = mean over chains of Σ_{i free} ln P(s_i | rest)"
    references = ("Geman & Geman 1984", "Besag 1975, The Statistician 24:179 (pseudo-likelihood)")
    inputs = (
        Port("model", "model", shape=("N",), doc="What is sampled: a model of N spins."),
        Port("state", "spin", shape=("C", "N"), doc="Where the free spins of `constrain` go on from."),
        Port(
            "observations",
            "any",
            among=("spin", "vector", "matrix"),
            doc="Observed spins [C, N], or a vector [N] for all chains.",
        ),
        Port("mask", "vector", shape=("N",), doc="1: the spin is observed and held; 0: it is free."),
    )
    outputs = (
        Port("state", "spin", shape=("C", "N"), doc="Observed and sampled spins."),
        Port("log_pl", "scalar", doc="Pseudo-log-likelihood of the free spins given the clamped ones, not above 0."),
    )
    params = (
        Parameter("sweeps", "int", 20, min=1, max=1000, doc="Updates of every free spin a tick."),
        Parameter("mode", "choice", "inpaint", choices=("inpaint", "constrain"),
                  doc="inpaint: free spins start afresh, at random; constrain: they go on from `state`."),
    )  # fmt: skip
    differentiable = "spins are drawn, which has no gradient"

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        sizes = cls.bind(params, {name: shape for name, shape in inputs.items() if name != "observations"})
        n, chains = sizes.get("N"), sizes.get("C")
        seen = inputs.get("observations")
        if seen is not None and seen not in ((n,), (chains, n)):
            raise ShapeProblem(
                "observations", f"observations of shape {list(seen)} for {chains} chains of {n} spins.",
                f"Connect a vector [{n}] or spins [{chains}, {n}].",
            )  # fmt: skip
        return super().shapes(params, {name: shape for name, shape in inputs.items() if name != "observations"})

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        return cls.cost_with(params, shapes, {})

    @classmethod
    def cost_with(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]) -> Cost:
        chains, n = shapes["state"]
        size = models.get("model") or ModelSize.complete(shapes["model"])
        units = float(chains * n)
        drawn = FLOPS_PER_DRAW + 2.0 if params["mode"] == "inpaint" else 0.0
        # Held spins have a field of their own, chain by chain.
        return Cost(
            flops=chains * (params["sweeps"] * size.sweep + size.field) + (15.0 + drawn) * units,
            bytes=size.tables, scratch=chains * max(size.swept(params["sweeps"]) + 7.0 * n, size.shown + 12.0 * n),
            preparing=size.tabling,
        )  # fmt: skip

    def prepare(self, ctx: Context) -> None:
        self._sweep = GibbsSampler(kernels=ctx.kernels)

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        arrived = [inputs[port.name] for port in self.inputs]
        if any(value is ABSENT for value in arrived):
            return state, {port.name: ABSENT for port in self.outputs}
        model, spins, observed, mask = arrived
        refuse_other_variables(model, "spin", ctx)
        shape = (*ctx.batch, *self.port_shapes["state"])
        if bool(((mask != 0) & (mask != 1)).any()):
            raise ctx.fail("the mask is neither 0 nor 1 somewhere.", "Give 1 for an observed spin, 0 for a free one.")
        held = mask.bool().unsqueeze(-2).expand(shape)
        values = observed if observed.dim() == len(shape) else observed.unsqueeze(-2)
        values = values.expand(shape)
        if bool((held & (values != 1) & (values != -1)).any()):
            raise ctx.fail("an observed spin is neither −1 nor +1.", "Map what is observed to ±1, or mask it with 0.")
        count = shape[-2] * shape[-1]
        free = spins.expand(shape)
        if self.settings["mode"] == "inpaint":
            free = random_start(model, self._uniform(count, _START, shape, ctx))
        spins = torch.where(held, values.to(torch.int8), free)
        spins = self._sweep(model, spins, ctx.random.key, ctx.tick, self.settings["sweeps"], _SWEEP, held=held)
        likely = conditional_log_probability(model, spins)
        log_pl = torch.where(held, 0.0, likely).sum(-1).mean(-1)
        return state, {"state": spins, "log_pl": log_pl.to(ctx.dtype).expand(ctx.batch)}

    @staticmethod
    def _uniform(count: int, lane: int, shape: Shape, ctx: Context) -> torch.Tensor:
        drawn = ctx.random.uniform(count, lane, ahead=False)
        return drawn.reshape(*drawn.shape[:-1], *shape[-2:]).expand(shape)
