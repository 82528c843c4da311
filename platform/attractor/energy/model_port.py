"""What a node may expect of a port that carries an energy model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attractor.energy.energy_model import EnergyModel
from attractor.energy.heat_bath import refuse_continuous
from attractor.node import Context, ShapeProblem
from attractor.port import Shape


def units_of_model(inputs: Mapping[str, Shape], variables: str) -> int:
    """N of a connected model, whose port says (N,) for spins and (N, K) for categories.

    Raises:
        ShapeProblem: it is unknown, or the model is not of these variables.
    """
    shape = inputs.get("model", ())
    if len(shape) != (1 if variables == "spin" else 2):
        raise ShapeProblem(
            "model", f"a model of shape {list(shape)} arrives where one of {variables} variables is expected.",
            'Connect the `model` of an energy-based node, and set `variables` to "spin" or "cat" as it has.',
        )  # fmt: skip
    return shape[0]


def refuse_other_variables(model: Any, variables: str, ctx: Context) -> None:
    """Refuse a value of a model port that is no model of these variables.

    Raises:
        NodeFailed: it is not.
    """
    if not isinstance(model, EnergyModel):
        raise ctx.fail(f"{type(model).__name__} is no energy model.", "Connect the `model` of an energy-based node.")
    if model.variables != variables:
        raise ctx.fail(f"the model's units are of kind {model.variables}.", f'Set `variables` to "{model.variables}".')
    try:
        refuse_continuous(model)
    except ValueError as error:
        raise ctx.fail(f"{error}.", "Connect a model of spins or categories.") from error
