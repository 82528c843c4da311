"""The finder of recurring patterns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attractor.autocorrelation import first_period
from attractor.matrix_profile import Motif, exclusion, motifs, subsequences
from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape


class RecurringPattern(TensorNode):
    """Period and motifs of the last `window` samples, looked for every `hop` ticks once the window is full.

    State: ``ring`` (..., window), newest last; ``filled`` (); ``library`` (..., max, motif), the shapes that have been
    given a number; ``known`` (...), how many ever were. A motif found again (correlation ≥ threshold) keeps its number;
    when the library is full the oldest entry makes room.
    """

    kind = "an.pattern"
    title = "Recurring-pattern finder"
    category = "analysis"
    summary = "Finds the period of a signal and the shapes that recur in it."
    equation = (
        "r_k = [Σ(x_t − x̄)(x_{t+k} − x̄)/(n − k)] / [Σ(x_t − x̄)²/n], first significant peak; "
        "matrix profile d_i = min_j √(2m(1 − ρ_ij)), |i − j| ≥ m/2; a motif has ρ ≥ threshold"
    )
    references = ("Yeh et al. 2016, ICDM (matrix profile)", "Bartlett 1946 (significance of r_k)")
    inputs = (Port("signal", "scalar", doc="One sample a tick."),)
    outputs = (
        Port("period", "scalar", unit="s", doc="The period; silent when nothing recurs significantly."),
        Port("confidence", "scalar", doc="Autocorrelation at the period, 0 to 1; 0 when nothing recurs."),
        Port("pattern_id", "cat", shape=(1, 1), doc="Number of the motif that ends the window, 1 to max; 0: none."),
        Port("count", "scalar", doc="How many different motifs the window holds."),
    )
    params = (
        Parameter("window", "int", 100, min=16, max=4096, unit="tick", doc="Samples that are looked at."),
        Parameter("threshold", "float", 0.8, min=0.1, max=1, live=True,
                  doc="Least correlation of two stretches that count as the same motif."),
        Parameter("max", "int", 10, min=1, max=100, doc="Most motifs that are told apart."),
        Parameter("motif", "int", 20, min=4, max=1024, unit="tick", doc="Length of a motif."),
        Parameter("hop", "int", 10, min=1, max=4096, unit="tick", doc="Ticks from one evaluation to the next."),
    )  # fmt: skip
    differentiable = "peaks and motifs are chosen, which has no gradient"
    batchable = "it is silent in runs in which nothing recurs"

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        if 3 * params["motif"] > params["window"]:
            raise ShapeProblem(
                "motif", f"motifs of {params['motif']} ticks do not recur in a window of {params['window']}.",
                "Make `window` at least three times `motif`.",
            )  # fmt: skip

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        m, most = params["motif"], params["max"]
        stretches = params["window"] - m + 1
        pairs = float(stretches * stretches)
        # Correlations of all stretches; for every motif those that are left, of which there may be half of `max`.
        flops = pairs * (2.0 * m + 4.0 + 1.5 * most) + 16.0 * stretches * m
        return Cost(
            flops=flops / params["hop"], bytes=4.0 * (params["window"] + most * m),
            scratch=20.0 * pairs + 12.0 * stretches * m, spoken=1.0 / params["hop"],
        )  # fmt: skip

    def initial_state(self, ctx: Context) -> State:
        window, most, m = (self.settings[name] for name in ("window", "max", "motif"))
        kwargs: dict[str, Any] = {"dtype": ctx.dtype, "device": ctx.device}
        return {
            "ring": torch.zeros(*ctx.batch, window, **kwargs),
            "filled": torch.zeros((), dtype=torch.int64),
            "library": torch.zeros(*ctx.batch, most, m, **kwargs),
            "known": torch.zeros(ctx.batch, dtype=torch.int64),
        }

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        sample = inputs["signal"]
        silence: Outputs = {port.name: ABSENT for port in self.outputs}
        if sample is ABSENT:
            return state, silence
        ring = torch.cat((state["ring"][..., 1:], sample.to(ctx.dtype).expand(ctx.batch).unsqueeze(-1)), dim=-1)
        filled = state["filled"] + 1
        state = {**state, "ring": ring, "filled": filled}
        over = int(filled) - self.settings["window"]
        if over < 0 or over % self.settings["hop"]:
            return state, silence
        return self._evaluated(state, params, ctx)

    def _evaluated(self, state: State, params: Params, ctx: Context) -> tuple[State, Outputs]:
        window, most, m = (self.settings[name] for name in ("window", "max", "motif"))
        series = state["ring"].detach().reshape(-1, window)
        library = state["library"].clone().reshape(-1, most, m)
        known = state["known"].clone().reshape(-1)
        threshold = torch.as_tensor(params["threshold"]).expand(ctx.batch).reshape(-1)
        periods, confidences, ids, counts = [], [], [], []
        for k, x in enumerate(series):
            period = first_period(x)
            periods.append(0.0 if period is None else period[0] * ctx.dt)
            confidences.append(0.0 if period is None else min(1.0, period[1]))
            found = motifs(x, m, float(threshold[k]), most)
            counts.append(float(len(found)))
            known[k] = self._learn(library[k], int(known[k]), found, float(threshold[k]))
            ids.append(self._latest(x, library[k], int(known[k]), found, float(threshold[k])))

        def shaped(values: list[Any], dtype: torch.dtype = ctx.dtype) -> torch.Tensor:
            return torch.tensor(values, dtype=dtype, device=ctx.device).reshape(ctx.batch)

        outputs = {
            # In a sweep some runs may have a period and others not: those show 0, and confidence 0 says why.
            "period": shaped(periods) if any(periods) else ABSENT,
            "confidence": shaped(confidences),
            "pattern_id": shaped(ids, torch.int64)[..., None, None],
            "count": shaped(counts),
        }
        shape = state["library"].shape
        return {**state, "library": library.reshape(shape), "known": known.reshape(ctx.batch)}, outputs

    def _learn(self, library: torch.Tensor, known: int, found: list[Motif], threshold: float) -> int:
        """Give every motif that is new a place in the library (written in place); returns how many ever had one."""
        for motif in found:
            if not bool((library @ motif.shape >= threshold).any()):
                library[known % len(library)] = motif.shape
                known += 1
        return known

    def _latest(self, x: torch.Tensor, library: torch.Tensor, known: int, found: list[Motif], threshold: float) -> int:
        """The number of the motif whose occurrence ends within half a motif of the end of the window, or 0."""
        m = self.settings["motif"]
        recent = subsequences(x[-(m + exclusion(m) - 1) :], m)
        first = len(x) - m - len(recent) + 1
        places = {place for motif in found for place in motif.places if place >= first}
        if not places:
            return 0
        shapes = recent[[place - first for place in sorted(places)]]
        likeness = library[: min(known, len(library))] @ shapes.T
        best = int(likeness.amax(-1).argmax())
        return best + 1 if float(likeness[best].max()) >= threshold else 0
