"""The wave field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from attractor.grid_size import SIZE, size_of
from attractor.kernels import fdtd
from attractor.kernels.fdtd import CourantViolated, Grid
from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode, exact
from attractor.parameter import Parameter
from attractor.port import Port, Shape


class WaveField(TensorNode):
    """A real field on a grid, by leapfrog with centred damping. State: ``p`` and ``d`` = p − p⁻ (see
    `attractor.kernels.fdtd` for why not p⁻ itself), (..., *size), both 0 at the start; with pml the absorbing layer's
    memory by axis, ``layer0`` ….
    """

    kind = "field.wave"
    title = "Wave field (FDTD)"
    category = "wave field"
    summary = "The damped wave equation on a 2-D or 3-D grid, with closed or absorbing edges."
    equation = (
        "p_tt + γ p_t = c²∇²p + S, c = c(1 + c_mod), γ = γ(1 + gamma_mod); "
        "p⁺ = [2p − (1 − γdt/2)p⁻ + c²dt²∇²p + dt²S]/(1 + γdt/2), stable for c·dt/dx ≤ 1/√dims; "
        "E = ½Σ[(p − p⁻)²/dt² + c²∇p·∇p⁻], conserved for γ = 0, S = 0 and a closed edge"
    )
    references = (
        "Taflove & Hagness, Computational Electrodynamics",
        "Mur 1981, IEEE Trans. EMC 23:377 (mur1)",
        "Berenger 1994, J. Comput. Phys. 114:185; Roden & Gedney 2000, Microw. Opt. Technol. Lett. 27:334 (pml)",
    )
    inputs = (
        Port("source", "field", optional=True, doc="S, of the grid's shape."),
        Port("c_mod", "scalar", optional=True, doc="Effective wave speed = c·(1 + c_mod)."),
        Port("gamma_mod", "scalar", optional=True, doc="Effective damping = gamma·(1 + gamma_mod)."),
    )
    outputs = (
        Port("field", "field", doc="p after the tick's last step."),
        Port("energy", "scalar", doc="E of p and p⁻ after the tick's last step, Σ over cells."),
        Port("cfl", "scalar", doc="Courant number c·dt/dx of the tick; the limit is 1/√dims."),
    )
    params = (
        Parameter("dims", "choice", 2, choices=(2, 3), doc="Space dimensions."),
        SIZE,
        Parameter("dx", "float", 1.0, min=1e-6, max=1e6, unit="length", doc="Distance of cells."),
        Parameter("dt", "float", 0.01, min=1e-9, max=1e3, unit="unit", doc="Time step."),
        Parameter("steps", "int", 1, min=1, max=10_000, doc="Time steps in a tick."),
        Parameter("c", "float", 1.0, min=0, max=10, open_min=True, live=True, unit="length/unit", doc="Wave speed."),
        Parameter("gamma", "float", 0.01, min=0, max=5, live=True, unit="1/unit", doc="Damping."),
        Parameter("boundary", "choice", "periodic", choices=fdtd.BOUNDARIES,
                  doc="A torus; a zero edge, which reflects everything; Mur's first-order edge; an absorbing layer."),
        Parameter("pml_width", "int", 12, min=4, max=32, unit="cell",
                  doc="pml: width of the absorbing layer, which lies inside the grid at every end."),
    )  # fmt: skip

    def __init__(self, id: str, params: Mapping[str, Any], shapes: Mapping[str, Shape] | None = None) -> None:
        super().__init__(id, params, shapes)
        self.size = size_of(self.settings)
        self.grid = _grid(self.settings)

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        size = size_of(params, (params["dims"],))
        if params["boundary"] == "pml" and min(size) < 2 * params["pml_width"] + 4:
            raise ShapeProblem(
                "pml_width",
                f"two layers of {params['pml_width']} cells leave fewer than 4 of {min(size)}.",
                "Make the layer thinner, or the grid larger.",
            )
        grid = _grid(params)
        if grid.courant(params["c"]) > grid.limit:
            raise ShapeProblem(
                "dt",
                f"c·dt/dx = {grid.courant(params['c']):.4g} is beyond the limit 1/√{grid.dims} = {grid.limit:.4g}, "
                "where the scheme is unstable.",
                "Make `dt` or `c` smaller, or `dx` larger.",
            )

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        size = size_of(params, (params["dims"],))
        source = inputs.get("source", size)
        if source != size:
            raise ShapeProblem(
                "source", f"a source of shape {list(source)} drives a grid of {list(size)}.", "Make the sizes equal."
            )
        return {"field": size, "energy": (), "cfl": ()}

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        size = size_of(params)
        cells, dims, steps, fed = float(math.prod(size)), len(size), params["steps"], "source" in shapes
        layer = sum(2.0 * params["pml_width"] * cells / n for n in size) if params["boundary"] == "pml" else 0.0
        # A step: the sum around a cell, the new increment, and the field; then the energy.
        step = cells * (2.0 * dims + 5.0 + 2.0 * fed) + 13.0 * layer
        # d, and for the energy the field before, the gradients of both with their edges, and a product twice as wide.
        scratch = cells * (9.0 if params["boundary"] == "periodic" else 10.0) + 6.0 * layer / dims
        return Cost(
            flops=steps * step + cells * (3.0 + 4.0 * dims), bytes=4.0 * (2.0 * cells + 2.0 * layer),
            scratch=4.0 * scratch + 8.0 * layer,
        )  # fmt: skip

    def initial_state(self, ctx: Context) -> State:
        p = torch.zeros(*ctx.batch, *self.size, dtype=ctx.dtype, device=ctx.device)
        layers = {f"layer{axis}": one for axis, one in enumerate(self.grid.memory(p))}
        return {"p": p, "d": torch.zeros_like(p), **layers}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        c = _modulated(params["c"], inputs["c_mod"])
        gamma = _modulated(params["gamma"], inputs["gamma_mod"])
        source = None if inputs["source"] is ABSENT else inputs["source"]
        memory = [state[f"layer{axis}"] for axis in range(len(state) - 2)]
        advance = fdtd.kernel if ctx.kernels else fdtd.reference
        try:
            p, d, memory, energy = advance(
                state["p"], state["d"], memory, source, c, gamma, self.grid, self.settings["steps"]
            )
        except CourantViolated as violated:
            raise ctx.fail(f"{violated}.", "Make `dt` smaller, or weaken what raises the wave speed.") from violated
        except fdtd.OutOfRange as wrong:
            raise ctx.fail(f"{wrong}.", "Keep `c_mod` and `gamma_mod` above −1.") from wrong
        courant = torch.as_tensor(c, dtype=ctx.dtype, device=ctx.device) * (self.grid.dt / self.grid.dx)
        layers = {f"layer{axis}": one for axis, one in enumerate(memory)}
        return {"p": p, "d": d, **layers}, {"field": p, "energy": energy, "cfl": courant.expand(ctx.batch)}


def _grid(params: Mapping[str, Any]) -> Grid:
    return Grid(params["dims"], params["dx"], params["dt"], params["boundary"], params["pml_width"])


def _modulated(value: Any, mod: Any) -> Any:
    if mod is ABSENT:
        return value
    mod = float(mod) if mod.dim() == 0 and not mod.requires_grad else mod.double()
    return exact(value) * (1.0 + mod)
