"""The profiler of samplers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch

from attractor.node import (
    ABSENT,
    Block,
    Context,
    Cost,
    Inputs,
    Outputs,
    Params,
    ShapeProblem,
    State,
    TensorNode,
    tick_of,
)
from attractor.parameter import Parameter
from attractor.port import Port, Shape
from attractor.statistics.autocorrelation_time import WINDOW, autocorrelation_time

LOG_SECONDS: Final = 1.0
"""Least time between two log lines about the speed of the machine."""


class SamplingProfiler(TensorNode):
    """Integrated autocorrelation time and rate of independent samples, every `hop` ticks once the window is full.

    The rates on the ports count per second of the run's own time, which a replay repeats; what the machine reached per
    second of the clock goes into the event log.

    State: ``ring`` (..., window, C, Q) of the Q watched quantities, ``accepted`` (..., window), ``filled``, draws
    so far.
    """

    kind = "ebm.profile"
    title = "Sampling profiler"
    category = "energy-based models"
    summary = "Tells how many of a sampler's draws are as good as independent."
    equation = (
        "τ_int = 1 + 2 Σ_{t=1}^{M} ρ(t), M the smallest lag with M ≥ 5·τ_int(M)/2; ess_per_s = samples_per_s/τ_int"
    )
    references = ("Sokal 1996, Monte Carlo methods in statistical mechanics (automatic windowing)",)
    inputs = (
        Port("samples", "any", when_absent="skip", among=("spin", "cat", "matrix", "vector", "prob", "scalar"),
             doc="Spins or a matrix [C, N]: C chains of N quantities; a vector [N]: one chain; a scalar: one of one."),
        Port("acceptance", "scalar", optional=True, when_absent="skip",
             doc="Share of accepted moves of a Metropolis-type kernel."),
    )  # fmt: skip
    outputs = (
        Port("samples_per_s", "scalar", unit="1/s", doc="Draws of all chains per second of run time."),
        Port("ess_per_s", "scalar", unit="1/s", doc="Independent draws of all chains per second of run time."),
        Port(
            "tau_int", "scalar", unit="draw", doc="τ_int; 1 when draws are independent. Silent when it cannot be told."
        ),
        Port("acceptance", "scalar", doc="Mean over the window; 1 for gibbs, which accepts every move."),
    )
    params = (
        Parameter("window", "int", 1000, min=16, max=100_000, unit="draw", doc="Draws of each chain looked at."),
        Parameter("hop", "int", 100, min=1, max=100_000, unit="draw", doc="Draws from one evaluation to the next."),
        Parameter("quantity", "choice", "slowest", choices=("slowest", "mean"),
                  doc="slowest: the largest τ_int among the N quantities; mean: τ_int of their mean (magnetisation)."),
        Parameter("kernel", "choice", "gibbs", choices=("gibbs", "metropolis"),
                  doc="gibbs: accepts everything; metropolis: the acceptance must be connected."),
    )  # fmt: skip
    differentiable = "its window of lags is chosen, which has no gradient"

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        if len(inputs.get("samples", ())) > 2:
            raise ShapeProblem(
                "samples", "samples have at most two axes, chains and quantities.", "Connect spins or a matrix [C, N]."
            )
        if params["kernel"] == "metropolis" and "acceptance" not in inputs:
            raise ShapeProblem(
                "acceptance", "a Metropolis kernel's acceptance cannot be seen in its samples.",
                'Connect the sampler\'s `acceptance`, or set `kernel` to "gibbs".',
            )  # fmt: skip
        return super().shapes(params, inputs)

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        chains, quantities = _sizes(shapes["samples"], params["quantity"])
        watched, window = float(chains * quantities), params["window"]
        # A transform forth and back of twice the window, and its copies, in double precision.
        flops = (10.0 * window * math.log2(2 * window) + 9.0 * window) * watched / params["hop"]
        # The ring is copied once a block, so that it may be written into.
        return Cost(
            flops=flops + watched, bytes=4.0 * window * watched, outputs=16.0,
            scratch=(4.0 + 80.0) * window * watched, spoken=1.0 / params["hop"],
        )  # fmt: skip

    def prepare(self, ctx: Context) -> None:
        self._clock: tuple[int, float] | None = None

    def initial_state(self, ctx: Context) -> State:
        window = self.settings["window"]
        chains, quantities = _sizes(self.port_shapes["samples"], self.settings["quantity"])
        kwargs: dict[str, Any] = {"dtype": ctx.dtype, "device": ctx.device}
        return {
            "ring": torch.zeros(*ctx.batch, window, chains, quantities, **kwargs),
            "accepted": torch.ones(*ctx.batch, window, **kwargs),
            "filled": torch.zeros((), dtype=torch.int64),
        }

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        return self._tick(self._own(state), inputs, ctx)

    def step_block(
        self, state: State, inputs: Mapping[str, Any], params: Sequence[Params], ctx: Context
    ) -> tuple[State, dict[str, Block]]:
        state, first = self._own(state), ctx.tick
        lanes: dict[str, list[Any]] = {port.name: [] for port in self.outputs}
        for k in range(len(params)):
            ctx.tick = first + k
            state, out = self._tick(state, tick_of(inputs, k), ctx)
            for name, lane in lanes.items():
                lane.append(out[name])
        return state, {name: Block(lane) for name, lane in lanes.items()}

    @staticmethod
    def _own(state: State) -> State:
        """A state whose rings may be written into; once a block, for they are long."""
        return {name: value.clone() for name, value in state.items()}

    def _tick(self, state: State, inputs: Inputs, ctx: Context) -> tuple[State, Outputs]:
        """One tick; writes into `state`."""
        silence: Outputs = {port.name: ABSENT for port in self.outputs}
        samples = inputs["samples"]
        if samples is ABSENT:
            return state, silence
        window, filled = self.settings["window"], int(state["filled"])
        watched = samples.detach().to(ctx.dtype).reshape(*ctx.batch, *_full(self.port_shapes["samples"]))
        if self.settings["quantity"] == "mean":
            watched = watched.mean(-1, keepdim=True)
        state["ring"].select(-3, filled % window).copy_(watched)
        accepted = inputs["acceptance"]
        if self.settings["kernel"] == "metropolis":
            if accepted is ABSENT:
                raise ctx.fail("a draw came without its acceptance.", "Connect samples and acceptance of one sampler.")
            state["accepted"].select(-1, filled % window).copy_(accepted)
        state["filled"] += 1
        over = filled + 1 - window
        if over < 0 or over % self.settings["hop"]:
            return state, silence
        return state, self._evaluated(state, ctx)

    def _evaluated(self, state: State, ctx: Context) -> Outputs:
        window = self.settings["window"]
        # The ring's oldest entry comes first: the autocorrelation must not run over the seam.
        ring = state["ring"].roll(-(int(state["filled"]) % window), dims=-3)
        series = ring.movedim(-3, -1).movedim(-2, -3).to("cpu", torch.float64).numpy()
        tau = autocorrelation_time(series, WINDOW)
        # One quantity that is too slow to be told makes the slowest one unknown; one that stands still says nothing.
        still = series.max(axis=(-2, -1)) == series.min(axis=(-2, -1))
        unknown = (np.isnan(tau) & ~still).any(-1) | still.all(-1)
        slowest = np.where(unknown, 0.0, np.where(still, 0.0, np.nan_to_num(tau)).max(-1))
        times = torch.as_tensor(slowest, dtype=ctx.dtype, device=ctx.device).reshape(ctx.batch)
        chains = ring.shape[-2]
        rate = chains / ctx.dt
        told = bool((times > 0).any())
        ess = torch.where(times > 0, rate / times, 0.0)
        self._say_speed(state, chains, times, ctx)
        return {
            "samples_per_s": torch.full(ctx.batch, rate, dtype=ctx.dtype, device=ctx.device),
            # In a sweep some runs may tell a time and others not: those show 0.
            "ess_per_s": ess if told else ABSENT,
            "tau_int": times if told else ABSENT,
            "acceptance": state["accepted"].mean(-1),
        }

    def _say_speed(self, state: State, chains: int, times: torch.Tensor, ctx: Context) -> None:
        """Draws per second of the clock since the evaluation before: in the log, because no replay repeats it."""
        now, filled = time.perf_counter(), int(state["filled"])
        if self._clock is None:
            self._clock = (filled, now)
        before, since = self._clock
        if now - since < LOG_SECONDS:
            return
        self._clock = (filled, now)
        points = max(1, times.numel())
        speed = (filled - before) * chains * points / (now - since)
        slowest = float(times.max()) if times.numel() else 0.0
        ctx.log(
            f"{speed:.3g} draws per second of the clock", samples_per_s=speed,
            ess_per_s=speed / slowest if slowest > 0 else None,
        )  # fmt: skip


def _full(shape: Shape) -> tuple[int, int]:
    """(chains, quantities) of what arrives."""
    chains, quantities = (1, 1, *shape)[-2:]
    return chains, quantities


def _sizes(shape: Shape, quantity: str) -> tuple[int, int]:
    """(chains, watched quantities)."""
    chains, n = _full(shape)
    return chains, 1 if quantity == "mean" else n
