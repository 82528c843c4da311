"""The source splat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from attractor.grid_size import EDGE, SIZE, positions_of, refuse_outside, size_of
from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape


class SourceSplat(TensorNode):
    """N points spread over a grid as Gaussians.

    A Gaussian is a product of one factor an axis, so the sum over the points is a product of matrices of shapes (H, N)
    and (N, W), plane after plane in 3-D: nothing of size N × H × W is made. Sums over the points run in the order of
    the matrix product, which may differ in the last bit between a sweep and a single run.
    """

    kind = "field.source"
    title = "Source splat"
    category = "wave field"
    summary = "Turns one amplitude a unit into a source field: a Gaussian at the position of every unit."
    equation = (
        "S(r) = Σ_i k_i a_i exp(−|r − r_i|²/2σ²), lengths in cells; normalise: every Gaussian is divided by its sum "
        "over the grid, so that ΣS·dx^d = Σ k_i a_i"
    )
    references = ("Silverman 1986, Density Estimation (Gaussian kernel)",)
    inputs = (
        Port("amplitude", "vector", shape=("N",), doc="a_i."),
        Port("position", "matrix", optional=True,
             doc="r_i in grid coordinates, [N, 2 or 3]; the parameter `positions` when nothing is connected."),
        Port("strength", "vector", shape=("N",), optional=True, doc="k_i; nothing counts as 1."),
    )  # fmt: skip
    outputs = (Port("field", "field", doc="S."),)
    params = (
        SIZE,
        Parameter("dx", "float", 1.0, min=1e-6, max=1e6, unit="length", doc="Distance of cells, for `normalise`."),
        Parameter("width", "float", 3.16, min=0.5, max=20, live=True, unit="cell", doc="σ of every Gaussian."),
        Parameter("signed", "bool", True, live=True,
                  doc="Off: |a_i| in place of a_i, so that every source pushes one way and the field drifts."),
        Parameter("normalise", "bool", True, doc="Make the integral of S equal Σ k_i a_i, whatever the width."),
        Parameter("positions", "list", [], unit="cell", doc="A list of points, used when `position` is not connected."),
        EDGE,
    )  # fmt: skip

    def __init__(self, id: str, params: Mapping[str, Any], shapes: Mapping[str, Shape] | None = None) -> None:
        super().__init__(id, params, shapes)
        self.size = size_of(self.settings)

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        size_of(params)
        positions_of(params)

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        size = size_of(params)
        points = positions_of(params)
        n = cls.bind({}, {name: shape for name, shape in inputs.items() if name != "position"}).get("N")
        place = inputs.get("position", (len(points), len(points[0])) if points else None)
        if place is None and (n is not None):
            raise ShapeProblem("position", "the units have no position.", "Connect `position`, or set `positions`.")
        if place is not None and (len(place) != 2 or place[1] != len(size) or place[0] != (n or place[0])):
            raise ShapeProblem(
                "position",
                f"positions of shape {list(place)} meet {n} amplitudes on a grid of {len(size)} dimensions.",
                f"Give positions of shape [{n}, {len(size)}].",
            )
        return {"field": size}

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        size = size_of(params)
        n, cells = shapes.get("amplitude", (1,))[0], math.prod(size)
        along = float(n * sum(size))
        edge = 4.0 if params["edge"] == "periodic" else 0.0
        # Factors of every axis, and products of the last two for every plane.
        planes = cells / (size[-1] * size[-2])
        flops = along * (5.0 + edge + 2.0 * params["normalise"]) + n * planes * (size[-2] + 1.0) + 2.0 * n * cells
        return Cost(
            flops=flops + 4.0 * n * len(size), bytes=4.0 * n * len(size),
            scratch=4.0 * (along + 2.0 * n * max(size) + n * size[-2] + (cells if planes > 1 else 0.0)),
        )  # fmt: skip

    @classmethod
    def batch_rounding(cls, params: Mapping[str, Any], kernels: bool) -> str | None:
        return "the sums over the points of a batch are matrix products that are summed in another order"

    def prepare(self, ctx: Context) -> None:
        self.fixed = torch.tensor(positions_of(self.settings), dtype=ctx.dtype, device=ctx.device)

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        amplitude = inputs["amplitude"]
        position = inputs["position"]
        if position is ABSENT:
            if not self.settings["positions"]:
                return state, {"field": ABSENT}
            position = self.fixed
        if amplitude is ABSENT:
            return state, {"field": ABSENT}
        refuse_outside(position, self.size, self.settings["edge"], ctx)
        signed = params["signed"]
        if isinstance(signed, torch.Tensor):
            amplitude = torch.where(signed.unsqueeze(-1), amplitude, amplitude.abs())
        elif not signed:
            amplitude = amplitude.abs()
        if inputs["strength"] is not ABSENT:
            amplitude = amplitude * inputs["strength"]
        field = self._splat(amplitude, position, params["width"])
        return state, {"field": field.expand(*ctx.batch, *self.size)}

    def _splat(self, weight: torch.Tensor, position: torch.Tensor, width: Any) -> torch.Tensor:
        sigma = width[..., None, None] if isinstance(width, torch.Tensor) else width
        factors = []
        for axis, n in enumerate(self.size):
            away = position[..., axis, None] - torch.arange(n, dtype=position.dtype, device=position.device)
            if self.settings["edge"] == "periodic":
                away = away - n * torch.round(away / n)
            factor = torch.exp(-0.5 * (away / sigma).square())
            if self.settings["normalise"]:
                factor = factor / (factor.sum(-1, keepdim=True) * self.settings["dx"])
            factors.append(factor)
        *planes, rows, columns = factors
        if not planes:
            return (weight.unsqueeze(-1) * rows).mT @ columns
        each = (weight * plane for plane in planes[0].unbind(-1))
        return torch.stack([(part.unsqueeze(-1) * rows).mT @ columns for part in each], -3)
