"""Ensembles of oscillators on a GPU: all steps of all ticks in one launch.

Without coupling, every program takes a strip of cells of one point through all ticks in registers. With coupling, one
program takes a whole point: a stage's argument goes through a scratch row in global memory, behind a barrier of the
program's threads, so a point has at most `MOST_COUPLED` cells.
"""

from __future__ import annotations

from typing import Any, Final

import torch
import triton
import triton.language as tl

from attractor.integrators.dopri5 import STAGES

MOST_COUPLED: Final = 8192
_STRIP: Final = 128
_CELLS: Final = {"chua": 0, "lorenz": 1, "vanderpol": 2, "rossler": 3}
_METHODS: Final = {"rk4": 0, "dopri5": 1}

# A compiled function sees no other globals than these.
(_A21,) = map(tl.constexpr, STAGES[0])
_A31, _A32 = map(tl.constexpr, STAGES[1])
_A41, _A42, _A43 = map(tl.constexpr, STAGES[2])
_A51, _A52, _A53, _A54 = map(tl.constexpr, STAGES[3])
_A61, _A62, _A63, _A64, _A65 = map(tl.constexpr, STAGES[4])
_B1, _, _B3, _B4, _B5, _B6 = map(tl.constexpr, STAGES[5])


@triton.jit
def _coefficients(cell: tl.constexpr, at, stride, dtype: tl.constexpr, here):
    """The numbers a cell's field is written with, from its parameters in double precision."""
    a = tl.load(at, mask=here, other=0.0)
    b = tl.load(at + stride, mask=here, other=0.0)
    if cell == 0:
        m0 = tl.load(at + 2 * stride, mask=here, other=0.0)
        m1 = tl.load(at + 3 * stride, mask=here, other=0.0)
        return (-a * (1.0 + m1)).to(dtype), a.to(dtype), (-a * (m0 - m1)).to(dtype), (-b).to(dtype)
    elif cell == 1:
        c = tl.load(at + 2 * stride, mask=here, other=0.0)
        return a.to(dtype), b.to(dtype), (-c).to(dtype), a.to(dtype)
    elif cell == 2:
        return a.to(dtype), (-b * b).to(dtype), a.to(dtype), a.to(dtype)
    else:
        c = tl.load(at + 2 * stride, mask=here, other=0.0)
        return a.to(dtype), b.to(dtype), c.to(dtype), a.to(dtype)


@triton.jit
def _coupling(complete: tl.constexpr, v, gain, loss, scratch, neighbours, width, at, n, here):
    """ε Σ_j A_ij (v_j − v_i)."""
    if complete:
        near = tl.sum(tl.where(here, v, 0.0), axis=0) + v * 0.0
    else:
        tl.store(scratch + at, v, mask=here)
        tl.debug_barrier()
        near = v * 0.0
        for k in range(width):
            j = tl.load(neighbours + k * n + at, mask=here, other=n)
            near += tl.load(scratch + j, mask=j < n, other=0.0)
        tl.debug_barrier()
    return gain * near - loss * v


@triton.jit
def _slopes(
    cell: tl.constexpr, mask: tl.constexpr, complete: tl.constexpr, c0, c1, c2, c3, drive, x, y, z, gain, loss,
    scratch, neighbours, width, at, n, here,
):  # fmt: skip
    """The field of one cell with its coupling. The third component of a cell of two is dead."""
    if cell == 0:
        clamped = tl.where(x > 1.0, 1.0, tl.where(x < -1.0, -1.0, x)).to(x.dtype)
        kx = c2 * clamped + (c1 * y + (c0 * x + drive))
        ky = (x - y) + z
        kz = c3 * y
    elif cell == 1:
        kx = c0 * (y - x) + drive
        ky = x * (c1 - z) - y
        kz = x * y + c2 * z
    elif cell == 2:
        kx = y
        ky = c0 * (1.0 - x * x) * y + (c1 * x + drive)
        kz = z
    else:
        kx = drive - (y + z)
        ky = c0 * y + x
        kz = z * (x - c2) + c1
    if mask & 1:
        kx += _coupling(complete, x, gain, loss, scratch, neighbours, width, at, n, here)
    if mask & 2:
        ky += _coupling(complete, y, gain, loss, scratch, neighbours, width, at, n, here)
    if mask & 4:
        kz += _coupling(complete, z, gain, loss, scratch, neighbours, width, at, n, here)
    return kx, ky, kz


@triton.jit
def _ensemble(
    s, out, params, drive, coupling, steps, h, neighbours, degrees, scratch,
    points, n, ticks, width, params_k, params_b, params_p, params_n, drive_k, drive_b, drive_n, coupling_k, coupling_b,
    steps_k, steps_b, h_k, h_b,
    cell: tl.constexpr, method: tl.constexpr, depth: tl.constexpr, mask: tl.constexpr, complete: tl.constexpr,
    block: tl.constexpr,
):  # fmt: skip
    point = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * block + tl.arange(0, block)
    here = at < n
    dtype: tl.constexpr = s.dtype.element_ty
    own = s + point * depth * n + at
    x = tl.load(own, mask=here, other=0.0)
    y = tl.load(own + n, mask=here, other=0.0)
    z = y * 0.0
    if depth == 3:
        z = tl.load(own + 2 * n, mask=here, other=0.0)
    degree = tl.load(degrees + at, mask=here & (mask != 0), other=0).to(tl.float64)
    row = scratch + point * n
    for t in range(ticks):
        k = tl.cast(t, tl.int64)
        c0, c1, c2, c3 = _coefficients(
            cell, params + k * params_k + point * params_b + at * params_n, params_p, dtype, here
        )
        b = tl.load(drive + k * drive_k + point * drive_b + at * drive_n, mask=here, other=0.0)
        rate = tl.load(coupling + k * coupling_k + point * coupling_b) / tl.where(degree > 0, degree, 1.0)
        gain = rate.to(dtype)
        loss = (rate * n).to(dtype) if complete else (rate * degree).to(dtype)
        step = tl.load(h + k * h_k + point * h_b)
        for _ in range(tl.load(steps + k * steps_k + point * steps_b)):
            x1, y1, z1 = _slopes(
                cell, mask, complete, c0, c1, c2, c3, b, x, y, z, gain, loss, row, neighbours, width, at, n, here
            )
            if method == 0:
                w = (step * 0.5).to(dtype)
                x2, y2, z2 = _slopes(
                    cell, mask, complete, c0, c1, c2, c3, b, w * x1 + x, w * y1 + y, w * z1 + z,
                    gain, loss, row, neighbours, width, at, n, here,
                )  # fmt: skip
                x3, y3, z3 = _slopes(
                    cell, mask, complete, c0, c1, c2, c3, b, w * x2 + x, w * y2 + y, w * z2 + z,
                    gain, loss, row, neighbours, width, at, n, here,
                )  # fmt: skip
                w = step.to(dtype)
                x4, y4, z4 = _slopes(
                    cell, mask, complete, c0, c1, c2, c3, b, w * x3 + x, w * y3 + y, w * z3 + z,
                    gain, loss, row, neighbours, width, at, n, here,
                )  # fmt: skip
                sixth = (step / 6.0).to(dtype)
                third = (step / 3.0).to(dtype)
                x = third * (x2 + x3) + (sixth * (x1 + x4) + x)
                y = third * (y2 + y3) + (sixth * (y1 + y4) + y)
                if depth == 3:
                    z = third * (z2 + z3) + (sixth * (z1 + z4) + z)
            else:
                w1 = (step * _A21).to(dtype)
                x2, y2, z2 = _slopes(
                    cell, mask, complete, c0, c1, c2, c3, b, w1 * x1 + x, w1 * y1 + y, w1 * z1 + z,
                    gain, loss, row, neighbours, width, at, n, here,
                )  # fmt: skip
                w1, w2 = (step * _A31).to(dtype), (step * _A32).to(dtype)
                x3, y3, z3 = _slopes(
                    cell, mask, complete, c0, c1, c2, c3, b,
                    w2 * x2 + (w1 * x1 + x), w2 * y2 + (w1 * y1 + y), w2 * z2 + (w1 * z1 + z),
                    gain, loss, row, neighbours, width, at, n, here,
                )  # fmt: skip
                w1, w2, w3 = (step * _A41).to(dtype), (step * _A42).to(dtype), (step * _A43).to(dtype)
                x4, y4, z4 = _slopes(
                    cell, mask, complete, c0, c1, c2, c3, b,
                    w3 * x3 + (w2 * x2 + (w1 * x1 + x)),
                    w3 * y3 + (w2 * y2 + (w1 * y1 + y)),
                    w3 * z3 + (w2 * z2 + (w1 * z1 + z)),
                    gain, loss, row, neighbours, width, at, n, here,
                )  # fmt: skip
                w1, w2 = (step * _A51).to(dtype), (step * _A52).to(dtype)
                w3, w4 = (step * _A53).to(dtype), (step * _A54).to(dtype)
                x5, y5, z5 = _slopes(
                    cell, mask, complete, c0, c1, c2, c3, b,
                    w4 * x4 + (w3 * x3 + (w2 * x2 + (w1 * x1 + x))),
                    w4 * y4 + (w3 * y3 + (w2 * y2 + (w1 * y1 + y))),
                    w4 * z4 + (w3 * z3 + (w2 * z2 + (w1 * z1 + z))),
                    gain, loss, row, neighbours, width, at, n, here,
                )  # fmt: skip
                w1, w2, w3 = (step * _A61).to(dtype), (step * _A62).to(dtype), (step * _A63).to(dtype)
                w4, w5 = (step * _A64).to(dtype), (step * _A65).to(dtype)
                x6, y6, z6 = _slopes(
                    cell, mask, complete, c0, c1, c2, c3, b,
                    w5 * x5 + (w4 * x4 + (w3 * x3 + (w2 * x2 + (w1 * x1 + x)))),
                    w5 * y5 + (w4 * y4 + (w3 * y3 + (w2 * y2 + (w1 * y1 + y)))),
                    w5 * z5 + (w4 * z4 + (w3 * z3 + (w2 * z2 + (w1 * z1 + z)))),
                    gain, loss, row, neighbours, width, at, n, here,
                )  # fmt: skip
                w1, w3, w4 = (step * _B1).to(dtype), (step * _B3).to(dtype), (step * _B4).to(dtype)
                w5, w6 = (step * _B5).to(dtype), (step * _B6).to(dtype)
                x = w6 * x6 + (w5 * x5 + (w4 * x4 + (w3 * x3 + (w1 * x1 + x))))
                y = w6 * y6 + (w5 * y5 + (w4 * y4 + (w3 * y3 + (w1 * y1 + y))))
                if depth == 3:
                    z = w6 * z6 + (w5 * z5 + (w4 * z4 + (w3 * z3 + (w1 * z1 + z))))
        there = out + (k * points + point) * depth * n + at
        tl.store(there, x, mask=here)
        tl.store(there + n, y, mask=here)
        if depth == 3:
            tl.store(there + 2 * n, z, mask=here)


def ode_ensemble(
    s: torch.Tensor, params: torch.Tensor, drive: torch.Tensor | None, coupling: torch.Tensor, steps: torch.Tensor,
    h: torch.Tensor, neighbours: torch.Tensor | None, degrees: torch.Tensor, ticks: int, cell: str, method: str,
    mask: int,
) -> torch.Tensor:  # fmt: skip
    """As `attractor.kernels.ode_ensemble.reference`, on the GPU the states are on.

    Raises:
        ValueError: more coupled cells than one program takes.
    """
    points, depth, n = s.shape
    if mask and n > MOST_COUPLED:
        raise ValueError(f"{n} coupled cells are more than the {MOST_COUPLED} the kernel takes: use the eager tier")
    s = s.contiguous()
    out = s.new_empty((ticks, points, depth, n))
    # Of a GPU's own memory and with strides of 0 along what is shared.
    params = params.detach().to(s.device, torch.float64).expand(-1, points, params.shape[2], n)
    drive = (s.new_zeros(1, 1, 1) if drive is None else drive.detach()).to(s.device).expand(-1, points, n)
    rate = coupling.detach().to(s.device, torch.float64).expand(-1, points)
    steps = steps.to(s.device).expand(-1, points)
    h = h.detach().to(s.device, torch.float64).expand(-1, points)
    near = torch.zeros(1, dtype=torch.int32, device=s.device) if neighbours is None else neighbours.to(s.device)
    degrees = degrees.to(s.device)
    scratch = s.new_empty(points * n if mask and neighbours is not None else 1)
    block = triton.next_power_of_2(n) if mask else min(_STRIP, triton.next_power_of_2(n))
    grid = (points, 1 if mask else triton.cdiv(n, block))
    _ensemble[grid](
        s, out, params, drive, rate, steps, h, near, degrees, scratch,
        points, n, ticks, 0 if neighbours is None else len(neighbours),
        _along(params), *params.stride()[1:], _along(drive), *drive.stride()[1:], _along(rate), rate.stride(1),
        _along(steps), steps.stride(1), _along(h), h.stride(1),
        cell=_CELLS[cell], method=_METHODS[method], depth=depth, mask=mask, complete=neighbours is None, block=block,
        num_warps=max(1, min(16, block // 64)), enable_fp_fusion=True,
    )  # fmt: skip
    return out


def _along(value: torch.Tensor) -> Any:
    """The stride from tick to tick; 0 where one row serves them all."""
    return value.stride(0) if len(value) > 1 else 0
