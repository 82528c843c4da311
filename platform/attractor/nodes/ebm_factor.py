"""A weighted term of an energy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import torch
from pydantic import ValidationError

from attractor.energy import EnergyModel, PottsModel, SpinModel
from attractor.energy.model_sum import nothing_like, summed
from attractor.energy.terms import TERMS, EnergyTerm, TermSettings
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
from attractor.port import Port, Shape

_EMPTY: Final = "{}"


class WeightedFactor(TensorNode):
    """Puts a term on a model: into its energy and into the conditionals it is sampled by. It keeps no state.

    Chain factors by their ``factor`` ports. Without a ``model`` the term stands alone, at temperature 1. When what
    arrives at ``data`` changes, the term is built anew.
    """

    kind = "ebm.factor"
    title = "Weighted factor"
    category = "energy-based models"
    summary = "Adds a term to the energy of a model: fields, couplings, groups, a table, or a named energy."
    equation = "E = E_model + w·(1 + weight_mod)·E_term"
    references = ("Kschischang, Frey & Loeliger 2001 (factor graphs)", "see the settings of each type")
    inputs = (
        Port("model", "model", optional=True, doc="What the term is put on."),
        Port(
            "variables",
            "any",
            optional=True,
            when_absent="skip",
            among=("spin", "cat", "matrix"),
            doc="Values [C, N] at which `energy` is told.",
        ),
        Port(
            "weight_mod", "scalar", optional=True, doc="Modulates the weight: w·(1 + weight_mod); nothing counts as 0."
        ),
        Port(
            "data", "matrix", optional=True, doc="What a term is made of while it runs (signals, a picture, Q values)."
        ),
    )
    outputs = (
        Port("energy", "scalar", doc="Weighted value of the term alone, mean over chains. Silent without `variables`."),
        Port("factor", "model", doc="The model with the term."),
    )
    params = (
        Parameter("type", "choice", "pairwise", choices=tuple(TERMS), doc="Which term."),
        Parameter("weight", "float", 1.0, min=-1e6, max=1e6, live=True, doc="w."),
        Parameter("settings", "text", _EMPTY, doc="The term's settings, a JSON object."),
    )
    differentiable = "it hands on a model, not a tensor"

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        settings = term_settings(params["type"], params["settings"])
        if not settings.data_shape:
            cls._built(settings)

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        settings, data = term_settings(params["type"], params["settings"]), inputs.get("data")
        if data is not None and not settings.data_shape:
            raise ShapeProblem("data", f"a term of type {params['type']} takes no data.", "Disconnect `data`.")
        try:
            units = settings.units(data)
        except ValueError as error:
            raise ShapeProblem("settings", f"{error}.", "Change `settings`, or what arrives at `data`.") from error
        if data is None:
            cls._built(settings)
        for port, shape in (("model", inputs.get("model")), ("variables", _of_units(inputs.get("variables")))):
            wanted = units if port == "model" else units[:1]
            if shape is not None and shape != wanted:
                raise ShapeProblem(
                    port, f"shape {list(shape)} arrives where the term has {list(wanted)}.",
                    "Make the numbers of units (and states) equal.",
                )  # fmt: skip
        return {"energy": (), "factor": units}

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        return cls.cost_with(params, shapes, {})

    @classmethod
    def cost_with(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]) -> Cost:
        units, n = math.prod(shapes["factor"]), shapes["factor"][0]
        size = models.get("model")
        # The sum is made once; then only the energy of the term at the values that are told.
        chains = 0 if "variables" not in shapes else (shapes["variables"][0] if len(shapes["variables"]) > 1 else 1)
        pairs = 0.0 if size is None else 30.0 * n * (0.0 if size.dense else size.width) + 8.0 * n * n * size.dense
        return Cost(flops=4.0 * chains * units + 4.0 * units, bytes=16.0 * units + pairs, scratch=12.0 * chains * units)

    @classmethod
    def model_size(
        cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]
    ) -> ModelSize:
        # What the term couples is known only when it is built: that of the model below it, or everyone with everyone.
        return models.get("model") or ModelSize.complete(shapes["factor"])

    @staticmethod
    def _built(settings: TermSettings) -> EnergyTerm:
        try:
            return settings.build()
        except ValueError as error:
            raise ShapeProblem("settings", f"{error}.", "Change `settings`.") from error

    def prepare(self, ctx: Context) -> None:
        self._term_settings = term_settings(self.settings["type"], self.settings["settings"])
        self._made_of: torch.Tensor | None = None
        self._term: EnergyTerm | None = None
        self._last: tuple[Any, Any, Any, EnergyModel] | None = None
        if "data" not in self.port_shapes:
            self._term = _placed(self._term_settings.build(), ctx)

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        silence: Outputs = {port.name: ABSENT for port in self.outputs}
        term = self._current(inputs["data"], ctx)
        if term is None or ("model" in self.port_shapes and inputs["model"] is ABSENT):
            return state, silence
        weight = torch.as_tensor(params["weight"], dtype=ctx.dtype, device=ctx.device)
        if inputs["weight_mod"] is not ABSENT:
            weight = weight * (1.0 + inputs["weight_mod"].to(ctx.dtype))
        out = silence | {"factor": self._summed(inputs["model"], term, weight, ctx)}
        values = inputs["variables"]
        if values is not ABSENT:
            energy = (weight.unsqueeze(-1) * term.energy(self._legal(values, ctx))).mean(-1)
            out["energy"] = energy.to(ctx.dtype).expand(ctx.batch)
        return state, out

    def _current(self, data: Any, ctx: Context) -> EnergyTerm | None:
        """The term, built anew when its data have changed; None while there are none."""
        if "data" not in self.port_shapes:
            return self._term
        if data is ABSENT:
            return self._term
        if self._made_of is None or not torch.equal(self._made_of, data):
            if ctx.batch:
                raise ctx.fail(
                    "the data of a term cannot differ from point to point of a sweep.", "Sweep without `data`."
                )
            try:
                built = self._term_settings.build(data.detach().to("cpu", torch.float64).numpy())
            except ValueError as error:
                raise ctx.fail(f"{error}.", "Look at what arrives at `data`.") from error
            self._made_of, self._term, self._last = data, _placed(built, ctx), None
        return self._term

    def _summed(self, model: Any, term: EnergyTerm, weight: torch.Tensor, ctx: Context) -> EnergyModel:
        """The sum; the very object of the tick before while nothing changed."""
        if self._last is not None:
            before, same_term, same_weight, made = self._last
            if before is model and same_term is term and torch.equal(same_weight, weight):
                return made
        base = nothing_like(term.model) if model is ABSENT else model
        if not isinstance(base, EnergyModel):
            raise ctx.fail(f"{type(base).__name__} is no energy model.", "Connect the `model` of an energy-based node.")
        try:
            made = summed(base, term.model, weight, like=None if self._last is None else self._last[3])
        except ValueError as error:
            raise ctx.fail(f"{error}.", "Connect a model over the term's units.") from error
        self._last = (model, term, weight, made)
        return made

    def _legal(self, values: torch.Tensor, ctx: Context) -> torch.Tensor:
        rank = len(self.port_shapes["variables"])
        values = values.unsqueeze(-2) if rank == 1 else values
        units = self.port_shapes["factor"]
        legal = ((values == 1) | (values == -1)) if len(units) == 1 else ((values >= 0) & (values < units[1]))
        if not bool(legal.all()):
            raise ctx.fail("`variables` holds a value that none of the term's units can have.", "Connect their states.")
        return values


@lru_cache(maxsize=256)
def term_settings(kind: str, text: str) -> TermSettings:
    """The settings of a term of type `kind`.

    Raises:
        ShapeProblem: the text is no JSON object, or not one of this type's settings.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ShapeProblem("settings", f"no JSON: {error}.", 'Give an object such as {"N": 3}.') from error
    if not isinstance(document, dict):
        raise ShapeProblem("settings", "the settings are no JSON object.", 'Give an object such as {"N": 3}.')
    cls = TERMS[kind]
    try:
        settings = cls.model_validate(document)
        if not settings.data_shape:
            settings.units()
        return settings
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ShapeProblem(
            "settings", f"{place}: {first['msg']}.", f"{kind} has: {', '.join(cls.model_fields)}."
        ) from error
    except ValueError as error:
        raise ShapeProblem("settings", f"{error}.", "Change `settings`.") from error


def _of_units(shape: Shape | None) -> Shape | None:
    return None if shape is None else shape[-1:]


def _placed(term: EnergyTerm, ctx: Context) -> EnergyTerm:
    """The term with its numbers on the run's device and in its precision."""
    parts = {
        name: part.to(ctx.device, ctx.dtype) if isinstance(part, torch.Tensor) else part
        for name, part in term.model.parts()
    }
    cls: type[SpinModel] | type[PottsModel] = SpinModel if isinstance(term.model, SpinModel) else PottsModel
    return EnergyTerm(cls.of_parts(parts), term.constant)
