"""Constants, seeds, texts and schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attractor.node import ABSENT, Context, Inputs, Outputs, Params, ShapeProblem, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape

EXACT = 1 << 24
"""Whole numbers up to here are exact in float32."""


class Value(TensorNode):
    """A value that is given, not computed. State of a shuffled schedule: ``order``, (..., rows), the order of this
    pass."""

    kind = "gen.value"
    title = "Value"
    category = "generators"
    summary = "A constant number, vector, text or seed, or a schedule that shows one row of a list after another."
    equation = (
        "schedule: row order[⌊(t − start)/hold⌋ mod R] of R rows at tick t ≥ start; nothing before. "
        "shuffled: a fresh uniformly random order in every pass."
    )
    outputs = (Port("value", "any", doc="scalar, vector or text, as `type` says; a schedule's rows are vectors."),)
    params = (
        Parameter("type", "choice", "scalar", choices=("scalar", "vector", "text", "seed", "schedule"),
                  doc="What is emitted."),
        Parameter("value", "float", 0.0, live=True, doc="The number of a scalar or a seed."),
        Parameter("values", "list", [0.0], doc="The numbers of a vector, or the rows of a schedule (a list of lists)."),
        Parameter("text", "text", "", doc="The text."),
        Parameter("hold", "int", 100, min=1, max=1_000_000, unit="tick", doc="schedule: how long a row stays."),
        Parameter("start", "int", 0, min=0, max=1_000_000_000, unit="tick",
                  doc="schedule: ticks of silence before the first row."),
        Parameter("order", "choice", "cyclic", choices=("cyclic", "shuffled"),
                  doc="schedule: rows in their own order, or in a fresh random order in every pass."),
    )  # fmt: skip

    @classmethod
    def gradient_refusal(cls, params: Mapping[str, Any]) -> str | None:
        if params["type"] == "scalar":
            return None
        return f"only the number of a scalar can be varied smoothly, not a {params['type']}"

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        kind, value, values = params["type"], params["value"], params["values"]
        if kind == "seed" and not (value == int(value) and 0 <= value < EXACT):
            raise ShapeProblem("value", f"{value!r} is no seed.", f"Give a whole number from 0 to {EXACT - 1}.")
        if kind == "vector" and (not values or any(isinstance(item, list | tuple) for item in values)):
            raise ShapeProblem("values", "a vector is a list of numbers.", "Give at least one number, as [1, 2].")
        if kind == "schedule" and (
            not values
            or not all(isinstance(row, list | tuple) and row and len(row) == len(values[0]) for row in values)
            or any(isinstance(item, list | tuple) for row in values for item in row)
        ):
            raise ShapeProblem(
                "values", "a schedule is a list of rows of one length.", "Give rows of numbers, as [[0, 0], [0, 1]]."
            )

    @classmethod
    def output_kinds(cls, params: Mapping[str, Any]) -> dict[str, str]:
        return {"value": {"seed": "scalar", "schedule": "vector"}.get(params["type"], params["type"])}

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        match params["type"]:
            case "vector":
                return {"value": (len(params["values"]),)}
            case "schedule":
                return {"value": (len(params["values"][0]),)}
        return {"value": ()}

    def prepare(self, ctx: Context) -> None:
        self._rows: torch.Tensor | None = None
        if self.settings["type"] in ("vector", "schedule"):
            self._rows = torch.tensor(self.settings["values"], dtype=ctx.dtype, device=ctx.device)

    @property
    def _shuffled(self) -> bool:
        return bool(self.settings["type"] == "schedule" and self.settings["order"] == "shuffled")

    def initial_state(self, ctx: Context) -> State:
        return {"order": torch.arange(len(self.settings["values"])).repeat(*ctx.batch, 1)} if self._shuffled else {}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        match self.settings["type"]:
            case "text":
                return state, {"value": self.settings["text"]}
            case "scalar":
                number = torch.as_tensor(params["value"], dtype=ctx.dtype, device=ctx.device)
                return state, {"value": number.expand(ctx.batch)}
            case "seed":
                number = torch.as_tensor(params["value"], dtype=ctx.dtype, device=ctx.device).round()
                return state, {"value": number.expand(ctx.batch)}
            case "vector":
                return state, {"value": self._spread(self._rows, ctx)}
        return self._scheduled(state, ctx)

    def _scheduled(self, state: State, ctx: Context) -> tuple[State, Outputs]:
        assert self._rows is not None
        since = ctx.tick - self.settings["start"]
        if since < 0:
            return state, {"value": ABSENT}
        rows = len(self._rows)
        place = since // self.settings["hold"] % rows
        if not self._shuffled:
            return state, {"value": self._spread(self._rows[place], ctx)}
        if since % (self.settings["hold"] * rows) == 0:
            state = {"order": ctx.random.permutation(rows).expand(*ctx.batch, rows).clone()}
        return state, {"value": self._rows[state["order"][..., place]]}

    @staticmethod
    def _spread(vector: torch.Tensor | None, ctx: Context) -> torch.Tensor:
        assert vector is not None
        return vector.expand(*ctx.batch, *vector.shape)
