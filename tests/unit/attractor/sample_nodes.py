"""Small node kinds with known behaviour, for the tests of the engine itself."""

from __future__ import annotations

from typing import Any

import torch

from attractor.node import ABSENT, HostNode, ShapeProblem, TensorNode, ViewNode, exact, per_unit
from attractor.parameter import Parameter
from attractor.port import Port
from attractor.registry import Registry


class Ramp(TensorNode):
    """value[t] = t · slope."""

    kind, title, category, summary = "t.ramp", "Ramp", "test", "Counts."
    outputs = (Port("value", "scalar"),)
    params = (Parameter("slope", "float", 1.0, "1/tick", min=-10, max=10, live=True),)

    def initial_state(self, ctx):
        return {"sum": torch.zeros(ctx.batch)}

    def step(self, state, inputs, params, ctx):
        total = state["sum"] + params["slope"]
        return {"sum": total}, {"value": total}


class Noise(TensorNode):
    kind, title, category, summary = "t.noise", "Noise", "test", "Normal numbers."
    outputs = (Port("x", "vector", ("N",)),)
    params = (Parameter("N", "int", 4, min=1, max=10**12),)

    def step(self, state, inputs, params, ctx):
        n = self.settings["N"]
        return state, {"x": ctx.random.normal(n).expand(*ctx.batch, n)}


class Add(TensorNode):
    kind, title, category, summary = "t.add", "Add", "test", "a + b."
    inputs = (Port("a", "scalar"), Port("b", "scalar", optional=True))
    outputs = (Port("sum", "scalar"),)
    params = (Parameter("gain", "float", 1.0, min=0, max=2, live=True),)

    def step(self, state, inputs, params, ctx):
        b = 0.0 if inputs["b"] is ABSENT else inputs["b"]
        return state, {"sum": params["gain"] * (inputs["a"] + b)}


class Scale(TensorNode):
    """out = factor · in, on vectors, by blocks."""

    kind, title, category, summary = "t.scale", "Scale", "test", "Scales."
    inputs = (Port("x", "vector", ("N",)),)
    outputs = (Port("y", "vector", ("N",)),)
    params = (Parameter("factor", "float", 2.0, live=True),)

    def step(self, state, inputs, params, ctx):
        return state, {"y": per_unit(params["factor"]) * inputs["x"]}


class Sometimes(TensorNode):
    """Speaks its tick every third tick."""

    kind, title, category, summary = "t.sometimes", "Sometimes", "test", "Speaks now and then."
    outputs = (Port("value", "scalar"),)

    def step(self, state, inputs, params, ctx):
        return state, {"value": torch.full(ctx.batch, float(ctx.tick)) if ctx.tick % 3 == 1 else ABSENT}


class Collect(HostNode):
    """Remembers what it saw, with None for ABSENT."""

    kind, title, category, summary = "t.collect", "Collect", "test", "Remembers."
    inputs = (
        Port("held", "scalar", optional=True),
        Port("skipped", "scalar", optional=True, when_absent="skip"),
        Port("many", "scalar", optional=True, variadic=True),
        Port("fire", "trigger", optional=True, when_absent="skip"),
    )
    outputs = (Port("seen", "table"),)

    def __init__(self, id, params, shapes=None):
        super().__init__(id, params, shapes)
        self.rows: list[list[Any]] = []

    def step(self, inputs, params, ctx):
        def plain(value):
            return None if value is ABSENT else float(value)

        self.rows.append(
            [ctx.tick, plain(inputs["held"]), plain(inputs["skipped"]), [plain(v) for v in inputs["many"]],
             inputs["fire"] is not ABSENT]
        )  # fmt: skip
        return {"seen": {"columns": ["tick", "held", "skipped", "many", "fire"], "rows": [list(r) for r in self.rows]}}

    def state_dict(self):
        return {"rows": [list(row) for row in self.rows]}

    def load_state_dict(self, state):
        self.rows = [list(row) for row in state["rows"]]


class Accumulate(TensorNode):
    """state += in; out = state. Alone it is an integrator; fed back it is a linear recursion."""

    kind, title, category, summary = "t.accumulate", "Accumulate", "test", "Integrates."
    inputs = (Port("x", "scalar"),)
    outputs = (Port("y", "scalar"),)

    def initial_state(self, ctx):
        return {"y": torch.zeros(ctx.batch)}

    def step(self, state, inputs, params, ctx):
        y = state["y"] + inputs["x"]
        return {"y": y}, {"y": y}


class Breaks(TensorNode):
    """NaN (or an exception) from a given tick on."""

    kind, title, category, summary = "t.breaks", "Breaks", "test", "Breaks."
    outputs = (Port("value", "scalar"),)
    params = (Parameter("at", "int", 5, min=0), Parameter("how", "choice", "nan", choices=("nan", "raise", "fail")))

    def step(self, state, inputs, params, ctx):
        if ctx.tick >= params["at"]:
            if params["how"] == "raise":
                raise RuntimeError("gave way")
            if params["how"] == "fail":
                raise ctx.fail("cannot go on.", "Do it differently.")
            return state, {"value": torch.full(ctx.batch, float("nan"))}
        return state, {"value": torch.ones(ctx.batch)}


class Fuse(TensorNode):
    """y = x while |x| stays within the limit; beyond it the node gives way. It does not begin with a limit below 0.01.

    The slope of the limit, two parameters worked out together, is the state."""

    kind, title, category, summary = "t.fuse", "Fuse", "test", "Gives way."
    inputs = (Port("x", "scalar"),)
    outputs = (Port("y", "scalar"),)
    params = (
        Parameter("limit", "float", 500.0, min=0, max=1000, live=True),
        Parameter("rate", "float", 0.3, min=-1, max=1, live=True),
        Parameter("steps", "int", 1, min=1, max=5, live=True),
    )

    @classmethod
    def validate(cls, params):
        if params["limit"] < params["rate"]:
            raise ShapeProblem("limit", "it is below the rate.", "Raise it.")

    def accept(self, params, ctx):
        if params["limit"] < 0.01:
            raise ctx.fail("the limit is too low to begin.", "Raise it.")

    def initial_state(self, ctx):
        return {"slope": torch.zeros(ctx.batch), "ticks": torch.tensor(0)}

    def step(self, state, inputs, params, ctx):
        limit, rate = exact(params["limit"]), exact(params["rate"])
        slope = torch.as_tensor((1.0 + rate) / (limit * 3.7), dtype=ctx.dtype).expand(ctx.batch)
        y = inputs["x"]
        for _ in range(params["steps"]):
            y = y * 1.01 + slope
        out = y.abs() > params["limit"]
        ctx.require(~out, lambda: ctx.fail("it gave way.", "Lower the input."))
        return {"slope": slope, "ticks": state["ticks"] + 1}, {"y": y}


class Weights(TensorNode):
    """y = w · x, w drawn once from the run seed."""

    kind, title, category, summary = "t.weights", "Weights", "test", "Weighs."
    inputs = (Port("x", "vector", ("N",)),)
    outputs = (Port("y", "scalar"),)

    def prepare(self, ctx):
        self.w = ctx.random.normal(self.port_shapes["x"][0])

    def step(self, state, inputs, params, ctx):
        return state, {"y": (self.w * inputs["x"]).sum(-1)}


class Mixes(TensorNode):
    """What no node may do: it fails where several runs are together."""

    kind, title, category, summary = "t.mixes", "Mixes", "test", "Mixes."
    outputs = (Port("y", "scalar"),)
    params = (Parameter("gain", "float", 1.0, live=True),)

    def step(self, state, inputs, params, ctx):
        if ctx.batch and ctx.batch[0] > 1:
            raise ctx.fail("too many.", "")
        return state, {"y": torch.zeros(ctx.batch)}


class Show(ViewNode):
    kind, title, summary = "t.show", "Show", "Shows."
    inputs = (
        Port("x", "vector", optional=True),
        Port("series", "scalar", optional=True, variadic=True, when_absent="skip"),
    )


REGISTRY = Registry([Ramp, Noise, Add, Scale, Sometimes, Collect, Accumulate, Breaks, Fuse, Weights, Mixes, Show])


def node(id: str, kind: str, **params: Any) -> dict[str, Any]:
    return {"id": id, "kind": kind, "params": params}


def edge(src: str, dst: str, **more: Any) -> dict[str, Any]:
    return {"src": src, "dst": dst, **more}
