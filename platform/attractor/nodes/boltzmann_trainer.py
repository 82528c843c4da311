"""What the trainers of Boltzmann machines share: their data, their model, and when they learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import torch

from attractor.energy.boltzmann_learning import SpinMoments, machine
from attractor.energy.gibbs_sampler import GibbsSampler
from attractor.energy.heat_bath import conditional_log_probability, random_start
from attractor.energy.spin_model import SpinModel
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
from attractor.philox import FLOPS_PER_DRAW
from attractor.port import Port, Shape

# Lanes of the random numbers: the choice of a batch, the start of particles, the sweeps.
CHOICE: Final = 0
START: Final = 1
SWEEP: Final = 2

DATA: Final = (
    Port("data", "spin", shape=("C", "N"), optional=True, when_absent="skip",
         doc="C observations of N spins; they join those that came before."),
    Port("trigger", "trigger", optional=True, when_absent="skip", doc="Learn in this tick, whatever `every` says."),
)  # fmt: skip
LEARNED: Final = (
    Port("J", "matrix", shape=("N", "N"), doc="Couplings."),
    Port("h", "vector", shape=("N",), doc="Biases."),
    Port("model", "model", shape=("N",), doc="The machine as it stands."),
)
LEARNING: Final = (
    Parameter("lr", "float", 0.01, min=0, max=10, open_min=True, live=True, doc="Learning rate η."),
    Parameter("l2", "float", 1e-4, min=0, max=10, live=True, doc="Decay of couplings, λ in J ← J − ηλJ. Biases keep."),
    Parameter("T", "float", 1.0, min=0, max=20, open_min=True, doc="Temperature of the machine."),
    Parameter("memory", "int", 4096, min=2, max=1_000_000, doc="Observations that are kept; then the oldest goes."),
    Parameter("every", "int", 1, min=0, max=1_000_000, unit="tick",
              doc="Ticks between updates; 0: only when triggered."),
)  # fmt: skip


class BoltzmannTrainer(TensorNode):
    """A fully visible machine p(s) ∝ exp(−E/T) that learns couplings and biases from observed spins.

    State: ``J`` (..., N, N), ``h`` (..., N), ``data`` (..., memory, N), ``seen`` (), observations ever taken up,
    ``updates`` (), ``told`` (), the number of observations of the last warning that there are too few, and what the
    kind adds.
    """

    category: ClassVar[str] = "energy-based models"
    differentiable: ClassVar[bool | str] = "it learns by itself, from draws"

    @classmethod
    @abstractmethod
    def needed(cls, params: Mapping[str, Any]) -> int:
        """Observations that are needed before the first update."""

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        if cls.needed(params) > params["memory"]:
            raise ShapeProblem(
                "memory", f"{cls.needed(params)} observations are needed and {params['memory']} are kept.",
                "Make `memory` larger.",
            )  # fmt: skip

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        if "data" not in inputs:
            raise ShapeProblem("data", "there is nothing to learn from.", "Connect spins to `data`.")
        return super().shapes(params, inputs)

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        n, particles = shapes["h"][0], params.get("particles", 0)
        batch, chains = params.get("minibatch", 0), particles or params.get("minibatch", 0)
        size = ModelSize.complete((n,))
        # Sweeps of the chains, moments of both terms, the gradient, and the likelihood of the batch.
        sweeps, memory = params.get("k", 1), params["memory"]
        update = chains * (sweeps * size.sweep + 2.0 * n * n)
        update += batch * (4.0 * n * n + 8.0 * n) + 24.0 * n * n + FLOPS_PER_DRAW * memory
        # What was learned is shown by every tick until it is learned anew.
        # The data are copied when some are added, and kept as they were until the block ends. Beside them: an order
        # of them all, the sweeps, or the fields of the batch.
        passing = max(40.0 * memory, batch * n + chains * size.swept(sweeps), 24.0 * batch * n + chains * n)
        return Cost(
            flops=update / max(1, params["every"]) + 6.0 * n * n,
            bytes=float(memory * n) + particles * n + 20.0 * n * n + size.tables,
            outputs=(4.0 * n * n + particles * n) / max(1, params["every"]),
            scratch=2.0 * memory * n + passing + 40.0 * n * n, preparing=size.tabling,
        )  # fmt: skip

    @classmethod
    def model_size(
        cls, params: Mapping[str, Any], shapes: Mapping[str, Shape], models: Mapping[str, ModelSize]
    ) -> ModelSize:
        return ModelSize.complete(shapes["h"])

    def prepare(self, ctx: Context) -> None:
        self.sweep = GibbsSampler(kernels=ctx.kernels)

    def initial_state(self, ctx: Context) -> State:
        n = self.port_shapes["h"][0]
        kwargs: dict[str, Any] = {"dtype": ctx.dtype, "device": ctx.device}
        return {
            "J": torch.zeros(*ctx.batch, n, n, **kwargs),
            "h": torch.zeros(*ctx.batch, n, **kwargs),
            "data": torch.zeros(*ctx.batch, self.settings["memory"], n, dtype=torch.int8, device=ctx.device),
            "seen": torch.zeros((), dtype=torch.int64),
            "updates": torch.zeros((), dtype=torch.int64),
            "told": torch.full((), -1, dtype=torch.int64),
        }

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        if inputs["data"] is not ABSENT:
            state = self._remembering(state, inputs["data"], ctx)
        out: Outputs = {port.name: ABSENT for port in self.outputs}
        due = self._due(inputs["trigger"], ctx)
        if due is not None:
            if int(state["seen"]) >= self.needed(self.settings):
                following, told = self.learned(state, params, ctx)
                following["updates"] = state["updates"] + 1
                state = {name: _where(due, following[name], state[name]) for name in following}
                out |= told
            elif self._fired(inputs["trigger"]) and int(state["told"]) != int(state["seen"]):
                state = {**state, "told": state["seen"]}
                ctx.log(
                    f"nothing learned yet: {int(state['seen'])} of {self.needed(self.settings)} observations are here",
                    "warning",
                )
        model = self.model(state, ctx)
        return state, out | {"J": state["J"], "h": state["h"], "model": model}

    @abstractmethod
    def learned(self, state: State, params: Params, ctx: Context) -> tuple[State, Outputs]:
        """The whole state after an update, and what is to be said of it."""

    def model(self, state: State, ctx: Context) -> SpinModel:
        """The machine of a state."""
        if not bool(torch.isfinite(state["J"]).all() and torch.isfinite(state["h"]).all()):
            raise ctx.fail("what was learned is not finite any more.", "Lower `lr` or `l2`.")
        temperature = torch.tensor(self.settings["T"], dtype=ctx.dtype, device=ctx.device)
        return machine(state["J"], state["h"], temperature)

    def known(self, state: State) -> torch.Tensor:
        """All observations that are kept, (..., M, N)."""
        return state["data"][..., : min(int(state["seen"]), self.settings["memory"]), :]

    def chosen(self, state: State, rows: int, ctx: Context) -> torch.Tensor:
        """Some of the observations without repetition, (..., rows, N)."""
        kept = min(int(state["seen"]), self.settings["memory"])
        order = ctx.random.permutation(kept, CHOICE)[..., :rows].to(ctx.device)
        index = order.unsqueeze(-1).expand(*ctx.batch, rows, state["data"].shape[-1])
        return state["data"].gather(-2, index)

    def any_spins(self, model: SpinModel, rows: int, lane: int, ctx: Context) -> torch.Tensor:
        """Spins (..., rows, N), uniform over all states."""
        n = self.port_shapes["h"][0]
        drawn = ctx.random.uniform((rows, n), lane, ahead=False)
        return random_start(model, drawn.expand(*ctx.batch, rows, n))

    def run_on(self, model: SpinModel, spins: torch.Tensor, sweeps: int, ctx: Context) -> torch.Tensor:
        """Spins (..., C, N) after so many sweeps."""
        return self.sweep(model, spins, ctx.random.key, ctx.tick, sweeps, SWEEP)

    @staticmethod
    def moved(state: State, gradient: SpinMoments, lr: Any, l2: Any) -> State:
        """The state after a step along a gradient, couplings decaying; biases are learned like couplings."""
        rate = torch.as_tensor(lr, dtype=state["h"].dtype, device=state["h"].device)
        decay = torch.as_tensor(l2, dtype=state["h"].dtype, device=state["h"].device)
        pull = gradient.pair - decay[..., None, None] * state["J"]
        return {
            **state,
            "J": state["J"] + rate[..., None, None] * pull,
            "h": state["h"] + rate[..., None] * gradient.mean,
        }

    def _remembering(self, state: State, data: torch.Tensor, ctx: Context) -> State:
        if bool(((data != 1) & (data != -1)).any()):
            raise ctx.fail("an observed spin is neither −1 nor +1.", "Map what is observed to ±1 before it comes here.")
        memory, seen = self.settings["memory"], int(state["seen"])
        rows = data.to(torch.int8)[..., -memory:, :].expand(*ctx.batch, -1, -1)
        first = seen + data.shape[-2] - rows.shape[-2]
        place = (first + torch.arange(rows.shape[-2], device=rows.device)) % memory
        kept = state["data"].index_copy(-2, place, rows)
        return {**state, "data": kept, "seen": state["seen"] + data.shape[-2]}

    def _due(self, trigger: Any, ctx: Context) -> torch.Tensor | None:
        """For which points an update is due in this tick; None: for none."""
        every = self.settings["every"]
        if every and (ctx.tick + 1) % every == 0:
            return torch.ones(ctx.batch, dtype=torch.bool, device=ctx.device)
        if not self._fired(trigger):
            return None
        fired: torch.Tensor = trigger.to(ctx.device).expand(ctx.batch)
        return fired

    @staticmethod
    def _fired(trigger: Any) -> bool:
        return trigger is not ABSENT and bool(trigger.any())


def negative_log_pseudo_likelihood(model: SpinModel, spins: torch.Tensor) -> torch.Tensor:
    """−ln P(s_i | others), mean over rows and spins, in nats: ln 2 for a model that knows nothing."""
    return -conditional_log_probability(model, spins).mean((-2, -1))


def _where(due: torch.Tensor, new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    if new is old or new.dim() < due.dim():
        return new
    return torch.where(due.reshape(due.shape + (1,) * (new.dim() - due.dim())), new, old)
