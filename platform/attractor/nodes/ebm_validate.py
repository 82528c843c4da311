"""The validator of spin states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape


class StateValidator(TensorNode):
    """Lets only spin states through: values −1 and +1, finite energies.

    State: ``projected`` (...), how many values have ever been put right.
    """

    kind = "ebm.validate"
    title = "State validator"
    category = "energy-based models"
    summary = "Counts what is not a spin in a state, and holds it back or puts it right."
    equation = "valid: every s_i ∈ {−1, +1} and every energy finite; project: s_i ← +1 if s_i ≥ 0, else −1"
    inputs = (
        Port(
            "state",
            "any",
            when_absent="skip",
            among=("spin", "matrix", "vector"),
            doc="Spins or a matrix [C, N], or a vector [N] of one chain.",
        ),
        Port(
            "energy",
            "any",
            optional=True,
            when_absent="skip",
            among=("vector", "scalar"),
            doc="Energies of the chains, [C] or a scalar.",
        ),
    )
    outputs = (
        Port("state", "spin", shape=("C", "N"), doc="The state; silent in a tick in which it is held back."),
        Port("valid", "trigger", doc="Whether the state that came was valid."),
        Port("n_violations", "scalar", doc="Values of the state that are no spins, and energies that are not finite."),
        Port("projected", "scalar", doc="Values put right since the start."),
    )
    params = (
        Parameter("repair", "choice", "reject", choices=("reject", "project"),
                  doc="reject: hold an invalid state back; project: put finite values to the nearer spin (0 to +1)."),
    )  # fmt: skip
    differentiable = "it decides, which has no gradient"

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        shape = inputs.get("state", ())
        if len(shape) not in (1, 2):
            raise ShapeProblem(
                "state", "a state is a vector [N], or a matrix or spins [C, N].", "Connect one of these."
            )
        return {"state": (1, *shape)[-2:], "valid": (), "n_violations": (), "projected": ()}

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        chains, n = shapes["state"]
        return Cost(flops=4.0 * chains * n, bytes=6.0 * chains * n)

    def initial_state(self, ctx: Context) -> State:
        return {"projected": torch.zeros(ctx.batch, dtype=torch.int64, device=ctx.device)}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        silence: Outputs = {port.name: ABSENT for port in self.outputs}
        arrived = inputs["state"]
        if arrived is ABSENT:
            return state, silence
        if arrived.is_complex():
            raise ctx.fail("complex numbers are no spins.", "Connect a spin state.")
        # The port's shape is (1, N) also where a vector [N] comes in.
        values = arrived.detach().reshape(*ctx.batch, *self.port_shapes["state"])
        wrong = (values != 1) & (values != -1)
        violations = wrong.sum((-2, -1))
        hopeless = (~torch.isfinite(values)).any(-1).any(-1)
        energy = inputs["energy"]
        if energy is not ABSENT:
            infinite = (~torch.isfinite(energy)).reshape(*ctx.batch, -1).sum(-1)
            violations, hopeless = violations + infinite, hopeless | (infinite > 0)
        valid = violations == 0
        project = self.settings["repair"] == "project"
        kept = valid if not project else ~hopeless
        if bool(kept.any()) and not bool(kept.all()):
            point = int((~kept).reshape(-1).nonzero()[0])
            raise ctx.fail(
                f"point {point} of the sweep has an invalid state, others have not: it cannot be held back alone.",
                "Run that point alone, or mend the source of its state.",
            )
        if project:
            mended = torch.where(kept, wrong.sum((-2, -1)), 0)
            state = {"projected": state["projected"] + mended}
        out = torch.where(values >= 0, 1, -1).to(torch.int8)
        return state, {
            "state": out if bool(kept.all()) else ABSENT,
            "valid": valid,
            "n_violations": violations.to(ctx.dtype),
            "projected": state["projected"].to(ctx.dtype),
        }
