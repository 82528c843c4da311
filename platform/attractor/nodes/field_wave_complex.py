"""The complex envelope field."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from typing import Any, Final

import torch

from attractor.grid_size import SIZE, size_of
from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape

ABSORPTION: Final = 8.0
"""Strength of the absorbing layer: the factor by which it stretches its outermost cell is 1 + 8·e^(±iπ/4)."""

_COMPLEX: Final = {torch.float32: torch.complex64, torch.float64: torch.complex128}


class ComplexEnvelope(TensorNode):
    """The slowly varying envelope u of a beam or a pulse, by Strang's splitting: half a linear step, a nonlinear step,
    half a linear step. State: ``u``, (..., H, W), 0 at the start.

    Both parts are exact for themselves, so no choice of step is unstable: the linear one in Fourier space (with pml, by
    the exponential of the stretched spectral Laplacian along each axis), the nonlinear one by the closed form of
    P' = gP − loss2·P², whose integral is the Kerr phase.
    """

    kind = "field.wave_complex"
    title = "Complex envelope field"
    category = "wave field"
    summary = "Paraxial beam or dispersive pulse with Kerr effect, gain and two-photon loss, by split-step Fourier."
    equation = (
        "i u_z = −(1/2k)∇²u − n2k|u|²u + i(g − loss2|u|²)u/2 + i·source, g = gain + gain_mod, dz = c·dt; "
        "axes xt: the last axis is local time, where dispersion multiplies by exp(iβ2ω²dz/2) in place of diffraction"
    )
    references = (
        "Agrawal, Nonlinear Fiber Optics (split-step Fourier, dispersion, Kerr effect)",
        "Strang 1968, SIAM J. Numer. Anal. 5:506",
        "Zheng 2007, J. Comput. Phys. 227:537; Nissen & Kreiss 2011, Commun. Comput. Phys. 9:147 (pml)",
    )
    inputs = (
        Port("source", "cfield", unit="√W/length", optional=True, doc="Added to u_z, of the grid's shape."),
        Port("gain_mod", "scalar", unit="1/length", optional=True, doc="Added to the gain."),
        Port("initial", "cfield", unit="√W", optional=True, when_absent="skip",
             doc="A value replaces u at the start of its tick."),
    )  # fmt: skip
    outputs = (
        Port("field", "cfield", unit="√W", doc="u after the tick's last step."),
        Port("power", "scalar", unit="W", doc="∫|u|² = Σ|u|² times the area of a cell."),
    )
    params = (
        SIZE,
        Parameter("axes", "choice", "xy", choices=("xy", "xt"),
                  doc="Two transverse axes, or a transverse one and local time."),
        Parameter("dx", "float", 1.0, min=1e-6, max=1e6, unit="length", doc="Distance of cells across the beam."),
        Parameter("dtau", "float", 1.0, min=1e-6, max=1e6, unit="time", doc="xt: distance of cells along local time."),
        Parameter("dt", "float", 0.01, min=1e-9, max=1e3, unit="unit", doc="Time step; a step goes on by dz = c·dt."),
        Parameter("steps", "int", 1, min=1, max=10_000, doc="Steps in a tick."),
        Parameter("c", "float", 1.0, min=0, max=10, open_min=True, unit="length/unit", doc="Speed of the envelope."),
        Parameter("k", "float", 1.0, min=1e-3, max=1e6, unit="rad/length", doc="Wave number of the carrier."),
        Parameter("gain", "float", 0.0, min=-5, max=5, live=True, unit="1/length", doc="g, of the power; < 0 is loss."),
        Parameter("loss2", "float", 0.0, min=0, max=10, live=True, unit="1/(W·length)", doc="Two-photon loss."),
        Parameter("n2k", "float", 0.0, min=0, max=10, live=True, unit="rad/(W·length)", doc="Kerr coefficient n2·k."),
        Parameter("beta2", "float", 0.0, min=-10, max=10, unit="time²/length",
                  doc="xt: group-velocity dispersion; < 0 is anomalous."),
        Parameter("boundary", "choice", "periodic", choices=("periodic", "pml"),
                  doc="A torus, or an absorbing layer inside the grid at every end."),
        Parameter("pml_width", "int", 12, min=4, max=32, unit="cell", doc="pml: width of the layer."),
    )  # fmt: skip

    def __init__(self, id: str, params: Mapping[str, Any], shapes: Mapping[str, Shape] | None = None) -> None:
        super().__init__(id, params, shapes)
        self.size = size_of(self.settings, (2,))
        self.dz = self.settings["c"] * self.settings["dt"]
        self.spacing = (self.settings["dx"], self.settings["dtau" if self.settings["axes"] == "xt" else "dx"])

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        size = size_of(params, (2,))
        if params["beta2"] != 0 and params["axes"] != "xt":
            raise ShapeProblem(
                "beta2", "dispersion needs an axis of local time; both axes are transverse.", 'Set `axes` to "xt".'
            )
        if params["boundary"] == "pml" and min(size) < 2 * params["pml_width"] + 4:
            raise ShapeProblem(
                "pml_width",
                f"two layers of {params['pml_width']} cells leave fewer than 4 of {min(size)}.",
                "Make the layer thinner, or the grid larger.",
            )

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        size = size_of(params, (2,))
        for port in ("source", "initial"):
            if inputs.get(port, size) != size:
                raise ShapeProblem(
                    port,
                    f"a field of shape {list(inputs[port])} meets a grid of {list(size)}.",
                    "Make the sizes equal.",
                )
        return {"field": size, "power": ()}

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        h, w = size_of(params, (2,))
        cells, fed = float(h * w), "source" in shapes
        # Half a linear step more than there are steps: forth and back between them.
        if params["boundary"] == "pml":
            linear, constants, preparing = 8.0 * cells * (h + w), 16.0 * (h * h + w * w), 130.0 * max(h, w) ** 2
        else:
            linear, constants, preparing = cells * (10.0 * math.log2(cells) + 6.0), 16.0 * cells, 40.0 * cells
        flops = params["steps"] * (linear + (25.0 + 4.0 * fed) * cells) + linear + (5.0 + 2.0 * fed) * cells
        # In a nonlinear step the power, its integral and what they are made of stand beside u, before and after.
        return Cost(flops=flops, bytes=constants + 8.0 * cells, scratch=48.0 * cells, preparing=preparing)

    @classmethod
    def batch_rounding(cls, params: Mapping[str, Any], kernels: bool) -> str | None:
        if params["boundary"] == "pml":
            return "the linear steps of a batch are matrix products that are summed in another order"
        return None

    def prepare(self, ctx: Context) -> None:
        """Makes the linear half step and the whole one (two halves that meet between nonlinear steps)."""
        diffraction = 0.5 / self.settings["k"]
        along = -0.5 * self.settings["beta2"] if self.settings["axes"] == "xt" else diffraction
        kind = _COMPLEX[ctx.dtype]
        self.linear: dict[float, tuple[torch.Tensor, ...]] = {}
        for part in (0.5, 1.0):
            distance = part * self.dz
            if self.settings["boundary"] == "pml":
                pair = (
                    _stretched(n, h, a * distance, self.settings["pml_width"])
                    for n, h, a in zip(self.size, self.spacing, (diffraction, along), strict=True)
                )
                self.linear[part] = tuple(one.to(ctx.device, kind) for one in pair)
            else:
                ky, kx = (_frequencies(n, h) for n, h in zip(self.size, self.spacing, strict=True))
                phase = diffraction * ky.square().unsqueeze(1) + along * kx.square()
                self.linear[part] = (torch.exp(-1j * distance * phase).to(ctx.device, kind),)

    def initial_state(self, ctx: Context) -> State:
        return {"u": torch.zeros(*ctx.batch, *self.size, dtype=_COMPLEX[ctx.dtype], device=ctx.device)}

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        u = state["u"]
        if inputs["initial"] is not ABSENT:
            u = inputs["initial"].to(u.dtype).expand(u.shape)
        gain, loss, kerr = (_per_cell(params[name]) for name in ("gain", "loss2", "n2k"))
        if inputs["gain_mod"] is not ABSENT:
            gain = gain + _per_cell(inputs["gain_mod"])
        kick = None if inputs["source"] is ABSENT else (0.5 * self.dz) * inputs["source"].to(u.dtype)
        steps = self.settings["steps"]
        u = self._linear(u, 0.5)
        for number in range(steps):
            u = u if kick is None else u + kick
            u = _nonlinear(u, gain, loss, kerr, self.dz)
            u = u if kick is None else u + kick
            u = self._linear(u, 1.0 if number + 1 < steps else 0.5)
        power = (u.real.square() + u.imag.square()).sum((-2, -1)) * (self.spacing[0] * self.spacing[1])
        return {"u": u}, {"field": u, "power": power}

    def _linear(self, u: torch.Tensor, part: float) -> torch.Tensor:
        if self.settings["boundary"] == "pml":
            rows, columns = self.linear[part]
            return rows @ u @ columns.mT
        there: torch.Tensor = torch.fft.ifft2(torch.fft.fft2(u) * self.linear[part][0])
        return there


def _per_cell(value: Any) -> Any:
    return value[..., None, None] if isinstance(value, torch.Tensor) else value


def _nonlinear(u: torch.Tensor, gain: Any, loss: Any, kerr: Any, dz: float) -> torch.Tensor:
    """u_z = ½(g − loss·P)u + i·kerr·P·u over dz, exactly: P(z) = P₀e^{gz}/D with D = 1 + loss·P₀(e^{gz} − 1)/g."""
    power = u.real.square() + u.imag.square()
    gain, loss, kerr = (torch.as_tensor(one, dtype=power.dtype, device=u.device) for one in (gain, loss, kerr))
    exponent = gain * dz
    small = exponent.abs() < 1e-4
    # (e^{gz} − 1)/g, by its series where g is next to nothing.
    grown = torch.where(small, dz * (1 + exponent / 2), torch.expm1(exponent) / torch.where(small, 1.0, gain))
    x = loss * power * grown
    near = x < 1e-4
    # ∫P dz = ln(1 + x)/loss, by its series where the loss is next to nothing.
    integral = power * grown * torch.where(near, 1 - x / 2, torch.log1p(x) / torch.where(near, 1.0, x))
    amplitude = torch.exp(0.5 * exponent) / torch.sqrt(1 + x)
    after: torch.Tensor = u * torch.polar(amplitude.expand(integral.shape), kerr * integral)
    return after


def _frequencies(n: int, spacing: float) -> torch.Tensor:
    frequencies: torch.Tensor = 2 * math.pi * torch.fft.fftfreq(n, spacing, dtype=torch.float64)
    return frequencies


def _stretched(n: int, spacing: float, amount: float, width: int) -> torch.Tensor:
    """exp(i·amount·L), (n, n), with L the spectral second derivative in stretched coordinates, ∂ → ∂/(1 + e^{±iπ/4}σ).

    The derivative goes from cells to the halves between them and back, so that the shortest wave has one too.
    """
    frequency = _frequencies(n, spacing)
    unit = torch.eye(n, dtype=torch.complex128)
    turn = cmath.exp(1j * math.copysign(math.pi / 4, amount))

    def derivative(shift: float) -> torch.Tensor:
        factor = 1j * frequency * torch.exp(1j * frequency * (shift * spacing))
        matrix: torch.Tensor = torch.fft.ifft(factor.unsqueeze(1) * torch.fft.fft(unit, dim=0), dim=0)
        return matrix

    def stretch(offset: float) -> torch.Tensor:
        place = torch.arange(n, dtype=torch.float64) + offset
        depth = torch.clamp(torch.maximum(width - 0.5 - place, place - (n - width - 0.5)) / width, 0.0, 1.0)
        factor: torch.Tensor = 1 / (1 + turn * ABSORPTION * depth.square())
        return factor

    second = stretch(0.0).unsqueeze(1) * derivative(-0.5) @ (stretch(0.5).unsqueeze(1) * derivative(0.5))
    propagator: torch.Tensor = torch.linalg.matrix_exp(1j * amount * second)
    return propagator
