"""The coupled oscillator array."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from attractor.errors import Diverged
from attractor.node import ABSENT, Block, Context, Cost, Inputs, Outputs, Params, State, TensorNode, exact, per_unit
from attractor.order_parameter import order_parameter
from attractor.oscillators import CELLS
from attractor.oscillators.advance import step_plan
from attractor.oscillators.ensemble import GUARD, Ensemble
from attractor.oscillators.halving_test import METHODS, TOLERANCE, halving_error
from attractor.parameter import Parameter
from attractor.philox import BYTES_PER_DRAW_AHEAD, FLOPS_PER_DRAW, ahead
from attractor.port import Port, Shape
from attractor.topology import (
    DEGREE,
    REWIRE,
    TOPOLOGIES,
    is_regular,
    make_topology,
    making_bytes,
    validate_topology,
    width_of,
)

# Lanes of the node's random numbers; lanes from 2 on belong to the topology.
_START, _NOISE = 0, 1


class CoupledOscillatorArray(TensorNode):
    """N cells of one kind with diffusive coupling. State: ``s``, (..., D, N): components lie outermost, so that one
    small matrix product evaluates the field of all cells.

    A tick lasts ``speed · ctx.dt`` time units, cut into the least number of equal steps that are not longer than `dt`.
    """

    kind = "osc.array"
    title = "Coupled oscillator array"
    category = "oscillators"
    summary = "N chaotic or periodic oscillators with diffusive coupling on a ring, a grid or a random graph."
    equation = (
        "ẋ_i = F(x_i) + ε(1 + coupling_mod) Σ_j A_ij (x_j − x_i) + force_i + mod_depth·modulation_i, A row-normalised; "
        "sync = |⟨exp(iθ)⟩| with θ the phase on the cell's lobe"
    )
    references = (
        "Pecora & Carroll 1998, Phys. Rev. Lett. 80:2109",
        "Matsumoto 1984; Chua, Komuro & Matsumoto 1986 (chua)",
        "Lorenz 1963; Rössler 1976; Van der Pol 1926 (the other cells)",
        "Watts & Strogatz 1998 (small_world); Erdős & Rényi 1959 (random)",
        "Kuramoto 1984; Pikovsky et al. 1997 (sync)",
    )
    inputs = (
        Port("modulation", "vector", shape=("N",), optional=True,
             doc="Additive current, scaled by mod_depth; it enters like force, so a linear array stays linear."),
        Port("initial", "state3", shape=("N", "D"), optional=True, when_absent="skip",
             doc="A value replaces the state at the start of its tick."),
        Port("coupling_mod", "scalar", optional=True, doc="Effective coupling = coupling·(1 + coupling_mod)."),
        Port("force", "vector", shape=("N",), optional=True,
             doc="Added where the cell's equation has its force: dx/dt, or dv/dt of Van der Pol."),
    )  # fmt: skip
    outputs = (
        Port("x", "vector", shape=("N",), doc="First component."),
        Port("y", "vector", shape=("N",), doc="Second component (v of Van der Pol)."),
        Port("z", "vector", shape=("N",), doc="Third component; silent for Van der Pol."),
        Port("state", "state3", shape=("N", "D"), doc="All components; D = 3, or 2 for Van der Pol."),
        Port("sync", "scalar", doc="Kuramoto order parameter of the lobe phases, 0 to 1."),
    )
    params = (
        Parameter("cell", "choice", "chua", choices=tuple(CELLS), doc="The oscillator that stands at every place."),
        Parameter("N", "int", 64, min=1, max=4096, doc="Number of oscillators."),
        Parameter("topology", "choice", "ring", choices=TOPOLOGIES,
                  doc="Who is coupled with whom; grid2d is a torus, as square as N allows, in row-major order."),
        DEGREE,
        REWIRE,
        Parameter("coupling", "float", 0.2, min=0, max=5, live=True, unit="1/unit", doc="Coupling ε."),
        Parameter("couple_var", "choice", "x", choices=("x", "y", "xyz"),
                  doc="The component that is coupled: first, second or all."),
        Parameter("init", "choice", "random", choices=("random", "zero", "phase_ring", "lattice"),
                  doc="Start: normal numbers, the origin, a circle in the phase plane, or x evenly over ±init_scale."),
        Parameter("init_scale", "float", 0.1, min=0, max=10, doc="Size of the start around the origin."),
        Parameter("noise", "float", 0.0, min=0, max=1, live=True, unit="1/√unit",
                  doc="Standard deviation of the white noise on every component, per √unit."),
        Parameter("mod_depth", "float", 0.1, min=0, max=10, live=True, doc="Factor on the modulation input."),
        Parameter("speed", "float", 1.0, min=1e-3, max=1e4, live=True, unit="unit/s", doc="Time units per second."),
        Parameter("dt", "float", 0.005, min=1e-4, max=0.02, unit="unit", doc="Longest integration step."),
        Parameter("method", "choice", "rk4", choices=tuple(METHODS),
                  doc="Integrator; with noise it is the stochastic Heun method instead."),
        Parameter("bptt", "int", 200, min=1, max=2000, unit="tick",
                  doc="Ticks after which a gradient is cut (truncated back-propagation through time)."),
        *(parameter for cell in CELLS.values() for parameter in cell.params),
    )  # fmt: skip

    def __init__(self, id: str, params: Mapping[str, Any], shapes: Mapping[str, Shape] | None = None) -> None:
        super().__init__(id, params, shapes)
        self.cell = CELLS[self.settings["cell"]]
        self.size: int = self.settings["N"]
        depth = len(self.cell.components)
        self.coupled = {"x": (0,), "y": (1,), "xyz": tuple(range(depth))}[self.settings["couple_var"]]

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        validate_topology(params["topology"], params["N"], params["degree"])

    @classmethod
    def bind(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, int]:
        return super().bind({**params, "D": len(CELLS[params["cell"]].components)}, inputs)

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        n, topology, method = params["N"], params["topology"], params["method"]
        cell = CELLS[params["cell"]]
        depth, width = len(cell.components), width_of(topology, n, params["degree"], params["rewire_p"])
        coupled = 0 if topology == "none" else depth if params["couple_var"] == "xyz" else 1
        regular, driven = is_regular(topology), bool({"force", "modulation"} & set(shapes))
        # A column of the small matrix for every component, every nonlinear term and every row that is gathered.
        columns = depth + cell.features + coupled * max(1.0, width if regular else 1.0)
        gathering = coupled * (1.0 if topology == "all_to_all" else 0.0 if regular else width + 3.0)
        slope = cell.features + gathering + 2.0 * depth * columns + depth * driven
        noisy = not _silent(params["noise"])
        evaluations, rest = (2, 9.0) if noisy else {"rk4": (4, 12.0), "dopri5": (6, 40.0)}[method]
        steps = math.ceil(params["speed"] * 0.01 / params["dt"] - 1e-9)
        draws = steps * n * depth if noisy else 0
        # After the steps the guard, the phase vectors, and the order parameter.
        flops = n * (steps * (evaluations * slope + rest * depth) + 2.0 * depth + 14.0 + 2.0 * depth * driven)
        # The lists of neighbours, by 64-bit numbers for torch and by 32-bit ones for the kernels; the state.
        kept = n * (12.0 * width + 40.0 + 4.0 * depth) + 4.0 * ahead(draws)
        gathered = coupled * 2.0 * width if not regular else 0.0
        scratch = 4.0 * n * (columns + (9.0 if method == "dopri5" else 7.0) * depth + gathered)
        drawing = BYTES_PER_DRAW_AHEAD * ahead(draws)
        return Cost(
            flops=flops + FLOPS_PER_DRAW * draws, bytes=kept, outputs=4.0 * n * depth, scratch=max(scratch, drawing),
            preparing=making_bytes(topology, n, params["degree"]),
        )  # fmt: skip

    @classmethod
    def batch_rounding(cls, params: Mapping[str, Any], kernels: bool) -> str | None:
        return "the slopes of a batch are matrix products that are summed in another order"

    def prepare(self, ctx: Context) -> None:
        """Draws the graph."""

        def uniform(n: int, lane: int) -> npt.NDArray[np.float64]:
            return ctx.random.uniform(n, lane).to("cpu", torch.float64).numpy()

        topology = make_topology(
            self.settings["topology"], self.size, self.settings["degree"], self.settings["rewire_p"], uniform
        )
        self.topology = topology
        self.ensemble = Ensemble(self.cell, self.settings["method"], ctx.device, ctx.dtype, topology, self.coupled)

    def accept(self, params: Params, ctx: Context) -> None:
        """Tests the step.

        Raises:
            NodeFailed: the integration step fails the halving test.
        """
        own = tuple((parameter.name, params[parameter.name]) for parameter in self.cell.params)
        error = halving_error(self.cell.name, own, self.settings["method"], self.settings["dt"])
        if error > TOLERANCE:
            raise ctx.fail(
                f"dt = {self.settings['dt']:g} is too coarse: halving it moves the state of a {self.cell.name} cell "
                f"by {error:.2g} after 1 time unit (allowed: {TOLERANCE:g}).",
                'Make `dt` smaller, or set `method` to "dopri5".',
            )

    def initial_state(self, ctx: Context) -> State:
        depth, n, scale = len(self.cell.components), self.size, self.settings["init_scale"]
        s = torch.zeros(depth, n, dtype=ctx.dtype, device=ctx.device)
        match self.settings["init"]:
            case "random":
                s = scale * ctx.random.normal((depth, n), lane=_START)
            case "phase_ring":
                angle = torch.arange(n, dtype=ctx.dtype, device=ctx.device) * (2.0 * math.pi / n)
                s[0], s[1] = scale * torch.cos(angle), scale * torch.sin(angle)
            case "lattice":
                s[0] = torch.linspace(-scale, scale, n, dtype=ctx.dtype, device=ctx.device) if n > 1 else 0.0
        return {"s": s.expand(*ctx.batch, depth, n).clone()}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        s = self._start(state["s"], inputs["initial"], ctx)
        s = self._advanced(s, inputs, params, ctx)
        # A NaN is not `<=` either, so it trips the guard too.
        ctx.require(s.detach().abs().amax() <= GUARD, lambda: self._diverged(s.detach(), ctx))
        outputs: Outputs = dict(zip("xyz", s.unbind(-2), strict=False))
        sync = order_parameter(self._phases(s.unsqueeze(0), [params]))[0]
        return {"s": s}, {"z": ABSENT, **outputs, "state": s.transpose(-1, -2), "sync": sync}

    def step_block(
        self, state: State, inputs: Mapping[str, Any], params: Sequence[Params], ctx: Context
    ) -> tuple[State, dict[str, Block]]:
        """All ticks in one call of the kernel, unless something must be seen to between them."""
        quiet = all(_silent(each["noise"]) for each in params)
        if not (ctx.kernels and quiet) or torch.is_grad_enabled():
            return super().step_block(state, inputs, params, ctx)
        first, ticks, s = ctx.tick, len(params), state["s"]
        drive = _drives(inputs, params, s.dtype)
        mods = inputs["coupling_mod"].items
        coupling = [_coupling({"coupling_mod": mod}, each) for mod, each in zip(mods, params, strict=True)]
        plans = [self._plan(each, ctx) for each in params]
        if _constant(params) and _constant(mods):
            params, plans, coupling = params[:1], plans[:1], coupling[:1]
        starts, parts = inputs["initial"].items, []
        cuts = [0, *(k for k in range(1, ticks) if starts[k] is not ABSENT), ticks]
        for low, high in pairwise(cuts):
            ctx.tick = first + low
            part = slice(low, high)
            states = self.ensemble.block(
                self._start(s, starts[low], ctx), high - low, _part(params, part), _part(plans, part),
                coupling=_part(coupling, part), drive=None if drive is None else _part(drive, part),
            )  # fmt: skip
            s = states[-1]
            parts.append(states)
        states = torch.cat(parts) if len(parts) > 1 else parts[0]
        within = states.abs().flatten(1).amax(-1) <= GUARD
        if not bool(within.all()):
            k = int(within.long().argmin())
            ctx.tick = first + k
            raise self._diverged(states[k], ctx)
        ctx.tick = first + ticks - 1
        blocks = {name: Block.of(values) for name, values in zip("xyz", states.unbind(-2), strict=False)}
        blocks["state"] = Block.of(states.transpose(-1, -2))
        blocks["sync"] = Block.of(order_parameter(self._phases(states, params)))
        return {"s": states[-1].clone()}, {"z": Block.constant(ABSENT, ticks), **blocks}

    def _start(self, s: torch.Tensor, initial: Any, ctx: Context) -> torch.Tensor:
        """The states with which a tick begins."""
        if initial is not ABSENT:
            s = initial.to(s.dtype).transpose(-1, -2)
        elif s.requires_grad and ctx.tick % self.settings["bptt"] == 0:
            s = s.detach()
        return s.contiguous()

    def _advanced(self, s: torch.Tensor, inputs: Inputs, params: Params, ctx: Context) -> torch.Tensor:
        """The states a tick later."""
        coupling, drive = _coupling(inputs, params), _drive(inputs, params, s.dtype)
        noise = None if _silent(params["noise"]) else params["noise"]
        plan = self._plan(params, ctx)
        if ctx.kernels and noise is None:
            drive = None if drive is None else drive.unsqueeze(0)
            return self.ensemble.block(s, 1, [params], [plan], coupling=[coupling], drive=drive)[0]

        def draws(n: int) -> torch.Tensor:
            return ctx.random.normal(n, lane=_NOISE)

        return self.ensemble.tick(
            s, params, plan, coupling=coupling, drive=drive, noise=noise, draws=None if noise is None else draws
        )

    def _plan(self, params: Params, ctx: Context) -> tuple[Any, Any]:
        return step_plan(exact(params["speed"]), ctx.dt, self.settings["dt"])

    def _phases(self, states: torch.Tensor, params: Sequence[Params]) -> torch.Tensor:
        """Phase vectors (K, ..., 2, N) of states (K, ..., D, N)."""
        own: dict[str, Any] = {}
        for parameter in self.cell.params:
            values = [each[parameter.name] for each in params]
            if _constant(values) and not isinstance(values[0], torch.Tensor):
                own[parameter.name] = values[0]
                continue
            values = [torch.as_tensor(value, dtype=states.dtype, device=states.device) for value in values]
            ticks = torch.stack(torch.broadcast_tensors(*values))  # type: ignore[no-untyped-call]
            own[parameter.name] = ticks.reshape(*ticks.shape, *[1] * (states.dim() - 1 - ticks.dim()))
        return self.cell.phase_vector(states, own)

    def _diverged(self, s: torch.Tensor, ctx: Context) -> Diverged:
        worst = int(torch.nan_to_num(s.abs(), nan=math.inf).amax(-2).reshape(-1).argmax()) % self.size
        return Diverged(
            self.id, ctx.moment, f"the state of cell {worst} left the guard |state| ≤ {GUARD:g}.",
            "Weaken `force`, `modulation` or `noise`, bring the cell's parameters back into its bounded regime, "
            "or make `dt` smaller.",
            s.transpose(-1, -2),
        )  # fmt: skip


def _constant(values: Sequence[Any]) -> bool:
    return all(value is values[0] for value in values)


def _part(values: Any, part: slice) -> Any:
    """The ticks of a part, of something that is said for each tick or once for all."""
    return values if len(values) == 1 else values[part]


def _silent(noise: Any) -> bool:
    return not isinstance(noise, torch.Tensor) and noise == 0


def _coupling(inputs: Inputs, params: Params) -> Any:
    mod = inputs["coupling_mod"]
    if mod is ABSENT:
        return params["coupling"]
    if isinstance(mod, torch.Tensor) and mod.dim() == 0 and not mod.requires_grad:
        mod = float(mod)
    return exact(params["coupling"]) * (1.0 + exact(mod))


def _drive(inputs: Inputs, params: Params, dtype: torch.dtype) -> torch.Tensor | None:
    """force + mod_depth·modulation, (..., N); None when neither has said anything yet."""
    force, modulation = inputs["force"], inputs["modulation"]
    drive: torch.Tensor | None = None if force is ABSENT else force
    if modulation is not ABSENT:
        depth = params["mod_depth"]
        depth = per_unit(depth.to(dtype)) if isinstance(depth, torch.Tensor) else depth
        current = depth * modulation
        drive = current if drive is None else drive + current
    return drive


def _drives(inputs: Mapping[str, Any], params: Sequence[Params], dtype: torch.dtype) -> torch.Tensor | None:
    """The same for the ticks of a block, (K, ..., N); a tick in which nobody speaks is driven by 0."""
    given = zip(inputs["force"].items, inputs["modulation"].items, params, strict=True)
    ticks = [_drive({"force": force, "modulation": current}, each, dtype) for force, current, each in given]
    some = next((drive for drive in ticks if drive is not None), None)
    if some is None:
        return None
    if _constant(ticks):
        return some.unsqueeze(0)
    rows = [torch.zeros_like(some) if drive is None else drive for drive in ticks]
    return torch.stack(torch.broadcast_tensors(*rows))  # type: ignore[no-untyped-call]
