"""Ensembles of oscillators on the CPU: all steps of all ticks in one call.

Where cells are not coupled, a strip of them runs through all ticks while it lies in the first-level cache, and a step
is computed in registers, stage after stage; LLVM turns the loop over the strip into vector code. Coupled cells need
each other's stages, so there every stage is a pass over all cells.

Every product that is fused is fused by name (`fma`) and no sum is reordered, so an orbit depends neither on where its
cell lies nor on how many cells, ticks or threads there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numba import from_dtype, types

from attractor.integrators.dopri5 import STAGES
from attractor.kernels.fma import fma
from attractor.kernels.jit import jit

CHUA: Final = 0
LORENZ: Final = 1
VANDERPOL: Final = 2
ROSSLER: Final = 3
CELLS: Final = {"chua": CHUA, "lorenz": LORENZ, "vanderpol": VANDERPOL, "rossler": ROSSLER}

RK4: Final = 0
DOPRI5: Final = 1
METHODS: Final = {"rk4": RK4, "dopri5": DOPRI5}

STRIP: Final = 128
"""Cells that run through the ticks together: enough independent work for the pipeline, few enough for the cache."""

# Weights of a step, in units of h: half, sixth and third of RK4, then the rows of Dormand and Prince one by one.
WEIGHTS: Final = np.array([1 / 2, 1 / 6, 1 / 3, *(weight for row in STAGES for weight in row)])


@jit(forceinline=True)
def _coefficients(cell: int, p: Any, c: Any, i: int) -> None:
    """The numbers a cell's field is written with, from its parameters; in double precision until they are stored."""
    if cell == CHUA:
        c[0, i] = -p[0] * (1.0 + p[3])
        c[1, i] = p[0]
        c[2, i] = -p[0] * (p[2] - p[3])
        c[3, i] = -p[1]
    elif cell == LORENZ:
        c[0, i] = p[0]
        c[1, i] = p[1]
        c[2, i] = -p[2]
    elif cell == VANDERPOL:
        c[0, i] = p[0]
        c[1, i] = -p[1] * p[1]
    else:
        c[0, i] = p[0]
        c[1, i] = p[1]
        c[2, i] = p[2]


@jit(forceinline=True)
def _field(cell: int, c0: Any, c1: Any, c2: Any, c3: Any, one: Any, drive: Any, x: Any, y: Any, z: Any) -> Any:
    """The field of one cell. The third component of a cell of two is dead."""
    if cell == CHUA:
        clamped = min(max(x, -one), one)
        return fma(c2, clamped, fma(c1, y, fma(c0, x, drive))), (x - y) + z, c3 * y
    if cell == LORENZ:
        return fma(c0, y - x, drive), fma(x, c1 - z, -y), fma(x, y, c2 * z)
    if cell == VANDERPOL:
        return y, fma(c0 * (one - x * x), y, fma(c1, x, drive)), z
    return drive - (y + z), fma(c0, y, x), fma(z, x - c2, c1)


@jit(forceinline=True)
def _rk4_strip(cell: int, per_cell: bool, x: Any, y: Any, z: Any, c: Any, drive: Any, w: Any, one: Any) -> None:
    """One step of a strip of cells."""
    half, sixth, third = w[0], w[1], w[2]
    h = half + half
    a0, a1, a2, a3 = c[0, 0], c[1, 0], c[2, 0], c[3, 0]
    for i in range(len(x)):
        if per_cell:
            a0, a1, a2, a3 = c[0, i], c[1, i], c[2, i], c[3, i]
        x0, y0, z0, b = x[i], y[i], z[i], drive[i]
        x1, y1, z1 = _field(cell, a0, a1, a2, a3, one, b, x0, y0, z0)
        x2, y2, z2 = _field(cell, a0, a1, a2, a3, one, b, fma(half, x1, x0), fma(half, y1, y0), fma(half, z1, z0))
        x3, y3, z3 = _field(cell, a0, a1, a2, a3, one, b, fma(half, x2, x0), fma(half, y2, y0), fma(half, z2, z0))
        x4, y4, z4 = _field(cell, a0, a1, a2, a3, one, b, fma(h, x3, x0), fma(h, y3, y0), fma(h, z3, z0))
        x[i] = fma(third, x2 + x3, fma(sixth, x1 + x4, x0))
        y[i] = fma(third, y2 + y3, fma(sixth, y1 + y4, y0))
        if cell != VANDERPOL:
            z[i] = fma(third, z2 + z3, fma(sixth, z1 + z4, z0))


@jit(forceinline=True)
def _dopri5_strip(cell: int, per_cell: bool, x: Any, y: Any, z: Any, c: Any, drive: Any, w: Any, one: Any) -> None:
    """One step of a strip of cells."""
    w21 = w[3]
    w31, w32 = w[4], w[5]
    w41, w42, w43 = w[6], w[7], w[8]
    w51, w52, w53, w54 = w[9], w[10], w[11], w[12]
    w61, w62, w63, w64, w65 = w[13], w[14], w[15], w[16], w[17]
    v1, v3, v4, v5, v6 = w[18], w[20], w[21], w[22], w[23]
    a0, a1, a2, a3 = c[0, 0], c[1, 0], c[2, 0], c[3, 0]
    for i in range(len(x)):
        if per_cell:
            a0, a1, a2, a3 = c[0, i], c[1, i], c[2, i], c[3, i]
        x0, y0, z0, b = x[i], y[i], z[i], drive[i]
        x1, y1, z1 = _field(cell, a0, a1, a2, a3, one, b, x0, y0, z0)
        x2, y2, z2 = _field(cell, a0, a1, a2, a3, one, b, fma(w21, x1, x0), fma(w21, y1, y0), fma(w21, z1, z0))
        xs, ys, zs = fma(w32, x2, fma(w31, x1, x0)), fma(w32, y2, fma(w31, y1, y0)), fma(w32, z2, fma(w31, z1, z0))
        x3, y3, z3 = _field(cell, a0, a1, a2, a3, one, b, xs, ys, zs)
        xs = fma(w43, x3, fma(w42, x2, fma(w41, x1, x0)))
        ys = fma(w43, y3, fma(w42, y2, fma(w41, y1, y0)))
        zs = fma(w43, z3, fma(w42, z2, fma(w41, z1, z0)))
        x4, y4, z4 = _field(cell, a0, a1, a2, a3, one, b, xs, ys, zs)
        xs = fma(w54, x4, fma(w53, x3, fma(w52, x2, fma(w51, x1, x0))))
        ys = fma(w54, y4, fma(w53, y3, fma(w52, y2, fma(w51, y1, y0))))
        zs = fma(w54, z4, fma(w53, z3, fma(w52, z2, fma(w51, z1, z0))))
        x5, y5, z5 = _field(cell, a0, a1, a2, a3, one, b, xs, ys, zs)
        xs = fma(w65, x5, fma(w64, x4, fma(w63, x3, fma(w62, x2, fma(w61, x1, x0)))))
        ys = fma(w65, y5, fma(w64, y4, fma(w63, y3, fma(w62, y2, fma(w61, y1, y0)))))
        zs = fma(w65, z5, fma(w64, z4, fma(w63, z3, fma(w62, z2, fma(w61, z1, z0)))))
        x6, y6, z6 = _field(cell, a0, a1, a2, a3, one, b, xs, ys, zs)
        x[i] = fma(v6, x6, fma(v5, x5, fma(v4, x4, fma(v3, x3, fma(v1, x1, x0)))))
        y[i] = fma(v6, y6, fma(v5, y5, fma(v4, y4, fma(v3, y3, fma(v1, y1, y0)))))
        if cell != VANDERPOL:
            z[i] = fma(v6, z6, fma(v5, z5, fma(v4, z4, fma(v3, z3, fma(v1, z1, z0)))))


@jit(inline="always")
def _strips(
    cell: int, method: int, per_cell: bool, s: Any, out: Any, params: Any, drive: Any, steps: Any, h: Any,
    weights: Any, first: int, last: int,
) -> None:  # fmt: skip
    """Pieces `first` to `last - 1` of the ensemble; piece p is strip p mod (strips of a point) of point p div that."""
    ticks, _, depth, n = out.shape
    strips = (n + STRIP - 1) // STRIP
    scratch, lanes = np.empty((3, STRIP), s.dtype), np.empty(STRIP, s.dtype)
    c, w, one = np.zeros((4, STRIP if per_cell else 1), s.dtype), np.empty(len(weights), s.dtype), s.dtype.type(1)
    for piece in range(first, last):
        point, low = piece // strips, piece % strips * STRIP
        width = min(STRIP, n - low)
        x, y, z, b = scratch[0, :width], scratch[1, :width], scratch[2, :width], lanes[:width]
        for i in range(width):
            x[i], y[i] = s[point, 0, low + i], s[point, 1, low + i]
            z[i] = s[point, 2, low + i] if depth == 3 else x[i]
        for k in range(ticks):
            if k == 0 or params.shape[0] > 1:
                for i in range(width if per_cell else 1):
                    _coefficients(cell, params[k, point, :, low + i], c, i)
            if k == 0 or drive.shape[0] > 1:
                for i in range(width):
                    b[i] = drive[k, point, low + i]
            for j in range(len(weights)):
                w[j] = h[k, point] * weights[j]
            for _ in range(steps[k, point]):
                if method == RK4:
                    _rk4_strip(cell, per_cell, x, y, z, c, b, w, one)
                else:
                    _dopri5_strip(cell, per_cell, x, y, z, c, b, w, one)
            for i in range(width):
                out[k, point, 0, low + i] = x[i]
            for i in range(width):
                out[k, point, 1, low + i] = y[i]
            if depth == 3:
                for i in range(width):
                    out[k, point, 2, low + i] = z[i]


@cache
def strips(cell: str, method: str, per_cell: bool, dtype: np.dtype[Any]) -> Callable[..., None]:
    """The compiled loop for an ensemble without coupling.

    Its arguments: s (B, D, N) and out (K, B, D, N), contiguous and of one type; params (K or 1, B, P, N), drive
    (K or 1, B, N), steps and h (K, B), weights; and the range of pieces to compute. See `pieces`.

    Args:
        dtype: type of s, out and drive; the other numbers are of double precision.
    """
    which, how = CELLS[cell], METHODS[method]
    times = (_any(types.int64, 2), _any(types.float64, 2), types.float64[::1])

    @jit(signature=types.void(*_common(dtype), *times, types.int64, types.int64))
    def run(s: Any, out: Any, params: Any, drive: Any, steps: Any, h: Any, weights: Any, first: int, last: int) -> None:
        _strips(which, how, per_cell, s, out, params, drive, steps, h, weights, first, last)

    return run


def _common(dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Types of s, out, params and drive."""
    real = from_dtype(dtype)
    return real[:, :, ::1], real[:, :, :, ::1], _any(types.float64, 4), _any(real, 3)


def _any(element: Any, dims: int) -> Any:
    """An array that may be contiguous or not, such as one with values that stand for many."""
    return types.Array(element, dims, "A")


def pieces(points: int, n: int) -> int:
    """Number of independent pieces of an ensemble without coupling."""
    return points * math.ceil(n / STRIP)


@jit(forceinline=True)
def _neighbour_sums(near: Any, u: Any, neighbours: Any) -> None:
    """near[i] = Σ_k u[neighbours[k, i]], the rows of `neighbours` in order; four of them in a pass."""
    n, width = len(near), neighbours.shape[0]
    whole = width // 4 * 4
    for k in range(0, whole, 4):
        a, b, c, d = neighbours[k], neighbours[k + 1], neighbours[k + 2], neighbours[k + 3]
        if k == 0:
            for i in range(n):
                near[i] = ((u[a[i]] + u[b[i]]) + u[c[i]]) + u[d[i]]
        else:
            for i in range(n):
                near[i] = (((near[i] + u[a[i]]) + u[b[i]]) + u[c[i]]) + u[d[i]]
    for k in range(whole, width):
        a = neighbours[k]
        for i in range(n):
            near[i] = u[a[i]] + near[i] if k else u[a[i]]


@jit(forceinline=True)
def _total(u: Any, n: int, lanes: Any) -> Any:
    """Σ_i u[i] over the first n, in as many partial sums as there are `lanes`: an order that depends on n alone."""
    width = len(lanes)
    for j in range(width):
        lanes[j] = 0.0
    whole = n // width * width
    for i in range(0, whole, width):
        for j in range(width):
            lanes[j] += u[i + j]
    for i in range(whole, n):
        lanes[i - whole] += u[i]
    total = lanes[0]
    for j in range(1, width):
        total += lanes[j]
    return total


@jit(forceinline=True)
def _slopes(
    cell: int, per_cell: bool, mask: int, complete: bool, k: Any, u: Any, c: Any, drive: Any, gain: Any, loss: Any,
    neighbours: Any, near: Any, lanes: Any, one: Any,
) -> None:  # fmt: skip
    """k = the slopes at u (3, N + 1), whose last column is the 0 that stands for a neighbour that is not there."""
    n = len(drive)
    x, y, z = u[0], u[1], u[2]
    kx, ky, kz = k[0], k[1], k[2]
    a0, a1, a2, a3 = c[0, 0], c[1, 0], c[2, 0], c[3, 0]
    for i in range(n):
        if per_cell:
            a0, a1, a2, a3 = c[0, i], c[1, i], c[2, i], c[3, i]
        kx[i], ky[i], kz[i] = _field(cell, a0, a1, a2, a3, one, drive[i], x[i], y[i], z[i])
    for d in range(3):
        if mask >> d & 1:
            v, kd = u[d], k[d]
            if complete:
                total = _total(v, n, lanes)
                for i in range(n):
                    kd[i] = fma(-loss[i], v[i], fma(gain[i], total, kd[i]))
            else:
                _neighbour_sums(near, v, neighbours)
                for i in range(n):
                    kd[i] = fma(-loss[i], v[i], fma(gain[i], near[i], kd[i]))


@jit(forceinline=True)
def _combined(depth: int, u: Any, s: Any, k: Any, w: Any, first: int, count: int) -> None:
    """u = s + Σ_l w[first + l]·k[l], a stage's argument."""
    for d in range(depth):
        for i in range(s.shape[1]):
            v = s[d, i]
            for m in range(count):
                v = fma(w[first + m], k[m, d, i], v)
            u[d, i] = v


@jit(inline="always")
def _argument(method: int, depth: int, u: Any, s: Any, k: Any, w: Any, stage: int) -> None:
    """u = the argument of a stage. Each row of the tableau is a loop of constant length, so that LLVM unrolls it."""
    if stage == 0:
        _combined(depth, u, s, k, w, 0, 0)
    elif method == RK4:
        weight = w[0] if stage < 3 else w[0] + w[0]
        for d in range(depth):
            for i in range(s.shape[1]):
                u[d, i] = fma(weight, k[stage - 1, d, i], s[d, i])
    elif stage == 1:
        _combined(depth, u, s, k, w, 3, 1)
    elif stage == 2:
        _combined(depth, u, s, k, w, 4, 2)
    elif stage == 3:
        _combined(depth, u, s, k, w, 6, 3)
    elif stage == 4:
        _combined(depth, u, s, k, w, 9, 4)
    else:
        _combined(depth, u, s, k, w, 13, 5)


@jit(inline="always")
def _coupled(
    cell: int, method: int, per_cell: bool, mask: int, complete: bool, depth: int, s: Any, out: Any, params: Any,
    drive: Any, coupling: Any, steps: Any, h: Any, weights: Any, neighbours: Any, degrees: Any, first: int, last: int,
) -> None:  # fmt: skip
    """Points `first` to `last - 1` of the ensemble."""
    ticks, n = out.shape[0], out.shape[3]
    one = s.dtype.type(1)
    u, k = np.zeros((3, n + 1), s.dtype), np.zeros((6, 3, n), s.dtype)
    at, near, lanes = np.zeros((3, n), s.dtype), np.empty(n, s.dtype), np.empty(16, s.dtype)
    gain, loss, b = np.empty(n, s.dtype), np.empty(n, s.dtype), np.empty(n, s.dtype)
    c, w = np.zeros((4, n if per_cell else 1), s.dtype), np.empty(len(weights), s.dtype)
    for point in range(first, last):
        for d in range(depth):
            for i in range(n):
                at[d, i] = s[point, d, i]
        for t in range(ticks):
            if t == 0 or params.shape[0] > 1:
                for i in range(n if per_cell else 1):
                    _coefficients(cell, params[t, point, :, i], c, i)
            if t == 0 or drive.shape[0] > 1:
                for i in range(n):
                    b[i] = drive[t, point, i]
            if t == 0 or coupling.shape[0] > 1:
                for i in range(n):
                    rate = coupling[t, point] / max(1, degrees[i])
                    gain[i] = rate
                    loss[i] = rate * (n if complete else degrees[i])
            for j in range(len(weights)):
                w[j] = h[t, point] * weights[j]
            for _ in range(steps[t, point]):
                # One call of `_slopes`, so that its code is there once.
                for stage in range(4 if method == RK4 else 6):
                    _argument(method, depth, u, at, k, w, stage)
                    _slopes(cell, per_cell, mask, complete, k[stage], u, c, b, gain, loss, neighbours, near, lanes, one)
                if method == RK4:
                    for d in range(depth):
                        for i in range(n):
                            inner = fma(w[1], k[0, d, i] + k[3, d, i], at[d, i])
                            at[d, i] = fma(w[2], k[1, d, i] + k[2, d, i], inner)
                else:
                    _combined(depth, at, at, k, w, 18, 6)
            for d in range(depth):
                for i in range(n):
                    out[t, point, d, i] = at[d, i]


@cache
def coupled(
    cell: str, method: str, per_cell: bool, mask: int, complete: bool, dtype: np.dtype[Any]
) -> Callable[..., None]:  # fmt: skip
    """The compiled loop for an ensemble with coupling.

    Its arguments: s (B, D, N) and out (K, B, D, N), contiguous and of one type; params (K or 1, B, P, N), drive
    (K or 1, B, N), coupling (K or 1, B), steps and h (K, B), weights; neighbours, unsigned (width, N), N where a unit
    has fewer than `width`; degrees (N); and the range of points to compute.

    Args:
        mask: bit d says whether component d is coupled.
        complete: every cell is coupled with every other; `neighbours` is not read.
        dtype: type of s, out and drive; the other real numbers are of double precision.
    """
    which, how, depth = CELLS[cell], METHODS[method], 2 if cell == "vanderpol" else 3
    times = (_any(types.float64, 2), _any(types.int64, 2), _any(types.float64, 2), types.float64[::1])
    graph = (types.uint32[:, ::1], types.int64[::1])

    @jit(signature=types.void(*_common(dtype), *times, *graph, types.int64, types.int64))
    def run(
        s: Any, out: Any, params: Any, drive: Any, coupling: Any, steps: Any, h: Any, weights: Any, neighbours: Any,
        degrees: Any, first: int, last: int,
    ) -> None:  # fmt: skip
        _coupled(
            which, how, per_cell, mask, complete, depth, s, out, params, drive, coupling, steps, h, weights,
            neighbours, degrees, first, last,
        )  # fmt: skip

    return run
