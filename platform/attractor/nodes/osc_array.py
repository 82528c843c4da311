"""The coupled oscillator array."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from attractor.errors import Diverged
from attractor.integrators import stochastic_heun
from attractor.neighbourhood import Neighbourhood
from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, State, TensorNode, per_unit
from attractor.order_parameter import order_parameter
from attractor.oscillators import CELLS
from attractor.oscillators.halving_test import METHODS, TOLERANCE, halving_error
from attractor.oscillators.vector_field import VectorField
from attractor.parameter import Parameter
from attractor.philox import BYTES_PER_DRAW
from attractor.port import Port, Shape
from attractor.topology import DEGREE, REWIRE, TOPOLOGIES, make_topology, validate_topology

GUARD: Final = 1e3
STAGES: Final = {"rk4": 4, "dopri5": 6}

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
        steps = math.ceil(params["speed"] * 0.01 / params["dt"])
        n, near = params["N"], 0 if params["topology"] in ("none", "all_to_all") else params["degree"]
        # `noise` is live: the draws of all steps of a tick, also where it begins at 0.
        draws = steps * n * len(CELLS[params["cell"]].components)
        return Cost(
            flops=steps * STAGES[params["method"]] * n * (40.0 + 3 * near),
            bytes=n * (4.0 * 60 + 8 * 3 * near) + BYTES_PER_DRAW * draws,
        )

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
        self.neighbourhood = Neighbourhood(topology, ctx.device, ctx.dtype)

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
        s = state["s"]
        if inputs["initial"] is not ABSENT:
            s = inputs["initial"].to(s.dtype).transpose(-1, -2)
        elif s.requires_grad and ctx.tick % self.settings["bptt"] == 0:
            s = s.detach()
        s = self._advanced(s.contiguous(), inputs, params, ctx)
        # A NaN is not `<=` either, so it trips the guard too.
        ctx.require(s.detach().abs().amax() <= GUARD, lambda: self._diverged(s.detach(), ctx))
        outputs: Outputs = dict(zip("xyz", s.unbind(-2), strict=False))
        own = {parameter.name: per_unit(params[parameter.name]) for parameter in self.cell.params}
        phases = self.cell.phase_vector(s, own)
        return {"s": s}, {"z": ABSENT, **outputs, "state": s.transpose(-1, -2), "sync": order_parameter(phases)}

    def _advanced(self, s: torch.Tensor, inputs: Inputs, params: Params, ctx: Context) -> torch.Tensor:
        """The states a tick later."""
        speed, rate = params["speed"], 1.0
        if isinstance(speed, torch.Tensor):
            # A sweep of speeds takes the steps of the fastest one; the field of the others is slowed down.
            fastest = float(speed.detach().max())
            speed, rate = fastest, speed / fastest
        units = speed * ctx.dt
        steps = max(1, math.ceil(units / self.settings["dt"] - 1e-9))
        h = units / steps
        field = VectorField(
            self.cell, params, s, neighbourhood=self.neighbourhood, coupling=_coupling(inputs, params),
            coupled=self.coupled, drive=_drive(inputs, params), rate=rate,
        )  # fmt: skip
        noise = params["noise"]
        if isinstance(noise, torch.Tensor) or noise > 0:
            depth, n = s.shape[-2:]
            draws = ctx.random.normal((steps, depth, n), lane=_NOISE)
            sigma = noise * rate**0.5
            sigma = sigma[..., None, None] if isinstance(sigma, torch.Tensor) else sigma
            for z in draws.unbind(-3):
                s = stochastic_heun(field, s, h, sigma, z)
            return s
        step = METHODS[self.settings["method"]]
        for _ in range(steps):
            s = step(field, s, h)
        return s

    def _diverged(self, s: torch.Tensor, ctx: Context) -> Diverged:
        worst = int(torch.nan_to_num(s.abs(), nan=math.inf).amax(-2).reshape(-1).argmax()) % self.size
        return Diverged(
            self.id, ctx.tick, f"the state of cell {worst} left the guard |state| ≤ {GUARD:g}.",
            "Weaken `force`, `modulation` or `noise`, bring the cell's parameters back into its bounded regime, "
            "or make `dt` smaller.",
            s.transpose(-1, -2),
        )  # fmt: skip


def _coupling(inputs: Inputs, params: Params) -> Any:
    mod = inputs["coupling_mod"]
    if mod is ABSENT:
        return params["coupling"]
    if isinstance(mod, torch.Tensor) and mod.dim() == 0 and not mod.requires_grad:
        mod = float(mod)
    return params["coupling"] * (1.0 + mod)


def _drive(inputs: Inputs, params: Params) -> torch.Tensor | None:
    """force + mod_depth·modulation, (..., N); None when neither has said anything yet."""
    force, modulation = inputs["force"], inputs["modulation"]
    drive: torch.Tensor | None = None if force is ABSENT else force
    if modulation is not ABSENT:
        current = per_unit(params["mod_depth"]) * modulation
        drive = current if drive is None else drive + current
    return drive
