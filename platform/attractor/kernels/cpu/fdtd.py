"""The wave equation on the CPU.

Grids are (batch, planes, rows, width): a 2-D grid has one row in a plane, so that both march plane by plane.

Several time steps go through the grid as one wave front: as soon as step t has done plane i + 1, step t + 1 does plane
i, which still lies in the cache. Only the first step reads the grid and only the last one writes it; the others keep
their last few planes. Bands of planes run side by side; each recomputes the few planes beyond its ends that its steps
look at, with the same arithmetic, so results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np

from attractor.kernels.cpu.lanes import LANES, fill, load, load_one, store, widened
from attractor.kernels.jit import jit

PERIODIC: Final = 0
REFLECTING: Final = 1
MUR1: Final = 2
PML: Final = 3
BOUNDARIES: Final = {"periodic": PERIODIC, "reflecting": REFLECTING, "mur1": MUR1, "pml": PML}

MOST_STEPS: Final = 8
"""Steps in one wave front; more would save nothing, for by then arithmetic and not memory is the bound."""

CACHE: Final = 384 * 1024
"""Bytes of planes that the steps of a front may keep: what a core's second-level cache holds beside what streams by."""

PLANES_KEPT: Final = 6
"""Planes that a step keeps for the next one."""

LEAST_BAND: Final = 32
"""Planes of a band, at least: below that a band recomputes too much of its neighbours."""

PARALLEL_FROM: Final = 1 << 18
"""Cell updates of a call from which waking other threads costs less than it saves."""

# Of the narrow type, so that they widen nothing they meet.
ZERO: Final = np.float32(0)
ONE: Final = np.float32(1)
FOUR: Final = np.float32(4)
SIX: Final = np.float32(6)

SLAB: Final = 16
"""Planes whose energies are summed by one job."""

COLUMN: Final = 4096
"""Cells that one job of the absorbing layer takes side by side."""


@jit
def _row(
    up: int, mid: int, down: int, north: int, south: int, deep: bool, d: int, s: int, fed: bool, p_new: int,
    d_new: int, width: int, periodic: bool, keep: float, push: float, feed: float, item: int,
) -> None:  # fmt: skip
    """One row of cells: all but the first and the last in vectors. The names of rows are addresses."""
    end = (width - 1) * item
    nothing = keep * ZERO
    centre = nothing + (SIX if deep else FOUR)
    if width >= LANES + 2:
        k, q, f, c = fill(keep), fill(push), fill(feed), fill(centre)
        final = end - LANES * item
        j = item
        while True:
            m = load(mid + j, keep)
            around = load(up + j, keep) + load(down + j, keep)
            if deep:
                around = around + (load(north + j, keep) + load(south + j, keep))
            around = around + (load(mid + j - item, keep) + load(mid + j + item, keep))
            moved = k * load(d + j, keep) + q * (around - c * m)
            if fed:
                moved = moved + f * load(s + j, keep)
            store(d_new + j, moved)
            store(p_new + j, m + moved)
            if j == final:
                break
            # The last vector overlaps the one before: it computes some cells twice, from the same numbers.
            j = min(j + LANES * item, final)
        inner = end
    else:
        inner = item
    j = 0
    while j <= end:
        here = load_one(mid + j, keep)
        left, right = nothing, nothing
        if j > 0:
            left = load_one(mid + j - item, keep)
        elif periodic:
            left = load_one(mid + end, keep)
        if j < end:
            right = load_one(mid + j + item, keep)
        elif periodic:
            right = load_one(mid, keep)
        near = load_one(up + j, keep) + load_one(down + j, keep)
        if deep:
            near = near + (load_one(north + j, keep) + load_one(south + j, keep))
        near = near + (left + right)
        change = keep * load_one(d + j, keep) + push * (near - centre * here)
        if fed:
            change = change + feed * load_one(s + j, keep)
        store(d_new + j, change)
        store(p_new + j, here + change)
        j += inner if j == 0 else item


@jit
def _plane(
    up: int, mid: int, down: int, zero: int, d: int, s: int, fed: bool, p_new: int, d_new: int, rows: int, width: int,
    periodic: bool, keep: float, push: float, feed: float, item: int,
) -> None:  # fmt: skip
    """One plane of cells."""
    stride = width * item
    deep = rows > 1
    for y in range(rows):
        at = y * stride
        north, south = mid + at - stride, mid + at + stride
        if y == 0:
            north = mid + (rows - 1) * stride if periodic else zero
        if y == rows - 1:
            south = mid if periodic else zero
        _row(
            up + at, mid + at, down + at, north, south, deep, d + at, s + at, fed, p_new + at, d_new + at, width,
            periodic, keep, push, feed, item,
        )  # fmt: skip


@jit
def _mur_row(
    old: int, old_in: int, d_in: int, p_new: int, d_new: int, first: int, last: int, mur: float, item: int
) -> None:
    """Cells first … last − 1 of a face, from the row beside it: d⁺ = (1 + k)(p_in − p) + k·d_in⁺."""
    for x in range(first, last):
        j = x * item
        here = load_one(old + j, mur)
        change = (load_one(old_in + j, mur) - here) * (mur + ONE) + mur * load_one(d_in + j, mur)
        store(d_new + j, change)
        store(p_new + j, here + change)


@jit
def _mur_rim(mid: int, p_new: int, d_new: int, rows: int, width: int, mur: float, item: int) -> None:
    """The faces across the two inner axes, within one plane."""
    stride = width * item
    if rows > 1:
        for y, inside in ((0, 1), (rows - 1, rows - 2)):
            _mur_row(
                mid + y * stride, mid + inside * stride, d_new + inside * stride, p_new + y * stride,
                d_new + y * stride, 1, width - 1, mur, item,
            )  # fmt: skip
    for y in range(rows):
        at = y * stride
        _mur_row(mid + at, mid + at + item, d_new + at + item, p_new + at, d_new + at, 0, 1, mur, item)
        at += stride - item
        _mur_row(mid + at, mid + at - item, d_new + at - item, p_new + at, d_new + at, 0, 1, mur, item)


@jit
def _mur_plane(
    mid: int, inside: int, d_inside: int, p_new: int, d_new: int, rows: int, width: int, mur: float, item: int
) -> None:
    """The face across the outermost axis."""
    stride = width * item
    for y in range(rows):
        if rows == 1 or 0 < y < rows - 1:
            at = y * stride
            _mur_row(mid + at, inside + at, d_inside + at, p_new + at, d_new + at, 1, width - 1, mur, item)
    _mur_rim(mid, p_new, d_new, rows, width, mur, item)


@jit
def _wrapped(i: int, n: int) -> int:
    if i < 0:
        return i + n
    return i - n if i >= n else i


@jit
def _band(
    p: int, d: int, s: int, fed: bool, p_out: int, d_out: int, ring: int, zero: int, n: int, rows: int, width: int,
    first: int, last: int, steps: int, boundary: int, keep: float, push: float, feed: float, mur: float, item: int,
) -> None:  # fmt: skip
    """`steps` steps of the planes first … last − 1 of one grid.

    The ring holds four planes of p and two of d for every step but the last; plane i lies in place i mod 4 or i mod 2.
    """
    size = rows * width * item
    periodic = boundary == PERIODIC
    for front in range(first - steps + 1, last + steps - 1):
        for step in range(1, steps + 1):
            i = front - step + 1
            low, high = first - (steps - step), last + (steps - step)
            if not periodic:
                low, high = max(low, 0), min(high, n)
            if i < low or i >= high or (boundary == MUR1 and i == 0):
                continue
            here, above, below = _wrapped(i, n), _wrapped(i - 1, n), _wrapped(i + 1, n)
            if step == 1:
                mid, up, down, old = p + here * size, p + above * size, p + below * size, d + here * size
            else:
                kept = ring + (step - 2) * PLANES_KEPT * size
                mid, up, down = kept + (i & 3) * size, kept + (i - 1 & 3) * size, kept + (i + 1 & 3) * size
                old = kept + (4 + (i & 1)) * size
            if not periodic:
                up = zero if i == 0 else up
                down = zero if i == n - 1 else down
            if step == steps:
                p_new, d_new = p_out + i * size, d_out + i * size
                p_before, d_before = p_new - size, d_new - size
            else:
                kept = ring + (step - 1) * PLANES_KEPT * size
                p_new, d_new = kept + (i & 3) * size, kept + (4 + (i & 1)) * size
                p_before, d_before = kept + (i - 1 & 3) * size, kept + (4 + (i - 1 & 1)) * size
            if boundary == MUR1 and i == n - 1:
                _mur_plane(mid, up, d_before, p_new, d_new, rows, width, mur, item)
                continue
            _plane(
                up, mid, down, zero, old, s + here * size, fed, p_new, d_new, rows, width, periodic, keep, push, feed,
                item,
            )  # fmt: skip
            if boundary == MUR1:
                _mur_rim(mid, p_new, d_new, rows, width, mur, item)
                if i == 1 and low == 0:
                    # A face follows the plane inside it, so the first plane waits for the second.
                    _mur_plane(up, mid, d_new, p_before, d_before, rows, width, mur, item)


@jit
def _job(
    job: int, bands: int, p: Any, d: Any, source: Any, table: Any, p_out: Any, d_out: Any, ring: Any, zero: Any,
    steps: int, boundary: int,
) -> None:  # fmt: skip
    n, rows, width = p.shape[1:]
    b, band = job // bands, job % bands
    item = p.itemsize
    grid = b * n * rows * width * item
    fed = source.shape[0] > 0
    drive = source.ctypes.data + (grid if source.shape[0] > 1 else 0)
    _band(
        p.ctypes.data + grid, d.ctypes.data + grid, drive, fed, p_out.ctypes.data + grid, d_out.ctypes.data + grid,
        ring.ctypes.data + job * ring.shape[1] * item, zero.ctypes.data, n, rows, width, n * band // bands,
        n * (band + 1) // bands, steps, boundary, table[b, 0], table[b, 1], table[b, 2], table[b, 3], item,
    )  # fmt: skip


@jit
def _march_alone(
    p: Any, d: Any, source: Any, table: Any, p_out: Any, d_out: Any, ring: Any, zero: Any, steps: int, boundary: int,
    bands: int,
) -> None:  # fmt: skip
    for job in range(p.shape[0] * bands):
        _job(job, bands, p, d, source, table, p_out, d_out, ring, zero, steps, boundary)


@jit(parallel=True)
def _march_together(
    p: Any, d: Any, source: Any, table: Any, p_out: Any, d_out: Any, ring: Any, zero: Any, steps: int, boundary: int,
    bands: int,
) -> None:  # fmt: skip
    for job in numba.prange(p.shape[0] * bands):
        _job(job, bands, p, d, source, table, p_out, d_out, ring, zero, steps, boundary)


def _worth_waking(updates: int) -> bool:
    """Whether so many cell updates are to be shared among threads."""
    return numba.get_num_threads() > 1 and updates >= PARALLEL_FROM


def advance(
    p: Any, d: Any, memory: list[Any], source: Any, table: Any, decay: Any, steps: int, boundary: int
) -> tuple[Any, Any]:
    """`steps` time steps.

    Args:
        p, d: (B, planes, rows, width), contiguous; they are left as they are.
        memory: of the absorbing layer, by axis, (B, 2, outside, 2·layer, inside), changed in place; empty without PML.
        source: (B or 1, planes, rows, width), or (0, …) for none.
        table: (B, 6), the factors keep, push, feed, mur, and those of the energy's two sums.
        decay: (B, 2, 2·layer), at the halves between cells and at the cells.

    Returns:
        p and d after them, new arrays.
    """
    batch, n, rows, width = p.shape
    plane = rows * width
    most = 1 if boundary == PML else max(1, min(MOST_STEPS, CACHE // (PLANES_KEPT * plane * p.itemsize)))
    together = _worth_waking(p.size * steps)
    bands = max(1, min(-(-numba.get_num_threads() // batch), n // LEAST_BAND)) if together else 1
    # Evenly: nine steps are five and four, not eight and one.
    rounds = -(-steps // most)
    zero = np.zeros(plane, p.dtype)
    ring = np.empty((batch * bands, (-(-steps // rounds) - 1) * PLANES_KEPT * plane), p.dtype)
    march, absorb = (_march_together, _absorb_together) if together else (_march_alone, _absorb_alone)
    old: tuple[Any, Any] = (p, d)
    spare: tuple[Any, Any] | None = None
    for turn in range(rounds):
        share = steps * (turn + 1) // rounds - steps * turn // rounds
        new = spare or (np.empty_like(p), np.empty_like(d))
        march(old[0], old[1], source, table, new[0], new[1], ring, zero, share, boundary, bands)
        for layer in memory:
            grids = (batch, layer.shape[2], -1, layer.shape[4])
            absorb(old[0].reshape(grids), new[0].reshape(grids), new[1].reshape(grids), layer, decay, table)
        spare = None if turn == 0 else old
        old = new
    return old


@jit
def _layer(
    job: int, outside: int, columns: int, grid: Any, grid_new: Any, moved: Any, memory: Any, decays: Any, table: Any
) -> None:
    """The absorbing layer at both ends of one axis, for one of the lines or columns along it.

    Grids are (B, outside, along the axis, inside), memory is (B, 2, outside, 2·layer, inside).
    """
    b, o = job // (outside * columns), job // columns % outside
    p, p_new, d_new, psi, zeta = grid[b, o], grid_new[b, o], moved[b, o], memory[b, 0, o], memory[b, 1, o]
    half, cell, push = decays[b, 0], decays[b, 1], table[b, 1]
    n, width = p.shape[0], psi.shape[0] // 2
    first = job % columns * COLUMN
    last = min(p.shape[1], first + COLUMN)
    nothing = push * ZERO
    for k in range(2 * width):
        h = k if k < width else n - 2 * width + k + 1
        decay = half[k]
        for x in range(first, last):
            above = p[h, x] if h < n else nothing
            below = p[h - 1, x] if h > 0 else nothing
            psi[k, x] = decay * psi[k, x] + (decay - ONE) * (above - below)
    for k in range(2 * width):
        i = k if k < width else n - 2 * width + k
        decay = cell[k]
        for x in range(first, last):
            if k < width:
                upper = psi[k + 1, x] if k + 1 < width else nothing
                lower = psi[k, x]
            else:
                upper = psi[k, x]
                lower = psi[k - 1, x] if k > width else nothing
            slope = upper - lower
            above = p[i + 1, x] if i + 1 < n else nothing
            below = p[i - 1, x] if i > 0 else nothing
            second = (above - p[i, x]) - (p[i, x] - below)
            zeta[k, x] = decay * zeta[k, x] + (decay - ONE) * (second + slope)
            change = d_new[i, x] + push * (slope + zeta[k, x])
            d_new[i, x] = change
            p_new[i, x] = p[i, x] + change


@jit
def _absorb_alone(p: Any, p_new: Any, d_new: Any, memory: Any, decay: Any, table: Any) -> None:
    outside, columns = p.shape[1], -(-p.shape[3] // COLUMN)
    for job in range(p.shape[0] * outside * columns):
        _layer(job, outside, columns, p, p_new, d_new, memory, decay, table)


@jit(parallel=True)
def _absorb_together(p: Any, p_new: Any, d_new: Any, memory: Any, decay: Any, table: Any) -> None:
    outside, columns = p.shape[1], -(-p.shape[3] // COLUMN)
    for job in numba.prange(p.shape[0] * outside * columns):
        _layer(job, outside, columns, p, p_new, d_new, memory, decay, table)


@jit
def _gradient(p: int, d: int, q: int, e: int, like: float) -> Any:
    """(p − q)·(p⁻ − q⁻) of 16 cells and 16 neighbours, with p⁻ = p − d and q⁻ = q − e."""
    here, beside = load(p, like), load(q, like)
    return (here - beside) * ((here - load(d, like)) - (beside - load(e, like)))


@jit
def _gradient_one(p: int, d: int, q: int, e: int, like: float) -> float:
    here, beside = load_one(p, like), load_one(q, like)
    return np.float64((here - beside) * ((here - load_one(d, like)) - (beside - load_one(e, like))))


@jit
def _density(
    p: int, d: int, up: int, d_up: int, north: int, d_north: int, outer: bool, deep: bool, j: int, like: float,
    item: int,
) -> Any:  # fmt: skip
    density = _gradient(p + j, d + j, p + j - item, d + j - item, like)
    if outer:
        density = density + _gradient(p + j, d + j, up + j, d_up + j, like)
    if deep:
        density = density + _gradient(p + j, d + j, north + j, d_north + j, like)
    return density


@jit
def _row_energy(
    p: int, d: int, up: int, d_up: int, north: int, d_north: int, outer: bool, deep: bool, width: int, boundary: int,
    mask: int, sums: int, like: float, item: int,
) -> tuple[float, float]:  # fmt: skip
    """Sums of d² and of ∇p·∇p⁻ over a row; a gradient belongs to the cell at its upper end.

    What is computed in vectors is added to the 2·16 doubles at `sums`, the rest is returned.
    """
    whole = (width - 1) // LANES
    ended = 1 + whole * LANES
    if whole > 0:
        kinetic, potential = load(sums, 0.0), load(sums + LANES * 8, 0.0)
        for k in range(whole):
            j = (1 + k * LANES) * item
            moved = load(d + j, like)
            kinetic = kinetic + widened(moved * moved)
            potential = potential + widened(_density(p, d, up, d_up, north, d_north, outer, deep, j, like, item))
        if ended < width:
            # One vector more, of which the first cells have been counted: they are masked.
            j = (width - LANES) * item
            new = load(mask + (width - ended) * item, like)
            moved = load(d + j, like)
            kinetic = kinetic + widened(moved * moved * new)
            density = _density(p, d, up, d_up, north, d_north, outer, deep, j, like, item)
            potential = potential + widened(density * new)
        store(sums, kinetic)
        store(sums + LANES * 8, potential)
        ended = width
    t, v = 0.0, 0.0
    for x in range(width):
        if 0 < x < ended:
            break
        j = x * item
        change = load_one(d + j, like)
        t += np.float64(change * change)
        if outer:
            v += _gradient_one(p + j, d + j, up + j, d_up + j, like)
        if deep:
            v += _gradient_one(p + j, d + j, north + j, d_north + j, like)
        if x > 0:
            v += _gradient_one(p + j, d + j, p + j - item, d + j - item, like)
    end = (width - 1) * item
    if boundary == PERIODIC:
        v += _gradient_one(p, d, p + end, d + end, like)
    elif boundary != MUR1:
        v += _wall(p, d, 1, like, item) + _wall(p + end, d + end, 1, like, item)
    return t, v


@jit
def _wall(p: int, d: int, cells: int, like: float, item: int) -> float:
    """Sum of p·p⁻ over cells whose neighbour is the zero edge."""
    v = 0.0
    for x in range(cells):
        value = load_one(p + x * item, like)
        v += np.float64(value * (value - load_one(d + x * item, like)))
    return v


@jit
def _plane_energy(
    p: int, d: int, i: int, n: int, rows: int, width: int, boundary: int, mask: int, sums: int, like: float, item: int
) -> tuple[float, float]:
    """As `_row_energy`, for plane i of the grid at p."""
    stride = width * item
    size = rows * stride
    at = i * size
    outer = i > 0 or boundary == PERIODIC
    above = at - size if i > 0 else (n - 1) * size
    zero_edge = boundary in (REFLECTING, PML)
    t, v = 0.0, 0.0
    if zero_edge and i == 0:
        v += _wall(p + at, d + at, rows * width, like, item)
    if zero_edge and i == n - 1:
        v += _wall(p + at, d + at, rows * width, like, item)
    for y in range(rows):
        row = at + y * stride
        deep = rows > 1 and (y > 0 or boundary == PERIODIC)
        beside = row - stride if y > 0 else at + (rows - 1) * stride
        over = above + y * stride
        more_t, more_v = _row_energy(
            p + row, d + row, p + over, d + over, p + beside, d + beside, outer, deep, width, boundary, mask, sums,
            like, item,
        )  # fmt: skip
        t += more_t
        v += more_v
        if zero_edge and rows > 1 and y in (0, rows - 1):
            v += _wall(p + row, d + row, width, like, item)
    return t, v


@jit
def _slab_energy(job: int, slabs: int, p: Any, d: Any, table: Any, mask: Any, sums: Any, boundary: int) -> None:
    """The sums of SLAB planes, into the job's place."""
    n, rows, width = p.shape[1:]
    item = p.itemsize
    b, slab = job // slabs, job % slabs
    grid = b * n * rows * width * item
    place = sums.ctypes.data + job * sums.shape[1] * 8
    t, v = 0.0, 0.0
    for i in range(slab * SLAB, min(n, (slab + 1) * SLAB)):
        more_t, more_v = _plane_energy(
            p.ctypes.data + grid, d.ctypes.data + grid, i, n, rows, width, boundary, mask.ctypes.data, place,
            table[b, 0], item,
        )  # fmt: skip
        t += more_t
        v += more_v
    sums[job, 0] += t
    sums[job, LANES] += v


@jit
def _energies_alone(p: Any, d: Any, table: Any, mask: Any, sums: Any, boundary: int, slabs: int) -> None:
    for job in range(p.shape[0] * slabs):
        _slab_energy(job, slabs, p, d, table, mask, sums, boundary)


@jit(parallel=True)
def _energies_together(p: Any, d: Any, table: Any, mask: Any, sums: Any, boundary: int, slabs: int) -> None:
    for job in numba.prange(p.shape[0] * slabs):
        _slab_energy(job, slabs, p, d, table, mask, sums, boundary)


def energies(p: Any, d: Any, table: Any, boundary: int) -> Any:
    """½Σ[d²/dt² + c²∇p·∇p⁻] of every grid, shape (B,). Arguments as for `advance`."""
    batch, n = p.shape[:2]
    slabs = -(-n // SLAB)
    mask = np.repeat(np.array([0, 1], p.dtype), LANES)
    sums = np.zeros((batch * slabs, 2 * LANES))
    run = _energies_together if _worth_waking(p.size) else _energies_alone
    run(p, d, table, mask, sums, boundary, slabs)
    both = sums.reshape(batch, slabs, 2, LANES).sum((1, 3))
    return (both * table[:, 4:6]).sum(1).astype(p.dtype)
