"""The wave equation on CUDA: one Triton program a tile and step.

The faces of mur1 and the layer of pml, which are thin, follow in torch, by the functions of the reference.
"""

from __future__ import annotations

from typing import Any, Final

import torch
import triton
import triton.language as tl

from attractor.kernels import fdtd

TILE: Final = 1024
"""Cells of a program, consecutive in memory: all loads but those of the neighbours along the last axis are aligned."""


@triton.jit
def _cells(
    p, d, source, table, p_new, d_new, planes, rows, width, source_stride, columns,
    PERIODIC: tl.constexpr, DEEP: tl.constexpr, FED: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """d⁺ = keep·d + push·(dx²∇²p) + feed·S and p⁺ = p + d⁺; sums in the order of the reference."""
    grid = tl.program_id(1).to(tl.int64)
    cells = planes * rows * width
    at = tl.program_id(0) * TILE + tl.arange(0, TILE)
    here = at < cells
    x = at % width
    y = (at // width) % rows
    z = at // (width * rows)
    base = grid * cells
    keep = tl.load(table + grid * columns)
    push = tl.load(table + grid * columns + 1)
    feed = tl.load(table + grid * columns + 2)
    field = p + base
    middle = tl.load(field + at, mask=here, other=0.0)
    stride = width * rows
    if PERIODIC:
        up = tl.load(field + tl.where(z == 0, at + (planes - 1) * stride, at - stride), mask=here, other=0.0)
        down = tl.load(field + tl.where(z == planes - 1, at - (planes - 1) * stride, at + stride), mask=here, other=0.0)
        left = tl.load(field + tl.where(x == 0, at + width - 1, at - 1), mask=here, other=0.0)
        right = tl.load(field + tl.where(x == width - 1, at - width + 1, at + 1), mask=here, other=0.0)
    else:
        up = tl.load(field + at - stride, mask=here & (z > 0), other=0.0)
        down = tl.load(field + at + stride, mask=here & (z < planes - 1), other=0.0)
        left = tl.load(field + at - 1, mask=here & (x > 0), other=0.0)
        right = tl.load(field + at + 1, mask=here & (x < width - 1), other=0.0)
    around = up + down
    centre = 4.0
    if DEEP:
        centre = 6.0
        if PERIODIC:
            north = tl.load(field + tl.where(y == 0, at + (rows - 1) * width, at - width), mask=here, other=0.0)
            south = tl.load(field + tl.where(y == rows - 1, at - (rows - 1) * width, at + width), mask=here, other=0.0)
        else:
            north = tl.load(field + at - width, mask=here & (y > 0), other=0.0)
            south = tl.load(field + at + width, mask=here & (y < rows - 1), other=0.0)
        around += north + south
    around += left + right
    moved = keep * tl.load(d + base + at, mask=here, other=0.0) + push * (around - centre * middle)
    if FED:
        moved += feed * tl.load(source + grid * source_stride + at, mask=here, other=0.0)
    tl.store(d_new + base + at, moved, mask=here)
    tl.store(p_new + base + at, middle + moved, mask=here)


def advance(
    p: torch.Tensor, d: torch.Tensor, memory: list[torch.Tensor], source: torch.Tensor | None, table: torch.Tensor,
    decay: torch.Tensor, boundary: str, steps: int,
) -> fdtd.Fields:  # fmt: skip
    """`steps` time steps; arguments and result as of `fdtd.reference` on one batch dimension."""
    dims = p.dim() - 1
    batch, planes, *rest = p.shape
    rows, width = (1, *rest) if dims == 2 else rest
    cells = planes * rows * width
    old: tuple[torch.Tensor, torch.Tensor] = p.contiguous(), d.contiguous()
    spare: tuple[torch.Tensor, torch.Tensor] | None = None
    table = table.contiguous()
    drive = old[0] if source is None else source.contiguous()
    source_stride = cells if source is not None and len(source) > 1 else 0
    layers = list(memory)
    _, push, _, mur = (one.reshape(-1, *[1] * dims) for one in table[:, :4].unbind(1))
    launch: Any = _cells[(triton.cdiv(cells, TILE), batch)]
    for turn in range(steps):
        new = spare or (torch.empty_like(old[0]), torch.empty_like(old[1]))
        launch(
            *old, drive, table, *new, planes, rows, width, source_stride, table.shape[1],
            PERIODIC=boundary == "periodic", DEEP=dims == 3, FED=source is not None, TILE=TILE,
        )  # fmt: skip
        if boundary == "mur1":
            fdtd.drive_faces(old[0], new[1], mur)
            torch.add(old[0], new[1], out=new[0])
        elif boundary == "pml":
            for axis in range(dims):
                layers[axis], change = fdtd.absorbed(old[0], layers[axis], decay, axis + 1)
                fdtd.add_at_ends(new[1], push * change, axis + 1)
            torch.add(old[0], new[1], out=new[0])
        spare = None if turn == 0 else old
        old = new
    # An output of an operator must not be an input of it.
    layers = [one.clone() if one is given else one for one, given in zip(layers, memory, strict=True)]
    return *old, layers, fdtd.energy_of(*old, table, boundary)
