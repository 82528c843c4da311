"""The accumulator of moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from attractor.node import ABSENT, Block, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape
from attractor.statistics.moments import Moments


class MomentAccumulator(TensorNode):
    """Mean, variance and correlation of the samples of the last `window` ticks, or of all.

    State: ``weight``, ``mean``, ``scatter``, the sums (double precision). For mode ``window`` also ``ring``
    (..., window, C, N) and ``place``, and the sums ``fresh_*`` of the entries written since the ring's start: when the
    ring closes they are the window's, free of what taking off old samples has left behind.
    """

    kind = "ebm.moments"
    title = "Moment accumulator"
    category = "energy-based models"
    summary = "Running mean, variance and pair correlations of samples."
    equation = (
        "merge: W = W_a + W_b, m = m_a + δW_b/W, M = M_a + M_b + δδᵀW_aW_b/W, δ = m_b − m_a; var = M_ii/(W − 1); "
        "r_ij = M_ij/√(M_ii M_jj). ema: every tick the older samples lose the share 2/(window + 1) of their weight, "
        "and var = M_ii/W"
    )
    references = ("Welford 1962, Technometrics 4:419", "Chan, Golub & LeVeque 1983, Am. Stat. 37:242")
    inputs = (
        Port(
            "samples",
            "any",
            when_absent="skip",
            among=("spin", "cat", "matrix", "vector", "prob"),
            doc="Spins or a matrix [C, N]: C samples a tick; a vector [N]: one.",
        ),
    )
    outputs = (
        Port("mean", "vector", shape=("N",), doc="Mean of every variable."),
        Port("var", "vector", shape=("N",), doc="Variance; silent until there are two samples."),
        Port("corr", "matrix", shape=("N", "N"),
             doc="What `pairs` names; a variable that has not varied has correlation 0, with itself too."),
        Port("count", "scalar", doc="Samples that count; under ema the sum of their weights."),
    )  # fmt: skip
    params = (
        Parameter("window", "int", 1000, min=10, max=1_000_000, unit="tick", doc="window, ema: how far back it looks."),
        Parameter("mode", "choice", "window", choices=("window", "ema", "total"),
                  doc="window: the last ticks alike; ema: fading with the span `window`; total: all since the start."),
        Parameter("pairs", "choice", "correlation", choices=("correlation", "covariance", "second_moment"),
                  doc="What `corr` shows: Pearson's r, the covariance, or ⟨x_i x_j⟩."),
    )  # fmt: skip
    differentiable = "it sums over what has been, beyond any window of back-propagation"

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        shape = inputs.get("samples")
        if shape is None or len(shape) not in (1, 2):
            raise ShapeProblem(
                "samples", "samples are a vector [N], or a matrix or spins [C, N].", "Connect one of these."
            )
        n = shape[-1]
        return {"mean": (n,), "var": (n,), "corr": (n, n), "count": ()}

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        samples = shapes["samples"]
        n, chains = samples[-1], samples[0] if len(samples) == 2 else 1
        windowed = params["mode"] == "window"
        ring = 4.0 * params["window"] * chains * n if windowed else 0.0
        # In a window samples come and go, and the sums since its start are kept beside: two products, three updates.
        flops = n * n * (2.0 * chains * (1 + windowed) + 4.0 * (3 if windowed else 1) + 3.0)
        # The ring is copied once a block, so that it may be written into.
        return Cost(
            flops=flops + 2.0 * chains * n * (1 + windowed), bytes=ring + 8.0 * n * n * (1 + windowed),
            outputs=4.0 * n * n + 8.0 * n, scratch=ring + 48.0 * n * n + 16.0 * chains * n,
        )  # fmt: skip

    def initial_state(self, ctx: Context) -> State:
        shape = self.port_shapes["samples"]
        state = _stored(Moments.none(ctx.batch, shape[-1], ctx.device))
        if self.settings["mode"] == "window":
            ring = (*ctx.batch, self.settings["window"], *shape)
            state["ring"] = torch.zeros(ring, dtype=ctx.dtype, device=ctx.device)
            state["place"] = torch.zeros((), dtype=torch.int64)
            state |= _stored(Moments.none(ctx.batch, shape[-1], ctx.device), "fresh_")
        return state

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        state = self._own(state)
        return self._tick(state, inputs["samples"], ctx)

    def step_block(
        self, state: State, inputs: Mapping[str, Any], params: Sequence[Params], ctx: Context
    ) -> tuple[State, dict[str, Block]]:
        state = self._own(state)
        lanes: dict[str, list[Any]] = {port.name: [] for port in self.outputs}
        for samples in inputs["samples"].items:
            state, out = self._tick(state, samples, ctx)
            for name, lane in lanes.items():
                lane.append(out[name])
        return state, {name: Block(lane) for name, lane in lanes.items()}

    @staticmethod
    def _own(state: State) -> State:
        """A state whose ring may be written into; once a block, for the ring is long."""
        return {name: value.clone() if name == "ring" else value for name, value in state.items()}

    def _tick(self, state: State, samples: Any, ctx: Context) -> tuple[State, Outputs]:
        if samples is not ABSENT:
            state = self._taken_up(state, samples.detach())
        return state, self._shown(_sums(state), ctx)

    def _taken_up(self, state: State, samples: torch.Tensor) -> State:
        new = self._moments(samples)
        sums = _sums(state)
        match self.settings["mode"]:
            case "total":
                return _stored(sums.merged(new))
            case "ema":
                keep = 1.0 - 2.0 / (self.settings["window"] + 1.0)
                return _stored(sums.faded(keep).merged(new))
        window, place = self.settings["window"], int(state["place"])
        oldest = state["ring"].select(-1 - len(self.port_shapes["samples"]), place % window)
        if place >= window:
            sums = sums.without(self._moments(oldest))
        sums = sums.merged(new)
        fresh = _sums(state, "fresh_").merged(new) if place % window else new
        if place % window == window - 1:
            sums = fresh
        oldest.copy_(samples)
        following = _stored(sums) | _stored(fresh, "fresh_")
        return following | {"ring": state["ring"], "place": state["place"] + 1}

    def _moments(self, samples: torch.Tensor) -> Moments:
        return Moments.of(samples.unsqueeze(-2) if len(self.port_shapes["samples"]) == 1 else samples)

    def _shown(self, sums: Moments, ctx: Context) -> Outputs:
        weight = float(sums.weight)
        silence: Outputs = {port.name: ABSENT for port in self.outputs}
        if weight == 0.0:
            return silence | {"count": sums.weight.to(ctx.dtype).expand(ctx.batch)}
        out: Outputs = {"mean": sums.mean, "count": sums.weight.expand(ctx.batch)}
        lost = 0.0 if self.settings["mode"] == "ema" else 1.0
        pairs = self.settings["pairs"]
        if pairs == "second_moment":
            out["corr"] = sums.second_moment()
        if weight > 1.0:
            out["var"] = sums.scatter.diagonal(dim1=-2, dim2=-1).clamp(min=0.0) / (weight - lost)
            if pairs == "correlation":
                out["corr"] = sums.correlation()
            elif pairs == "covariance":
                out["corr"] = sums.covariance(lost)
        return silence | {name: value.to(ctx.dtype) for name, value in out.items()}


def _stored(sums: Moments, prefix: str = "") -> State:
    return {f"{prefix}weight": sums.weight, f"{prefix}mean": sums.mean, f"{prefix}scatter": sums.scatter}


def _sums(state: State, prefix: str = "") -> Moments:
    return Moments(state[f"{prefix}weight"], state[f"{prefix}mean"], state[f"{prefix}scatter"])
