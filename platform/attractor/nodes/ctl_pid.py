"""The PID controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape


class Pid(TensorNode):
    """A PID controller in parallel form, discretised at the tick h = ctx.dt (Åström & Hägglund 1995, ch. 3.6).

    With e = setpoint − measurement y (both signs turned when `reverse`):

    - P = Kp·e
    - D ← (Td·D − Kd·N·Δy)/(Td + N·h), Td = Kd/Kp (Kd when Kp = 0): on the measurement, through a first-order filter of
      time constant Td/N (backward difference)
    - u = clamp(P + I + D, low, high)
    - I ← I + h·Ki·e + (h/Tt)(u − (P + I + D)): back-calculation, Tt = √(Kd/Ki) with a D part and Kp/Ki without
      (√(Ti·Td) and Ti), at least h

    I starts at 0, and at the first measurement Δy = 0. State: ``integral``, ``derivative``, ``measured`` (batch shape)
    and ``started``.
    """

    kind = "ctl.pid"
    title = "PID controller"
    category = "control"
    summary = "Keeps a measurement at a set-point: derivative on the measurement, limits with anti-windup."
    equation = (
        "u = clamp(P + I + D, low, high); P = Kp·e; D ← (Td·D − Kd·N·Δy)/(Td + N·h); "
        "I ← I + h·Ki·e + (h/Tt)(u − P − I − D)"
    )
    references = ("Åström & Hägglund 1995, PID Controllers, 2nd ed.",)
    inputs = (
        Port("measurement", "scalar", doc="What is to be controlled."),
        Port("setpoint", "scalar", optional=True, doc="Replaces the parameter while connected."),
    )
    outputs = (
        Port("control", "scalar", doc="u; silent until there is a measurement."),
        Port("error", "scalar", doc="setpoint − measurement, whatever `reverse` says."),
    )
    params = (
        Parameter("Kp", "float", 1.0, min=0, max=1e6, live=True, doc="Proportional gain."),
        Parameter("Ki", "float", 0.1, min=0, max=1e6, live=True, unit="1/s", doc="Integral gain."),
        Parameter("Kd", "float", 0.01, min=0, max=1e6, live=True, unit="s", doc="Derivative gain."),
        Parameter("setpoint", "float", 0.0, live=True, doc="Wanted value of the measurement."),
        Parameter("low", "float", -1e6, doc="Lower limit of the output."),
        Parameter("high", "float", 1e6, doc="Upper limit of the output."),
        Parameter("d_filter", "float", 10.0, min=1, max=100, doc="N: the derivative's filter has time constant Td/N."),
        Parameter("reverse", "bool", False, doc="For a process that falls when the control rises."),
    )
    differentiable = True

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        if params["low"] >= params["high"]:
            raise ShapeProblem("high", "the output limits leave no room.", "Make `high` greater than `low`.")

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        return Cost(flops=30.0, bytes=16.0)

    def initial_state(self, ctx: Context) -> State:
        zero = torch.zeros(ctx.batch, dtype=ctx.dtype, device=ctx.device)
        return {
            "integral": zero,
            "derivative": zero.clone(),
            "measured": zero.clone(),
            "started": torch.zeros((), dtype=torch.bool, device=ctx.device),
        }

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        y = inputs["measurement"]
        if y is ABSENT:
            return state, {"control": ABSENT, "error": ABSENT}
        h = ctx.dt
        kp, ki, kd = (torch.as_tensor(params[name], dtype=ctx.dtype, device=ctx.device) for name in ("Kp", "Ki", "Kd"))
        error = (params["setpoint"] if inputs["setpoint"] is ABSENT else inputs["setpoint"]) - y
        sign = -1.0 if self.settings["reverse"] else 1.0
        before = torch.where(state["started"], state["measured"], y)

        n = self.settings["d_filter"]
        td = torch.where(kp > 0, kd / torch.where(kp > 0, kp, 1.0), kd)
        derivative = (td * state["derivative"] - sign * kd * n * (y - before)) / (td + n * h)
        wanted = sign * kp * error + state["integral"] + derivative
        control = wanted.clamp(self.settings["low"], self.settings["high"])

        some = torch.where(ki > 0, ki, 1.0)
        tracking = torch.where(kd > 0, (kd / some).sqrt(), kp / some).clamp(min=h)
        # Without an integral part there is nothing to wind up.
        unwinding = torch.where(ki > 0, h / tracking, 0.0)
        integral = state["integral"] + h * ki * sign * error + unwinding * (control - wanted)
        started = torch.ones_like(state["started"])
        new = {"integral": integral, "derivative": derivative, "measured": y, "started": started}
        return new, {"control": control, "error": error}
