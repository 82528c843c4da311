"""Couplings among three and more spins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy import Couplings, EnergyModel, SpinModel
from attractor.energy.gibbs_sampler import GibbsSampler
from attractor.energy.heat_bath import random_start
from attractor.energy.model_port import refuse_other_variables
from attractor.energy.model_sum import nothing_like, summed
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

# Lanes of the node's random numbers: the start; attempt k at random groups; sweep k of a tick.
_START: Final = 0
_GROUPS: Final = 1 << 16
_SWEEP: Final = 1


class MultiSpinCoupling(TensorNode):
    """E = −w Σ_g Π_{i∈g} s_i, alone or on top of a model, sampled by heat-bath sweeps.

    The conditional field of spin i is w Σ_{g∋i} Π_{j∈g, j≠i} s_j. Spins that share a group are joined in the clique
    graph, whose colouring makes the blocks. State: ``spins`` (..., chains, N), random at the start; ``started`` ().
    """

    kind = "ebm.higher_order"
    title = "Multi-spin coupling"
    category = "energy-based models"
    summary = "Spins with couplings among groups of three, four or five."
    equation = "E = E_base − w Σ_g Π_{i∈g} s_i; P(s_i = +1 | rest) = σ(2 f_i/T), f_i = … + w Σ_{g∋i} Π_{j≠i} s_j"
    references = ("Gardner 1985, Nucl. Phys. B 257:747 (p-spin models)", "Geman & Geman 1984")
    inputs = (
        Port("groups", "matrix", shape=("M", "order"), optional=True,
             doc="The groups, a row of unit numbers each, in place of `groups`."),
        Port("base", "model", shape=("N",), optional=True, doc="A model of N spins that the groups are put on."),
    )  # fmt: skip
    outputs = (
        Port("energy", "scalar", doc="E after the sweeps, mean over chains."),
        Port("spins", "spin", shape=("chains", "N"), doc="The spins after the sweeps."),
        Port("model", "model", shape=("N",), doc="The model with the groups."),
    )
    params = (
        Parameter("N", "int", 64, min=3, max=16384, doc="Number of spins."),
        Parameter("order", "choice", 3, choices=(3, 4, 5), doc="Spins in a group."),
        Parameter("strength", "float", 0.5, min=-1000, max=1000, live=True, doc="w."),
        Parameter("arrangement", "choice", "ring", choices=("ring", "random", "tuples"),
                  doc="ring: i, i + 1, … around; random: `m` different ones, fixed by the seed; tuples: as listed."),
        Parameter("m", "int", 64, min=1, max=100_000, doc="random: number of groups."),
        Parameter("tuples", "list", [], doc="tuples: rows of `order` different unit numbers from 0."),
        Parameter("T", "float", 1.0, min=0, max=20, open_min=True, live=True,
                  doc="Temperature; that of a connected model takes its place."),
        Parameter("sweeps", "int", 5, min=1, max=1000, doc="Updates of every spin a tick."),
        Parameter("chains", "int", 4, min=1, max=1024, doc="Independent chains."),
    )  # fmt: skip
    differentiable = "spins are drawn, which has no gradient"

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        n, order = params["N"], params["order"]
        if order > n:
            raise ShapeProblem("order", f"{n} spins make no group of {order}.", "Make N larger.")
        if params["arrangement"] == "ring" and order == n:
            raise ShapeProblem("order", f"a ring of {n} spins repeats its only group.", "Make N larger than order.")
        if params["arrangement"] == "random":
            possible = math.comb(n, order)
            if params["m"] > possible // 2:
                raise ShapeProblem(
                    "m", f"{params['m']} random groups of {order} among {n} spins ({possible} in all) would repeat.",
                    "Make m at most half of them, or list them as tuples.",
                )  # fmt: skip
        if params["arrangement"] == "tuples":
            _checked(params["tuples"], n, order)

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        return cls.cost_with(params, shapes, {})

    @classmethod
    def cost_with(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]) -> Cost:
        chains, n = params["chains"], params["N"]
        size = cls.model_size(params, shapes, models)
        return Cost(
            flops=chains * (params["sweeps"] * size.sweep + size.energy),
            bytes=chains * n + size.tables,
            scratch=chains * max(size.swept(params["sweeps"]), size.told + 4.0 * n),
            preparing=size.tabling,
        )

    @classmethod
    def model_size(
        cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]
    ) -> ModelSize:
        order, n = params["order"], params["N"]
        groups = {"ring": n, "random": params["m"], "tuples": len(params["tuples"])}[params["arrangement"]]
        if "groups" in shapes:
            groups = shapes["groups"][0]
        # Around a ring the colours are those of runs of `order` units; else about one for every second neighbour.
        own = float(order) if params["arrangement"] == "ring" else 2.0 + 0.5 * groups * order * (order - 1) / n
        base = models.get("base")
        under = ModelSize(n, 0.0, 0.0, False, 1.0) if base is None else base
        return ModelSize(
            n, under.degree, under.width, under.dense, min(float(n), max(own, under.colours)),
            (*under.groups, (order, groups)),
        )  # fmt: skip

    def prepare(self, ctx: Context) -> None:
        self._sweep = GibbsSampler(kernels=ctx.kernels)
        self._arrived: torch.Tensor | None = None
        self._term: SpinModel | None = None
        self._last: tuple[Any, Any, Any, EnergyModel] | None = None
        if "groups" not in self.port_shapes:
            self._term = self._of_groups(self._arranged(ctx), ctx)

    def initial_state(self, ctx: Context) -> State:
        spins = torch.ones(*ctx.batch, *self.port_shapes["spins"], dtype=torch.int8, device=ctx.device)
        return {"spins": spins, "started": torch.zeros((), dtype=torch.bool)}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        silence: Outputs = {port.name: ABSENT for port in self.outputs}
        if any(port in self.port_shapes and inputs[port] is ABSENT for port in ("groups", "base")):
            return state, silence
        model = self._current(inputs, params, ctx)
        spins = state["spins"] if bool(state["started"]) else random_start(model, self._uniform(_START, ctx))
        spins = self._sweep(model, spins, ctx.random.key, ctx.tick, self.settings["sweeps"], _SWEEP)
        energy = model.energy(spins).mean(-1).to(ctx.dtype).expand(ctx.batch)
        return {"spins": spins, "started": torch.tensor(True)}, {"energy": energy, "spins": spins, "model": model}

    def _current(self, inputs: Inputs, params: Params, ctx: Context) -> EnergyModel:
        """The model of this tick; the very object of the tick before while nothing changed."""
        if "groups" in self.port_shapes and (self._arrived is None or not torch.equal(self._arrived, inputs["groups"])):
            self._arrived, self._last = inputs["groups"], None
            self._term = self._of_groups(self._given(inputs["groups"], ctx), ctx)
        assert self._term is not None
        # −0 equals 0, but the bytes of a model made with it, which are hashed, do not.
        strength = torch.as_tensor(params["strength"], dtype=ctx.dtype, device=ctx.device) + 0.0
        temperature = torch.as_tensor(params["T"], dtype=ctx.dtype, device=ctx.device)
        base = inputs["base"]
        key = (base, strength, temperature)
        if self._last is not None and self._last[0] is base and all(map(torch.equal, self._last[1:3], key[1:])):
            return self._last[3]
        if base is not ABSENT:
            refuse_other_variables(base, "spin", ctx)
        under = nothing_like(self._term, temperature) if base is ABSENT else base
        model = summed(under, self._term, strength, like=None if self._last is None else self._last[3])
        self._last = (*key, model)
        return model

    def _of_groups(self, groups: npt.NDArray[np.int64], ctx: Context) -> SpinModel:
        n = self.settings["N"]
        kwargs: dict[str, Any] = {"dtype": ctx.dtype, "device": ctx.device}
        none = Couplings.of_edges(n, np.zeros((0, 2), dtype=np.int64), torch.zeros(0, **kwargs))
        return SpinModel.of(none, terms=[(groups, torch.ones(len(groups), **kwargs))])

    def _arranged(self, ctx: Context) -> npt.NDArray[np.int64]:
        n, order = self.settings["N"], self.settings["order"]
        match self.settings["arrangement"]:
            case "ring":
                ring: npt.NDArray[np.int64] = (np.arange(n)[:, None] + np.arange(order)) % n
                return ring
            case "tuples":
                return _checked(self.settings["tuples"], n, order)
        found: dict[tuple[int, ...], None] = {}
        attempt = 0
        while len(found) < self.settings["m"]:
            # Drawn at once and not one by one: whether a group repeats is rare.
            drawn = ctx.random.uniform(order * self.settings["m"], _GROUPS + attempt, ahead=False).reshape(-1, order)
            attempt += 1
            for row in (drawn.cpu() * n).long().clamp(max=n - 1).sort(-1).values.tolist():
                if len(set(row)) == order and len(found) < self.settings["m"]:
                    found[tuple(row)] = None
        return np.array(list(found), dtype=np.int64)

    def _given(self, groups: torch.Tensor, ctx: Context) -> npt.NDArray[np.int64]:
        if ctx.batch:
            raise ctx.fail("groups cannot differ from point to point of a sweep.", "List them as `tuples`.")
        try:
            return _checked(groups.tolist(), self.settings["N"], self.settings["order"])
        except ShapeProblem as problem:
            raise ctx.fail(str(problem), problem.mend) from problem

    def _uniform(self, lane: int, ctx: Context) -> torch.Tensor:
        chains, n = self.port_shapes["spins"]
        drawn = ctx.random.uniform(chains * n, lane, ahead=False)
        return drawn.reshape(*drawn.shape[:-1], chains, n).expand(*ctx.batch, chains, n)


def _checked(rows: Any, n: int, order: int) -> npt.NDArray[np.int64]:
    """Groups (M, order) of different units.

    Raises:
        ShapeProblem: they are none.
    """
    mend = (
        f"List rows of {order} different whole numbers from 0 to {n - 1}, as [[{', '.join(map(str, range(order)))}]]."
    )
    if not rows or not all(isinstance(row, list | tuple) and len(row) == order for row in rows):
        raise ShapeProblem("tuples", f"the groups are no rows of {order} units.", mend)
    for row in rows:
        if any(isinstance(unit, list | tuple) or unit != int(unit) or not 0 <= unit < n for unit in row):
            raise ShapeProblem("tuples", f"the group {list(row)} names a unit that is not there.", mend)
        if len(set(row)) < order:
            raise ShapeProblem("tuples", f"the group {list(row)} names a unit twice.", mend)
    return np.array(rows, dtype=np.int64)
