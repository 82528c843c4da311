"""Simulated annealing and parallel tempering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attractor.energy.energy_model import EnergyModel
from attractor.energy.gibbs_sampler import GibbsSampler
from attractor.energy.heat_bath import random_start
from attractor.energy.model_port import refuse_other_variables, units_of_model
from attractor.energy.tempering import GOOD_RATES, cooled, geometric_ladder, swapped, tuned
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

# Lanes of the node's random numbers.
_START, _SWAP, _SWEEP = 0, 1, 2

_ROUNDS_TUNED = 10
"""Rounds of swaps of every pair after which the ladder is looked at again."""


class Annealing(TensorNode):
    """Low-energy states of a model (annealing), or samples at a ladder of temperatures (tempering).

    A step is a tick of `sweeps` sweeps. The replicas are independent runs of annealing, or the ladder, coldest first.
    The ladder is tuned during the first `steps` ticks and then stands: only from there on are samples samples.

    State: ``values`` (..., R, N), ``best`` (..., N) and ``best_energy`` (...), the lowest that any replica has met,
    ``steps`` (), ticks with a model so far; tempering: ``ladder`` (..., R), ``tried`` and ``swaps`` (..., R − 1) since
    the ladder was last changed, ``tunings`` (), how often it was.
    """

    kind = "ebm.anneal"
    title = "Annealing and tempering"
    category = "energy-based models"
    summary = "Lowers the temperature of a model, or exchanges replicas between temperatures."
    equation = (
        "geometric: T = T_s (T_e/T_s)^x, linear: T_s + (T_e − T_s) x, cosine: T_e + (T_s − T_e)(1 + cos πx)/2, "
        "x = step/(steps − 1) or `progress`; swap: min(1, exp[(β_i − β_j)(E_i − E_j)])"
    )
    references = (
        "Kirkpatrick, Gelatt & Vecchi 1983, Science 220:671",
        "Swendsen & Wang 1986, PRL 57:2607",
        "Rathore, Chopra & de Pablo 2005 (equal swap rates)",
    )
    inputs = (
        Port("model", "model", shape=("N",), doc="The model; its own temperature is not used."),
        Port("progress", "scalar", optional=True, doc="sa: x in [0, 1], in place of the count of steps."),
    )
    outputs = (
        Port("state", "any", doc="Values of all replicas [replicas, N]; tempering: coldest first."),
        Port("temperature", "vector", shape=("replicas",), doc="Temperature of every replica."),
        Port("acceptance", "scalar",
             doc="sa: share of units that the tick changed; parallel_tempering: share of tried swaps that were made."),
        Port("energies", "vector", shape=("replicas",), doc="Energy of every replica."),
        Port("best", "any", doc="The state of lowest energy so far, [1, N]."),
        Port("best_energy", "scalar", doc="Its energy."),
    )  # fmt: skip
    params = (
        Parameter("mode", "choice", "sa", choices=("sa", "parallel_tempering"), doc="Annealing or tempering."),
        Parameter("variables", "choice", "spin", choices=("spin", "cat"), doc="What the model's units are."),
        Parameter("T_start", "float", 10.0, min=0, max=1e6, open_min=True,
                  doc="sa: first temperature; parallel_tempering: the hottest."),
        Parameter("T_end", "float", 0.1, min=0, max=1e6, open_min=True, doc="The last, or the coldest."),
        Parameter("steps", "int", 1000, min=2, max=10_000_000, unit="tick",
                  doc="sa: length of the schedule; parallel_tempering: how long the ladder is tuned."),
        Parameter("schedule", "choice", "geometric", choices=("geometric", "linear", "cosine"),
                  doc="sa: see the equation."),
        Parameter("replicas", "int", 8, min=1, max=1024, doc="Independent runs, or temperatures."),
        Parameter("swap_every", "int", 10, min=1, max=10_000, unit="tick", doc="Ticks between two rounds of swaps."),
        Parameter("sweeps", "int", 1, min=1, max=1000, doc="Sweeps a tick."),
        Parameter("ladder", "choice", "tuned", choices=("tuned", "geometric"),
                  doc="parallel_tempering: temperatures at equal swap rates, or in geometric progression."),
    )  # fmt: skip
    differentiable = "spins are drawn, which has no gradient"

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        if params["T_end"] >= params["T_start"]:
            raise ShapeProblem("T_end", "the last temperature is not below the first.", "Make T_end less than T_start.")
        if params["mode"] == "parallel_tempering" and params["replicas"] < 2:
            raise ShapeProblem("replicas", "a single replica has none to swap with.", "Give at least two replicas.")

    @classmethod
    def output_kinds(cls, params: Mapping[str, Any]) -> dict[str, str]:
        return {"state": params["variables"], "best": params["variables"]}

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        n = units_of_model(inputs, params["variables"])
        r = params["replicas"]
        return {
            "state": (r, n), "temperature": (r,), "acceptance": (), "energies": (r,), "best": (1, n), "best_energy": (),
        }  # fmt: skip

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        return cls.cost_with(params, shapes, {})

    @classmethod
    def cost_with(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]) -> Cost:
        replicas, n = shapes["state"]
        size = models.get("model") or ModelSize.complete(shapes["model"])
        item = 1.0 if params["variables"] == "spin" else 8.0
        units = float(replicas * n)
        return Cost(
            flops=replicas * (params["sweeps"] * size.sweep + size.energy) + 2.0 * units,
            bytes=item * (units + n) + size.tables, outputs=item * (units + n) + 16.0 * replicas,
            scratch=replicas * max(size.swept(params["sweeps"]), size.told + (4.0 + item) * n) + item * units,
            preparing=size.tabling,
        )  # fmt: skip

    def prepare(self, ctx: Context) -> None:
        self._sweep = GibbsSampler(kernels=ctx.kernels)

    def initial_state(self, ctx: Context) -> State:
        replicas, n = self.port_shapes["state"]
        dtype = torch.int8 if self.settings["variables"] == "spin" else torch.int64
        state = {
            "values": torch.zeros(*ctx.batch, replicas, n, dtype=dtype, device=ctx.device),
            "best": torch.zeros(*ctx.batch, n, dtype=dtype, device=ctx.device),
            "best_energy": torch.zeros(ctx.batch, dtype=ctx.dtype, device=ctx.device),
            "steps": torch.zeros((), dtype=torch.int64),
        }
        if self.settings["mode"] == "parallel_tempering":
            ladder = geometric_ladder(self.settings["T_end"], self.settings["T_start"], replicas).to(ctx.device)
            pairs = torch.zeros(*ctx.batch, replicas - 1, dtype=torch.float64, device=ctx.device)
            state |= {
                "ladder": ladder.expand(*ctx.batch, replicas).clone(), "tried": pairs, "swaps": pairs.clone(),
                "tunings": torch.zeros((), dtype=torch.int64),
            }  # fmt: skip
        return state

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        model = inputs["model"]
        if model is ABSENT:
            return state, {port.name: ABSENT for port in self.outputs}
        refuse_other_variables(model, self.settings["variables"], ctx)
        state = dict(state)
        values = state["values"]
        if int(state["steps"]) == 0:
            values = random_start(model, self._uniform(_START, ctx))
        temperatures = self._temperatures(state, inputs["progress"], ctx)
        before = values
        values = self._sweep(
            model, values, ctx.random.key, ctx.tick, self.settings["sweeps"], _SWEEP,
            temperature=temperatures.to(ctx.dtype),
        )  # fmt: skip
        energies = model.energy(values).to(ctx.dtype)
        acceptance = (values != before).to(ctx.dtype).mean((-2, -1))
        if self.settings["mode"] == "parallel_tempering":
            values, energies, acceptance = self._exchanged(state, values, energies, ctx)
        state["values"], state["steps"] = values, state["steps"] + 1
        self._keep_best(state, model, values, energies)
        return state, {
            "state": values, "temperature": temperatures.to(ctx.dtype).expand(*ctx.batch, -1), "acceptance": acceptance,
            "energies": energies, "best": state["best"].unsqueeze(-2), "best_energy": state["best_energy"],
        }  # fmt: skip

    def _uniform(self, lane: int, ctx: Context) -> torch.Tensor:
        replicas, n = self.port_shapes["state"]
        drawn = ctx.random.uniform(replicas * n, lane, ahead=False)
        return drawn.reshape(*drawn.shape[:-1], replicas, n).expand(*ctx.batch, replicas, n)

    def _temperatures(self, state: State, progress: Any, ctx: Context) -> torch.Tensor:
        """(..., R), double precision."""
        if self.settings["mode"] == "parallel_tempering":
            return state["ladder"]
        if progress is ABSENT:
            x = torch.clamp(state["steps"].double() / (self.settings["steps"] - 1), max=1.0)
        else:
            x = progress.double()
            if bool(((x < 0) | (x > 1)).any()):
                raise ctx.fail(
                    f"a progress of {x.tolist()} is not in [0, 1].", "Map it to [0, 1] before it comes here."
                )
        temperature = cooled(self.settings["schedule"], self.settings["T_start"], self.settings["T_end"], x)
        shape = (*ctx.batch, self.settings["replicas"])
        return temperature.to(ctx.device).expand(ctx.batch).unsqueeze(-1).expand(shape)

    def _exchanged(
        self, state: State, values: torch.Tensor, energies: torch.Tensor, ctx: Context
    ) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """Values and energies after a round of swaps, if one is due, and the share of tried ones that were made."""
        steps, every = int(state["steps"]), self.settings["swap_every"]
        if (steps + 1) % every:
            return values, energies, ABSENT
        turn = (steps + 1) // every
        uniform = ctx.random.uniform(self.settings["replicas"] - 1, _SWAP, ahead=False)
        odd = turn % 2 == 0
        values, energies, swap = swapped(values, energies.double(), state["ladder"], uniform.double(), odd)
        tried = torch.arange(swap.shape[-1], device=swap.device) % 2 == int(odd)
        if not bool(tried.any()):
            return values, energies.to(ctx.dtype), ABSENT
        state["tried"], state["swaps"] = state["tried"] + tried, state["swaps"] + swap
        acceptance = swap[..., tried].to(ctx.dtype).mean(-1)
        if self.settings["ladder"] == "tuned" and steps < self.settings["steps"] and turn % (2 * _ROUNDS_TUNED) == 0:
            self._tune(state, last=steps + 2 * _ROUNDS_TUNED * every >= self.settings["steps"], ctx=ctx)
        return values, energies.to(ctx.dtype), acceptance

    def _tune(self, state: State, last: bool, ctx: Context) -> None:
        rates = state["swaps"] / state["tried"].clamp(min=1.0)
        # The gain falls as 1/√n: moves without end, each smaller, so that the ladder comes to rest.
        gain = 1.0 / (1.0 + float(state["tunings"])) ** 0.5
        state["ladder"] = tuned(state["ladder"], rates, gain)
        state["tunings"] = state["tunings"] + 1
        state["tried"], state["swaps"] = torch.zeros_like(rates), torch.zeros_like(rates)
        if last:
            self._judge(float(rates.mean()), ctx)

    def _judge(self, rate: float, ctx: Context) -> None:
        low, high = GOOD_RATES
        if rate < low:
            ctx.log(f"{rate:.0%} of the swaps are made: give more replicas or a lower T_start", "warning", rate=rate)
        elif rate > high:
            ctx.log(f"{rate:.0%} of the swaps are made: fewer replicas would do", "info", rate=rate)

    @staticmethod
    def _keep_best(state: State, model: EnergyModel, values: torch.Tensor, energies: torch.Tensor) -> None:
        # Under the model that is here now: the best state of another one may be a poor one of this.
        known = model.energy(state["best"].unsqueeze(-2)).squeeze(-1).to(energies.dtype)
        lowest, place = energies.min(-1)
        candidate = values.gather(-2, place[..., None, None].expand(*values.shape[:-2], 1, values.shape[-1])).squeeze(
            -2
        )
        better = (lowest < known) | (state["steps"] == 1)
        state["best"] = torch.where(better.unsqueeze(-1), candidate, state["best"])
        state["best_energy"] = torch.where(better, lowest, known)
