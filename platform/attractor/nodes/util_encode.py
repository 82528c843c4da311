"""Conversions of values on their way from one node to another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode, per_unit
from attractor.parameter import Parameter
from attractor.port import Port, Shape


class Encode(TensorNode):
    """Scalars and vectors, joined in the order of the edges to one vector v of M elements, in another form.

    State of `window`: ``ring`` (..., M, window), the last ticks, newest last; ``filled`` (), how many are real.
    """

    kind = "util.encode"
    title = "Encoder"
    category = "utilities"
    summary = "Scales, one-hot encodes, projects or windows the numbers that arrive."
    equation = (
        "standard: (v − mean v)/std v; minmax: (v − min v)/(max v − min v); amplitude: v/‖v‖₂; "
        "range_map: out_low + (v − in_low)(out_high − out_low)/(in_high − in_low); "
        "project: Σ_k gain·(2v_k − 1)·W_k, W ~ N(0, 1) fixed by the run's seed; window: the last ticks of v"
    )
    references = ("Pedregosa et al. 2011 (standard, minmax, one_hot: scikit-learn's conventions)",)
    inputs = (
        Port(
            "value",
            "any",
            variadic=True,
            among=("scalar", "vector", "prob", "signal"),
            doc="Scalars and vectors; joined in the order of the edges.",
        ),
    )
    outputs = (
        Port("value", "any", doc="window: matrix [M, window]; every other mode: vector. Silent until all spoke."),
    )
    params = (
        Parameter("mode", "choice", "standard",
                  choices=("standard", "minmax", "one_hot", "amplitude", "range_map", "project", "window"),
                  doc="What is done."),
        Parameter("classes", "int", 2, min=1, max=65536, doc="one_hot: number of classes."),
        Parameter("in_low", "float", 0.0, doc="range_map: lower end of the input."),
        Parameter("in_high", "float", 1.0, doc="range_map: upper end of the input."),
        Parameter("out_low", "float", 0.0, doc="range_map: what the lower end becomes."),
        Parameter("out_high", "float", 1.0, doc="range_map: what the upper end becomes."),
        Parameter("clip", "bool", False, doc="range_map: keep the result between the two ends."),
        Parameter("N", "int", 64, min=1, max=65536, doc="project: length of the result."),
        Parameter("gain", "float", 1.0, min=0, max=1000, live=True, doc="project: size of the current, g."),
        Parameter("window", "int", 100, min=1, max=65536, unit="tick", doc="window: its length."),
        Parameter("hop", "int", 1, min=1, max=65536, unit="tick",
                  doc="window: ticks from one emitted window to the next."),
    )  # fmt: skip

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        if params["mode"] == "range_map" and params["in_low"] == params["in_high"]:
            raise ShapeProblem("in_high", "the input range is empty.", "Make in_high different from in_low.")

    @classmethod
    def output_kinds(cls, params: Mapping[str, Any]) -> dict[str, str]:
        return {"value": "matrix" if params["mode"] == "window" else "vector"}

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        for port, shape in inputs.items():
            if len(shape) > 1:
                raise ShapeProblem(
                    port, f"shape {list(shape)} arrives where a scalar or a vector is expected.",
                    'Choose a row or a component with "reduce" on the edge.',
                )  # fmt: skip
        channels = sum(shape[0] if shape else 1 for shape in inputs.values())
        match params["mode"]:
            case "window":
                return {"value": (channels, params["window"])}
            case "project":
                return {"value": (params["N"],)}
            case "one_hot":
                return {"value": (channels * params["classes"],)}
            case "standard" | "minmax" if channels < 2:
                raise ShapeProblem(
                    "value", f"{params['mode']} looks at the spread of a vector; one number has none.",
                    "Connect a vector, or use range_map.",
                )  # fmt: skip
        return {"value": (channels,)}

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        size = float(sum(math.prod(shape) for name, shape in shapes.items() if name != "value"))
        out = float(math.prod(shapes["value"]))
        match params["mode"]:
            case "window":
                # The ring is made anew in every tick, and kept where it is shown.
                return Cost(bytes=4.0 * out, outputs=4.0 * out, scratch=8.0 * out, spoken=1.0 / params["hop"])
            case "project":
                flops = 2.0 * size + 2.0 * size * out + out
                return Cost(
                    flops=flops, bytes=4.0 * size * out, scratch=4.0 * (size + out), preparing=10.0 * size * out
                )
        each = {"standard": 5.0, "minmax": 4.0, "one_hot": 9.0, "amplitude": 2.0, "range_map": 3.0 + params["clip"]}
        return Cost(flops=each[params["mode"]] * size, scratch=12.0 * size + 8.0 * out)

    @classmethod
    def gradient_refusal(cls, params: Mapping[str, Any]) -> str | None:
        return "a class number has no neighbours" if params["mode"] == "one_hot" else None

    @classmethod
    def batch_rounding(cls, params: Mapping[str, Any], kernels: bool) -> str | None:
        if params["mode"] == "project":
            return "the projections of a batch are matrix products that are summed in another order"
        return None

    @property
    def _channels(self) -> int:
        return sum(shape[0] if shape else 1 for name, shape in self.port_shapes.items() if name != "value")

    def prepare(self, ctx: Context) -> None:
        self._weights: torch.Tensor | None = None
        if self.settings["mode"] == "project":
            n = self.settings["N"]
            self._weights = ctx.random.normal(self._channels * n).view(-1, n)

    def initial_state(self, ctx: Context) -> State:
        if self.settings["mode"] != "window":
            return {}
        ring = torch.zeros(*ctx.batch, self._channels, self.settings["window"], dtype=ctx.dtype, device=ctx.device)
        return {"ring": ring, "filled": torch.zeros((), dtype=torch.int64)}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        values = inputs["value"]
        if any(value is ABSENT for value in values):
            return state, {"value": ABSENT}
        v = self._joined(values, ctx)
        mode = self.settings["mode"]
        if mode == "window":
            return self._windowed(state, v)
        match mode:
            case "standard":
                v = v - v.mean(-1, keepdim=True)
                v = v / _or_one(v.square().mean(-1, keepdim=True).sqrt())
            case "minmax":
                low = v.amin(-1, keepdim=True)
                v = (v - low) / _or_one(v.amax(-1, keepdim=True) - low)
            case "one_hot":
                v = self._one_hot(v, ctx)
            case "amplitude":
                norm = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
                if bool((norm == 0).any()):
                    raise ctx.fail("a vector of zeros has no amplitude encoding.", "Feed a vector that is not zero.")
                v = v / norm
            case "range_map":
                v = self._range_mapped(v)
            case "project":
                assert self._weights is not None
                v = per_unit(params["gain"]) * ((2.0 * v - 1.0) @ self._weights)
        return state, {"value": v}

    def _joined(self, values: tuple[Any, ...], ctx: Context) -> torch.Tensor:
        """The inputs as one vector (..., M)."""
        parts = []
        for k, value in enumerate(values):
            if not isinstance(value, torch.Tensor):
                raise ctx.fail(f"input {k} carries no numbers but {type(value).__name__}.", "Connect numbers to it.")
            part = value.to(ctx.dtype)
            parts.append(part.unsqueeze(-1) if part.dim() == len(ctx.batch) else part)
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def _windowed(self, state: State, v: torch.Tensor) -> tuple[State, Outputs]:
        window = self.settings["window"]
        ring = torch.cat((state["ring"][..., 1:], v.unsqueeze(-1)), dim=-1)
        filled = state["filled"] + 1
        over = int(filled) - window
        ready = over >= 0 and over % self.settings["hop"] == 0
        return {"ring": ring, "filled": filled}, {"value": ring if ready else ABSENT}

    def _one_hot(self, v: torch.Tensor, ctx: Context) -> torch.Tensor:
        classes, index = self.settings["classes"], v.round().long()
        if bool(((index < 0) | (index >= classes) | (index != v)).any()):
            raise ctx.fail(
                f"{v.tolist()!r:.80} is not all class numbers 0 to {classes - 1}.",
                "Raise `classes`, or feed whole numbers in that range.",
            )
        encoded: torch.Tensor = torch.nn.functional.one_hot(index, classes).to(v.dtype).flatten(-2)
        return encoded

    def _range_mapped(self, v: torch.Tensor) -> torch.Tensor:
        low, high = self.settings["out_low"], self.settings["out_high"]
        slope = (high - low) / (self.settings["in_high"] - self.settings["in_low"])
        mapped: torch.Tensor = low + (v - self.settings["in_low"]) * slope
        return mapped.clamp(min(low, high), max(low, high)) if self.settings["clip"] else mapped


def _or_one(spread: torch.Tensor) -> torch.Tensor:
    """A constant vector has no spread; it is then left unscaled, as scikit-learn does."""
    return torch.where(spread == 0, 1.0, spread)
