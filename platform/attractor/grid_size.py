"""The size of a grid as a parameter of a node, and positions on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from attractor.node import Context, ShapeProblem
from attractor.parameter import Parameter
from attractor.port import Shape

LEAST: Final = 16
MOST: Final = {2: 512, 3: 128}

SIZE: Final = Parameter(
    "size",
    "list",
    [128, 128],
    unit="cell",
    doc="Cells along every axis: two numbers of 16 to 512, or three of 16 to 128.",
)

EDGES: Final = ("open", "periodic")
EDGE: Final = Parameter(
    "edge", "choice", "open", choices=EDGES, doc="What lies beyond the grid: nothing, or the grid again (a torus)."
)


def size_of(params: Mapping[str, Any], dims: Sequence[int] = (2, 3)) -> Shape:
    """The parameter `size` as a shape.

    Raises:
        ShapeProblem: it is no list of so many whole numbers in their range.
    """
    size = params["size"]
    wanted = " or ".join(f"{n} numbers of {LEAST} to {MOST[n]}" for n in dims)
    if len(size) not in dims or any(isinstance(n, list | tuple) for n in size):
        raise ShapeProblem("size", f"{_shown(size)} is no size of a grid here.", f"Give {wanted}.")
    if any(n != int(n) or not LEAST <= n <= MOST[len(size)] for n in size):
        raise ShapeProblem("size", f"{_shown(size)} is out of range.", f"Give whole numbers: {wanted}.")
    return tuple(int(n) for n in size)


def refuse_outside(position: torch.Tensor, size: Shape, edge: str, ctx: Context) -> None:
    """Positions (..., N, d) in grid coordinates: cell (i, j) lies at (i, j).

    Raises:
        NodeFailed: one lies outside 0 … n − 1 along some axis of an open grid, or is not finite.
    """
    last = torch.tensor(size, dtype=position.dtype, device=position.device) - 1
    inside = torch.isfinite(position) if edge == "periodic" else (position >= 0) & (position <= last)
    if bool(inside.all()):
        return
    unit = int((~inside).any(-1).reshape(-1, position.shape[-2]).any(0).nonzero()[0])
    shown = ", ".join(f"0 to {n - 1}" for n in size)
    raise ctx.fail(
        f"position {unit} lies outside the grid ({shown}).",
        'Move it inside, or set `edge` to "periodic", where the field is periodic too.',
    )


def positions_of(params: Mapping[str, Any], dims: Sequence[int] = (2, 3)) -> list[list[float]]:
    """The parameter `positions`.

    Raises:
        ShapeProblem: it is no list of points of one dimension.
    """
    points = params["positions"]
    if any(not isinstance(point, list | tuple) for point in points) or any(
        len(point) not in dims or len(point) != len(points[0]) for point in points
    ):
        raise ShapeProblem("positions", "a position is a list of 2 or 3 numbers.", "Give a list of them, as [[3, 4]].")
    return [list(point) for point in points]


def _shown(size: Sequence[Any]) -> str:
    return "[" + ", ".join(map(str, size[:4])) + (", …]" if len(size) > 4 else "]")
