"""What the nodes of one oscillator have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Final

import torch

from attractor.errors import Diverged
from attractor.node import (
    ABSENT,
    DEFAULT_BLOCK,
    Block,
    Context,
    Cost,
    Inputs,
    Outputs,
    Params,
    State,
    TensorNode,
    exact,
    tick_of,
)
from attractor.oscillators.cell import Cell
from attractor.oscillators.dense_output import samples, slopes
from attractor.oscillators.ensemble import GUARD, Ensemble
from attractor.oscillators.halving_test import METHODS, TOLERANCE, halving_error
from attractor.parameter import Parameter
from attractor.port import Port, Shape

FORCE: Final = Port("force", "scalar", optional=True, doc="Added in the equation where it says force.")
RESET: Final = Port(
    "reset", "trigger", optional=True, when_absent="skip", doc="Puts the state back to the start, before the tick."
)


def signals(*names: str) -> tuple[Port, ...]:
    """The output ports of a cell with these components."""
    ports = [
        Port(name, "signal", shape=("samples",), doc=f"{name} at evenly spaced times of the tick, the last at its end.")
        for name in names
    ]
    return (*ports, Port("state", "state3", shape=(1, len(names)), doc="All components at the end of the tick."))


def integration(dt: float) -> tuple[Parameter, ...]:
    """The parameters that all single oscillators share."""
    return (
        Parameter("dt", "float", dt, min=1e-4, max=0.02, unit="unit", doc="Longest integration step."),
        Parameter("method", "choice", "rk4", choices=tuple(METHODS), doc="Integrator."),
        Parameter("speed", "float", 1.0, min=1e-3, max=1e4, live=True, unit="unit/s", doc="Time units per second."),
        Parameter("samples", "int", 256, min=1, max=4096, doc="Samples of a signal in a tick."),
        Parameter("bptt", "int", 200, min=1, max=2000, unit="tick",
                  doc="Ticks after which a gradient is cut (truncated back-propagation through time)."),
    )  # fmt: skip


def start(name: str, value: float) -> Parameter:
    """The parameter with the start value of a component."""
    return Parameter(name, "float", value, min=-100, max=100, doc=f"{name[0]} at the start and after a reset.")


class SingleOscillator(TensorNode):
    """One oscillator. State: ``s``, (..., D, 1).

    A tick lasts ``speed · ctx.dt`` time units, cut into equal steps that are not longer than `dt`: the least number of
    them, or the least multiple of `samples` where that number is more. Between steps, signals are interpolated.

    Attributes:
        cell: the vector field.
        starts: parameters that hold the start value of each component.
        own: parameter of this node for every parameter of the cell.
    """

    category = "oscillators"
    cell: ClassVar[Cell]
    starts: ClassVar[tuple[str, ...]]
    own: ClassVar[Mapping[str, str]]

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        steps = math.ceil(params["speed"] * 0.01 / params["dt"] - 1e-9)
        count, depth = params["samples"], len(cls.cell.components)
        knots = min(steps, count)
        steps = count * math.ceil(steps / count) if steps > count else steps
        columns = depth + cls.cell.features
        evaluations, rest = {"rk4": (4, 12.0), "dopri5": (6, 40.0)}[params["method"]]
        step = evaluations * (cls.cell.features + depth * (2.0 * columns + 1.0)) + rest * depth
        # At a knot the guard and the slope, at a sample the cubic between two knots.
        flops = steps * step + knots * (4.0 + 2.0 * columns) * depth + count * 10.0 * depth
        block = DEFAULT_BLOCK * depth
        # A block is interpolated at once: the values and slopes at both ends of every sample, and the terms of the sum.
        return Cost(
            flops=flops, bytes=4.0 * depth, outputs=4.0 * depth * (count + knots + 1.0),
            scratch=block * (28.0 * count + 20.0 * knots), stacked=True,
        )  # fmt: skip

    @classmethod
    def batch_rounding(cls, params: Mapping[str, Any], kernels: bool) -> str | None:
        return None if kernels else "the slopes of a batch are matrix products that are summed in another order"

    def prepare(self, ctx: Context) -> None:
        self.ensemble = Ensemble(self.cell, self.settings["method"], ctx.device, ctx.dtype)

    def accept(self, params: Params, ctx: Context) -> None:
        """Tests the step.

        Raises:
            NodeFailed: the integration step fails the halving test.
        """
        dt = self.settings["dt"]
        error = halving_error(self.cell.name, tuple(self.field_params(params).items()), self.settings["method"], dt)
        if error > TOLERANCE:
            raise ctx.fail(
                f"dt = {dt:g} is too coarse: halving it moves the state by {error:.2g} after 1 time unit "
                f"(allowed: {TOLERANCE:g}).",
                'Make `dt` smaller, or set `method` to "dopri5".',
            )

    def field_params(self, params: Params, inputs: Inputs | None = None) -> dict[str, Any]:
        """The parameters of the cell in a tick."""
        return {name: exact(params[own]) for name, own in self.own.items()}

    def initial_state(self, ctx: Context) -> State:
        values = [self.settings[name] for name in self.starts]
        s = torch.tensor(values, dtype=ctx.dtype, device=ctx.device).unsqueeze(-1)
        return {"s": s.expand(*ctx.batch, *s.shape).clone()}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        state, blocks = self._ticks(state["s"], [inputs], [params], ctx)
        return state, {name: block.items[0] for name, block in blocks.items()}

    def step_block(
        self, state: State, inputs: Mapping[str, Any], params: Sequence[Params], ctx: Context
    ) -> tuple[State, dict[str, Block]]:
        """All ticks in one call of the kernel; a reset, or another number of steps, begins a new call."""
        first, ticks = ctx.tick, [tick_of(inputs, k) for k in range(len(params))]
        plans = [self._plan(each, ctx) for each in params]
        cuts = [0]
        for k in range(1, len(params)):
            recorded = torch.is_grad_enabled()  # A gradient is cut between ticks.
            if plans[k] is None or plans[k] != plans[k - 1] or ticks[k]["reset"] is not ABSENT or recorded:
                cuts.append(k)
        parts = []
        for low, high in pairwise([*cuts, len(params)]):
            ctx.tick = first + low
            state, blocks = self._ticks(state["s"], ticks[low:high], params[low:high], ctx)
            parts.append(blocks)
        ctx.tick = first + len(params) - 1
        if len(parts) == 1:
            return state, parts[0]
        return state, {name: Block.of(torch.cat([part[name].stacked() for part in parts])) for name in parts[0]}

    def _plan(self, params: Params, ctx: Context) -> tuple[int, int, float] | None:
        """Knots in a tick, steps from knot to knot, their length; None when every point of a sweep has its own."""
        units = exact(params["speed"]) * ctx.dt
        if isinstance(units, torch.Tensor) and (units.dim() or units.requires_grad):
            return None
        return self._knots_of(float(units))

    def _knots_of(self, units: float) -> tuple[int, int, float]:
        count = self.settings["samples"]
        steps = max(1, math.ceil(units / self.settings["dt"] - 1e-9))
        if steps <= count:
            return steps, 1, units / steps
        between = math.ceil(steps / count)
        return count, between, units / (count * between)

    def _ticks(
        self, s: torch.Tensor, inputs: Sequence[Inputs], params: Sequence[Params], ctx: Context
    ) -> tuple[State, dict[str, Block]]:
        """Ticks with one plan of knots, of which only the first may begin with a reset."""
        s = self._begun(s, inputs[0]["reset"], ctx)
        own = [self.field_params(each, given) for each, given in zip(params, inputs, strict=True)]
        force = _rows([0.0 if given["force"] is ABSENT else given["force"] for given in inputs], s)
        plan = self._plan(params[0], ctx)
        if plan is None:
            units = (exact(params[0]["speed"]) * ctx.dt).expand(s.shape[:-2])
            plans = [self._knots_of(float(each)) for each in units.detach().reshape(-1)]
            count, between = (torch.tensor([each[i] for each in plans]).view(units.shape) for i in (0, 1))
            spacing: Any = (units / count).to(s.dtype)[..., None, None]
            knots = self._uneven(s, own[0], force[0], count.to(s.device), between.to(s.device), units, ctx)
            number: Any = count.to(s.device)
        else:
            number, between_all, h = plan
            spacing = between_all * h
            knots = self._even(s, own, force, number, between_all, h, ctx)
        # (K, ..., D, n + 1): every tick with the knot it begins at.
        knots = knots.squeeze(-1).movedim(1, -1)
        knots = torch.cat((torch.cat((s.unsqueeze(0), knots[:-1, ..., -1:])), knots), dim=-1)
        self._refuse_divergence(knots, ctx)
        field = slopes(self.cell, _columns(own, knots), knots, force.unsqueeze(-1))
        values = samples(knots, field, spacing, number, self.settings["samples"])
        end = knots[..., -1]
        blocks = dict(zip(self.cell.components, map(Block.of, values.unbind(-2)), strict=True))
        return {"s": end[-1].unsqueeze(-1).clone()}, {**blocks, "state": Block.of(end.unsqueeze(-2))}

    def _begun(self, s: torch.Tensor, reset: Any, ctx: Context) -> torch.Tensor:
        """The state with which a tick begins."""
        if s.requires_grad and ctx.tick % self.settings["bptt"] == 0:
            s = s.detach()
        if reset is ABSENT:
            return s
        return torch.where(torch.as_tensor(reset, device=s.device)[..., None, None], self.initial_state(ctx)["s"], s)

    def _even(
        self, s: torch.Tensor, own: Sequence[Params], force: torch.Tensor, count: int, between: int, h: float,
        ctx: Context,
    ) -> torch.Tensor:  # fmt: skip
        """The states (K, n, ..., D, 1) at the knots of K ticks."""
        ticks = len(own)
        if ctx.kernels:
            constant = all(each == own[0] for each in own) if _numbers(own) else ticks == 1
            params = own[:1] if constant else [each for each in own for _ in range(count)]
            drive = force.repeat_interleave(count, 0).unsqueeze(-1)
            states = self.ensemble.block(s, ticks * count, params, [(between, h)], drive=drive)
            return states.view(ticks, count, *states.shape[1:])
        states_at: list[torch.Tensor] = []
        for each, drive in zip(own, force, strict=True):
            visited: list[torch.Tensor] = []
            plan = (count * between, h)
            s = self.ensemble.tick(s, each, plan, drive=drive.unsqueeze(-1), visit=visited.append)
            states_at.append(torch.stack(visited[between - 1 :: between]))
        return torch.stack(states_at)

    def _uneven(
        self, s: torch.Tensor, own: Params, force: torch.Tensor, count: torch.Tensor, between: torch.Tensor,
        units: torch.Tensor, ctx: Context,
    ) -> torch.Tensor:  # fmt: skip
        """The same for one tick of a sweep in which every point has its own number of knots; afterwards it rests."""
        h = units / (count * between)
        plans = [(torch.where(count > knot, between, 0), h) for knot in range(int(count.max()))]
        drive = force.unsqueeze(-1)
        if ctx.kernels:
            return self.ensemble.block(s, len(plans), [own], plans, drive=drive.unsqueeze(0)).unsqueeze(0)
        states = []
        for plan in plans:
            s = self.ensemble.tick(s, own, plan, drive=drive)
            states.append(s)
        return torch.stack(states).unsqueeze(0)

    def _refuse_divergence(self, knots: torch.Tensor, ctx: Context) -> None:
        # `<=` is false of a NaN too.
        within = knots.detach().abs().amax(-2) <= GUARD
        if bool(within.all()):
            return
        # The first tick, and in it the first knot, at which any point of a sweep is lost.
        knot = within.view(len(within), -1, within.shape[-1]).all(1).reshape(-1).long().argmin().item()
        k, at = divmod(int(knot), within.shape[-1])
        ctx.tick += k
        raise Diverged(
            self.id, ctx.moment, f"the state left the guard |state| ≤ {GUARD:g}.",
            "Weaken `force`, bring the parameters back into the bounded regime, or make `dt` smaller.",
            knots.detach()[k, ..., at],
        )  # fmt: skip


def _numbers(own: Sequence[Params]) -> bool:
    return not any(isinstance(value, torch.Tensor) for each in own for value in each.values())


def _rows(values: Sequence[Any], like: torch.Tensor) -> torch.Tensor:
    """One number a tick, floats or tensors of batch shape, as (K, ...)."""
    rows = [torch.as_tensor(value, dtype=like.dtype, device=like.device) for value in values]
    return torch.stack([row.expand(like.shape[:-2]) for row in rows])


def _columns(own: Sequence[Params], knots: torch.Tensor) -> dict[str, Any]:
    """The cell's parameters ready to meet knots (K, ..., n)."""
    columns: dict[str, Any] = {}
    for name in own[0]:
        values = [each[name] for each in own]
        if not any(isinstance(value, torch.Tensor) for value in values) and all(v == values[0] for v in values):
            columns[name] = values[0]
            continue
        rows = [torch.as_tensor(value, dtype=torch.float64, device=knots.device) for value in values]
        columns[name] = torch.stack([row.expand(knots.shape[1:-2]) for row in rows]).unsqueeze(-1)
    return columns
