"""The field probe."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import torch

from attractor.grid_size import EDGE, positions_of, refuse_outside
from attractor.node import ABSENT, Context, Cost, Inputs, Outputs, Params, ShapeProblem, State, TensorNode
from attractor.parameter import Parameter
from attractor.port import Port, Shape


class FieldProbe(TensorNode):
    """The field at N points between the cells."""

    kind = "field.probe"
    title = "Field probe"
    category = "wave field"
    summary = "Reads a field at the position of every unit."
    equation = "value_i = Σ over the 2^d cells around r_i of Π_k (1 − |r_ik − cell_k|)·field; nearest: the closest cell"
    references = ("Press et al., Numerical Recipes, ch. 3 (interpolation in several dimensions)",)
    inputs = (
        Port("field", "field", doc="What is read, [H, W] or [D, H, W]."),
        Port("position", "matrix", optional=True,
             doc="r_i in grid coordinates, [N, 2 or 3]; the parameter `positions` when nothing is connected."),
    )  # fmt: skip
    outputs = (Port("value", "vector", shape=("N",), doc="The field at every position."),)
    params = (
        Parameter("interp", "choice", "bilinear", choices=("bilinear", "nearest"),
                  doc="Linear along every axis (trilinear in 3-D), or the value of the closest cell."),
        Parameter("positions", "list", [], unit="cell", doc="A list of points, used when `position` is not connected."),
        EDGE,
    )  # fmt: skip

    @classmethod
    def validate(cls, params: Mapping[str, Any]) -> None:
        positions_of(params)

    @classmethod
    def shapes(cls, params: Mapping[str, Any], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
        points = positions_of(params)
        place = inputs.get("position", (len(points), len(points[0])) if points else None)
        if place is None:
            raise ShapeProblem("position", "there is no position.", "Connect `position`, or set `positions`.")
        field = inputs.get("field")
        if field is not None and len(field) not in (2, 3):
            raise ShapeProblem("field", f"a field of shape {list(field)} arrives.", "Connect one of 2 or 3 dimensions.")
        if len(place) != 2 or (field is not None and place[1] != len(field)):
            dims = "2 or 3" if field is None else len(field)
            raise ShapeProblem(
                "position", f"positions of shape {list(place)} on a field of {dims} dimensions.",
                f"Give positions of shape [N, {dims}].",
            )  # fmt: skip
        return {"value": (place[0],)}

    @classmethod
    def cost(cls, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Cost:
        n, dims = shapes["value"][0], len(shapes["field"])
        corners = 1 if params["interp"] == "nearest" else 2**dims
        # The weight of a corner, its place, and its part of the sum; 64-bit places while they are made.
        each = dims * 3.0 if corners == 1 else dims * 9.0 + 2.0
        return Cost(
            flops=n * (corners * each + 6.0 * dims), bytes=4.0 * n * dims, scratch=n * (24.0 * dims + 16.0)
        )  # fmt: skip

    def prepare(self, ctx: Context) -> None:
        self.fixed = torch.tensor(positions_of(self.settings), dtype=ctx.dtype, device=ctx.device)

    def step(self, state: State, inputs: Inputs, params: Params, ctx: Context) -> tuple[State, Outputs]:
        field = inputs["field"]
        position = inputs["position"]
        if position is ABSENT:
            if not self.settings["positions"]:
                return state, {"value": ABSENT}
            position = self.fixed
        if field is ABSENT:
            return state, {"value": ABSENT}
        size = self.port_shapes["field"]
        refuse_outside(position, size, self.settings["edge"], ctx)
        periodic = self.settings["edge"] == "periodic"
        flat = field.flatten(-len(size)).expand(*ctx.batch, math.prod(size))
        nearest = params["interp"] == "nearest"
        lows = torch.floor(position + 0.5) if nearest else torch.floor(position)
        if nearest:
            return state, {"value": _gathered(flat, lows, size, periodic)}
        share = position - lows
        value: Any = 0.0
        for corner in itertools.product((0, 1), repeat=len(size)):
            offset = torch.tensor(corner, dtype=lows.dtype, device=lows.device)
            weight = (offset * share + (1 - offset) * (1 - share)).prod(-1)
            value = value + weight * _gathered(flat, lows + offset, size, periodic)
        return state, {"value": value}


def _gathered(flat: torch.Tensor, cells: torch.Tensor, size: Shape, periodic: bool) -> torch.Tensor:
    """The values of cells (..., N, d). One beyond the last cell of an open grid has weight 0: any cell will do."""
    ends = torch.tensor(size, device=cells.device)
    index = cells.long()
    index = index % ends if periodic else torch.minimum(index, ends - 1)
    strides = torch.tensor([math.prod(size[axis + 1 :]) for axis in range(len(size))], device=cells.device)
    place = (index * strides).sum(-1)
    return torch.gather(flat, -1, place.expand(*flat.shape[:-1], place.shape[-1]))
