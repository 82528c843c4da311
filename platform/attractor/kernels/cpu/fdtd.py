"""The wave equation on the CPU.

Grids are (batch, planes, rows, width): a 2-D grid has one row in a plane, so that both march plane by plane.

Several time steps go through the grid as one wave front: as soon as step t has done plane i + 1, step t + 1 does plane
i, which still lies in the cache. Only the first step reads the grid and only the last one writes it; the others keep
their last few planes. The absorbing layer goes with the front: what it adds to a plane is added as soon as the plane is
there. Bands of planes run side by side; each recomputes the few planes beyond its ends that its steps look at, with the
same arithmetic, so results do not depend on the number of threads.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from attractor.kernels.cpu.lanes import (
    LANES,
    fill,
    load,
    load_one,
    load_some,
    only,
    store,
    store_some,
    widened,
    with_one,
)
from attractor.kernels.jit import jit
from attractor.kernels.threads import in_pieces, threads_for

PERIODIC: Final = 0
REFLECTING: Final = 1
MUR1: Final = 2
PML: Final = 3
BOUNDARIES: Final = {"periodic": PERIODIC, "reflecting": REFLECTING, "mur1": MUR1, "pml": PML}

MOST_STEPS: Final = 16
"""Steps in one wave front; more would save little, for by then the second-level cache and not memory is the bound."""

LINE: Final = 64
"""Bytes of a cache line."""

CACHE: Final = 576 * 1024
"""Bytes of planes that the steps of a front may keep: what a core's second-level cache holds beside what streams by."""

RING: Final = 3
"""Planes of p and of the layer's memory that a step keeps for the next one: those around the one it does."""

BAND_PER_STEP: Final = 4
"""Planes of a band, at least, for every step of its front: narrower ones recompute too much of their neighbours."""

UPDATE_SECONDS: Final = 4e-10
"""Rough time of a step of one cell; it only decides whether threads pay."""

# Of the narrow type, so that they widen nothing they meet.
ZERO: Final = np.float32(0)
ONE: Final = np.float32(1)
FOUR: Final = np.float32(4)
SIX: Final = np.float32(6)

SLAB: Final = 16
"""Planes whose energies are summed by one job."""


class Memory(NamedTuple):
    """Where the absorbing layer's memory lies, across every axis: the ψ of plane i at an address plus i steps, its ζ a
    gap behind. All in bytes."""

    x: int
    x_step: int
    x_gap: int
    y: int
    y_step: int
    y_gap: int
    z: int
    z_step: int
    z_gap: int


@jit
def _row_end(
    up: int, mid: int, down: int, north: int, south: int, deep: bool, before: int, after: int, d: int, s: int,
    fed: bool, p_new: int, d_new: int, x: int, width: int, keep: float, push: float, feed: float, centre: float,
    item: int,
) -> None:  # fmt: skip
    """The cells x … x + 15 of a row, or as many as there are, where some neighbour lies beyond an end of the row."""
    j, count = x * item, min(LANES, width - x)
    m = load_some(mid + j, keep, 0, count)
    left = load_some(mid + j - item, keep, 1 if x == 0 else 0, count)
    if x == 0:
        left = with_one(left, 0, load_one(before, keep))
    right = load_some(mid + j + item, keep, 0, min(count, width - 1 - x))
    if x + count == width:
        right = with_one(right, count - 1, load_one(after, keep))
    around = load_some(up + j, keep, 0, count) + load_some(down + j, keep, 0, count)
    if deep:
        around = around + (load_some(north + j, keep, 0, count) + load_some(south + j, keep, 0, count))
    around = around + (left + right)
    moved = fill(keep) * load_some(d + j, keep, 0, count) + fill(push) * (around - fill(centre) * m)
    if fed:
        moved = moved + fill(feed) * load_some(s + j, keep, 0, count)
    store_some(d_new + j, moved, 0, count)
    store_some(p_new + j, m + moved, 0, count)


@jit
def _row(
    up: int, mid: int, down: int, north: int, south: int, deep: bool, before: int, after: int, d: int, s: int,
    fed: bool, p_new: int, d_new: int, width: int, keep: float, push: float, feed: float, item: int,
) -> None:  # fmt: skip
    """One row of cells. The names of rows are addresses; `before` and `after` are those of the neighbours beyond it."""
    centre: Any = push * ZERO + (SIX if deep else FOUR)
    k, q, f, c = fill(keep), fill(push), fill(feed), fill(centre)
    final = (width - 1) // LANES * LANES
    for j in range(LANES * item, final * item, LANES * item):
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
    for x in range(0, final + 1, max(1, final)):
        _row_end(
            up, mid, down, north, south, deep, before, after, d, s, fed, p_new, d_new, x, width, keep, push, feed,
            centre, item,
        )  # fmt: skip


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
        here = mid + at
        north, south = here - stride, here + stride
        if y == 0:
            north = mid + (rows - 1) * stride if periodic else zero
        if y == rows - 1:
            south = mid if periodic else zero
        before, after = (here + stride - item, here) if periodic else (zero, zero)
        _row(
            up + at, here, down + at, north, south, deep, before, after, d + at, s + at, fed, p_new + at, d_new + at,
            width, keep, push, feed, item,
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
def _absorb_row(
    cells: int, k: int, layer: int, decay: int, push: float, before: int, mid: int, after: int, own: int, beside: int,
    gap: int, out: int, out_gap: int, d_new: int, p_new: int, item: int,
) -> None:  # fmt: skip
    """What the layer across one axis adds to cells side by side, all at its place k; the rows are addresses.

    A cell needs the ψ on both its sides a step later. Its own one is kept, the other one is its neighbour's: it is
    computed twice, from the same numbers, so that no cell waits for another.
    """
    low_end = k < layer
    at = (k if low_end else k - 1) * item
    kinds = 2 * layer * item
    has_lower, has_upper = k != layer, k != layer - 1
    lower_psi, upper_psi = (own, beside) if low_end else (beside, own)
    nothing, q = fill(push * ZERO), fill(push)
    lower_half, lower_less = fill(load_one(decay + at, push)), fill(load_one(decay + kinds + at, push))
    at += item
    upper_half, upper_less = fill(load_one(decay + at, push)), fill(load_one(decay + kinds + at, push))
    at = 2 * kinds + k * item
    cell, cell_less = fill(load_one(decay + at, push)), fill(load_one(decay + kinds + at, push))
    for x in range(0, cells, LANES):
        j, count = x * item, min(LANES, cells - x)
        here = load_some(mid + j, push, 0, count)
        below = here - load_some(before + j, push, 0, count)
        above = load_some(after + j, push, 0, count) - here
        lower, upper = nothing, nothing
        if has_lower:
            lower = lower_half * load_some(lower_psi + j, push, 0, count) + lower_less * below
        if has_upper:
            upper = upper_half * load_some(upper_psi + j, push, 0, count) + upper_less * above
        slope = upper - lower
        zeta = cell * load_some(own + gap + j, push, 0, count) + cell_less * ((above - below) + slope)
        change = load_some(d_new + j, push, 0, count) + q * (slope + zeta)
        store_some(out + j, lower if low_end else upper, 0, count)
        store_some(out + out_gap + j, zeta, 0, count)
        store_some(d_new + j, change, 0, count)
        store_some(p_new + j, here + change, 0, count)


@jit
def _absorb_ends(
    width: int, layer: int, decay: int, push: float, mid: int, psi: int, gap: int, out: int, out_gap: int, d_new: int,
    p_new: int, item: int,
) -> None:  # fmt: skip
    """As `_absorb_row`, for the layer across the last axis at both ends of one row: its places are side by side."""
    kinds = 2 * layer * item
    q = fill(push)
    for side in range(2):
        first, last = side * layer, (side + 1) * layer
        for k in range(first, last, LANES):
            count = min(LANES, last - k)
            x = k if side == 0 else width - 2 * layer + k
            j = x * item
            here = load_some(mid + j, push, 0, count)
            below = here - load_some(mid + j - item, push, 1 if x == 0 else 0, count)
            above = load_some(mid + j + item, push, 0, min(count, width - 1 - x)) - here
            at = (k - side) * item
            begin = 1 if side == 1 and k == first else 0
            factor, less = load_some(decay + at, push, begin, count), load_some(decay + kinds + at, push, begin, count)
            lower = only(factor * load_some(psi + at, push, begin, count) + less * below, begin, count)
            at += item
            end = min(count, last - (k - side + 1))
            factor, less = load_some(decay + at, push, 0, end), load_some(decay + kinds + at, push, 0, end)
            upper = only(factor * load_some(psi + at, push, 0, end) + less * above, 0, end)
            slope = upper - lower
            at = k * item
            factor = load_some(decay + 2 * kinds + at, push, 0, count)
            less = load_some(decay + 3 * kinds + at, push, 0, count)
            zeta = factor * load_some(psi + gap + at, push, 0, count) + less * ((above - below) + slope)
            change = load_some(d_new + j, push, 0, count) + q * (slope + zeta)
            store_some(out + at, lower if side == 0 else upper, 0, count)
            store_some(out + out_gap + at, zeta, 0, count)
            store_some(d_new + j, change, 0, count)
            store_some(p_new + j, here + change, 0, count)


@jit(inline="always")
def _place(i: int, n: int, layer: int) -> int:
    """The place in the layer of cell i of n, or −1."""
    if i < layer:
        return i
    return i - n + 2 * layer if i >= n - layer else -1


@jit
def _absorb_plane(
    i: int, n: int, rows: int, width: int, layer: int, decay: int, push: float, old: Memory, first: bool, new: Memory,
    final: bool, up: int, mid: int, down: int, zero: int, d_new: int, p_new: int, item: int,
) -> None:  # fmt: skip
    """What the layer adds to plane i, axis after axis.

    Args:
        first, final: `old`, `new` is an array that holds all planes, and not a ring of them.
    """
    stride = width * item
    k = _place(i, n, layer)
    if k >= 0:
        by = 1 if k < layer else -1
        own = old.z + (k if first else i % RING) * old.z_step
        beside = old.z + (k + by if first else (i + by) % RING) * old.z_step
        out = new.z + (k if final else i % RING) * new.z_step
        _absorb_row(
            rows * width, k, layer, decay, push, up, mid, down, own, beside, old.z_gap, out, new.z_gap, d_new, p_new,
            item,
        )  # fmt: skip
    at, at_new = i if first else i % RING, i if final else i % RING
    if rows > 1:
        psi, out = old.y + at * old.y_step, new.y + at_new * new.y_step
        for k in range(2 * layer):
            y = k if k < layer else rows - 2 * layer + k
            row = y * stride
            before = mid + row - stride if y > 0 else zero
            after = mid + row + stride if y < rows - 1 else zero
            own = psi + k * stride
            beside = own + stride if k < layer else own - stride
            _absorb_row(
                width, k, layer, decay, push, before, mid + row, after, own, beside, old.y_gap, out + k * stride,
                new.y_gap, d_new + row, p_new + row, item,
            )  # fmt: skip
    psi, out = old.x + at * old.x_step, new.x + at_new * new.x_step
    kept = 2 * layer * item
    for y in range(rows):
        row = y * stride
        _absorb_ends(
            width, layer, decay, push, mid + row, psi + y * kept, old.x_gap, out + y * kept, new.x_gap, d_new + row,
            p_new + row, item,
        )  # fmt: skip


@jit(inline="always")
def _address(array: Any) -> Any:
    """Where an array begins. Numba's own answer is unsigned, and unsigned with signed makes a float."""
    return np.intp(array.ctypes.data)


@jit(inline="always")
def _wrapped(i: int, n: int) -> int:
    if i < 0:
        return i + n
    return i - n if i >= n else i


@jit
def _apart(size: int) -> int:
    """Bytes from plane to plane in a ring: an odd number of cache lines, so that they do not compete for places."""
    return ((size + LINE - 1) // LINE | 1) * LINE


@jit(inline="always")
def _memory(x: int, y: int, z: int, planes: int, places: int, rows: int, width: int, layer: int, item: int) -> Memory:
    x_step, y_step, z_step = rows * 2 * layer * item, 2 * layer * width * item, rows * width * item
    return Memory(x, x_step, planes * x_step, y, y_step, planes * y_step, z, z_step, places * z_step)


@jit(inline="always")
def _ring_memory(base: int, rows: int, width: int, layer: int, item: int) -> Memory:
    y = base + 2 * RING * rows * 2 * layer * item
    z = y + (2 * RING * 2 * layer * width * item if rows > 1 else 0)
    return _memory(base, y, z, RING, RING, rows, width, layer, item)


@jit
def kept_bytes(rows: int, width: int, layer: int, item: int) -> int:
    """Bytes that a step keeps for the next one, in places of their own."""
    across = width if rows > 1 else 0
    absorbing = rows * width + (rows + across) * 2 * layer if layer > 0 else 0
    return RING * _apart(rows * width * item) + _apart(2 * RING * absorbing * item)


@jit
def _band(
    p: int, d: int, s: int, fed: bool, memory: Memory, p_out: int, d_out: int, memory_out: Memory, ring: int,
    zero: int, n: int, rows: int, width: int, layer: int, first: int, last: int, steps: int, boundary: int, keep: float,
    push: float, feed: float, mur: float, decay: int, item: int,
) -> None:  # fmt: skip
    """`steps` steps of the planes first … last − 1 of one grid.

    Every step but the last keeps three planes of p and of the layer's memory, plane i in place i mod 3. No step looks
    at the d of a neighbour, so each writes d over that of the step before, plane i in place i mod `steps`: those are
    at the beginning of the ring.
    """
    size = rows * width * item
    apart, each = _apart(size), kept_bytes(rows, width, layer, item)
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
            keeping = ring + steps * apart + (step - 1) * each
            kept = keeping - each
            if step == 1:
                mid, up, down, old = p + here * size, p + above * size, p + below * size, d + here * size
            else:
                mid, old = kept + i % RING * apart, ring + i % steps * apart
                up, down = kept + (i - 1) % RING * apart, kept + (i + 1) % RING * apart
            if not periodic:
                up = zero if i == 0 else up
                down = zero if i == n - 1 else down
            if step == steps:
                p_new, d_new = p_out + i * size, d_out + i * size
                p_before, d_before = p_new - size, d_new - size
            else:
                p_new, d_new = keeping + i % RING * apart, ring + i % steps * apart
                p_before, d_before = keeping + (i - 1) % RING * apart, ring + (i - 1) % steps * apart
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
            elif boundary == PML:
                behind = RING * apart
                before = memory if step == 1 else _ring_memory(kept + behind, rows, width, layer, item)
                after = memory_out if step == steps else _ring_memory(keeping + behind, rows, width, layer, item)
                _absorb_plane(
                    i, n, rows, width, layer, decay, push, before, step == 1, after, step == steps, up, mid, down,
                    zero, d_new, p_new, item,
                )  # fmt: skip


@jit(inline="always")
def _memory_of(grid: int, x: Any, y: Any, z: Any, n: int, rows: int, width: int, layer: int, item: int) -> Memory:
    """Of one grid of a batch."""
    return _memory(
        _address(x) + grid * x.shape[1] * item, _address(y) + grid * y.shape[1] * item,
        _address(z) + grid * z.shape[1] * item, n, 2 * layer, rows, width, layer, item,
    )  # fmt: skip


@jit(inline="always")
def _job(
    job: int, bands: int, old: Any, new: Any, source: Any, table: Any, decays: Any, ring: Any, zero: Any, steps: int,
    boundary: int,
) -> None:  # fmt: skip
    p, d, x, y, z = old
    p_out, d_out, x_out, y_out, z_out = new
    n, rows, width = p.shape[1:]
    b, band = job // bands, job % bands
    item, layer = p.itemsize, decays.shape[2] // 2
    grid = b * n * rows * width * item
    fed = source.shape[0] > 0
    drive = _address(source) + (grid if source.shape[0] > 1 else 0)
    kept = (_address(ring) + job * ring.shape[1] + LINE - 1) // LINE * LINE
    _band(
        _address(p) + grid, _address(d) + grid, drive, fed, _memory_of(b, x, y, z, n, rows, width, layer, item),
        _address(p_out) + grid, _address(d_out) + grid,
        _memory_of(b, x_out, y_out, z_out, n, rows, width, layer, item), kept, _address(zero), n, rows, width, layer,
        n * band // bands, n * (band + 1) // bands, steps, boundary,
        table[b, 0], table[b, 1], table[b, 2], table[b, 3], _address(decays) + b * 8 * layer * item, item,
    )  # fmt: skip


@jit
def _march(
    old: Any, new: Any, source: Any, table: Any, decays: Any, ring: Any, zero: Any, steps: int, boundary: int,
    bands: int, first: int, last: int,
) -> None:  # fmt: skip
    for job in range(first, last):
        _job(job, bands, old, new, source, table, decays, ring, zero, steps, boundary)


def _empty_like(array: Any) -> Any:
    """A new array that begins with a cache line, so that vectors of aligned rows lie within lines."""
    room = np.empty(array.nbytes + LINE, np.uint8)
    first = -room.ctypes.data % LINE
    return room[first : first + array.nbytes].view(array.dtype).reshape(array.shape)


def advance(
    p: Any, d: Any, memory: list[Any], source: Any, table: Any, decay: Any, steps: int, boundary: int,
    bands: int | None = None,
) -> tuple[Any, Any, list[Any]]:  # fmt: skip
    """`steps` time steps.

    Args:
        p, d: (B, planes, rows, width), contiguous; like the memory they are left as they are.
        memory: of the absorbing layer, by axis, (B, cells); empty without PML.
        source: (B or 1, planes, rows, width), or (0, …) for none.
        table: (B, 6), the factors keep, push, feed, mur, and those of the energy's two sums.
        decay: (B, 2, 2·layer), at the halves between cells and at the cells.
        bands: into how many bands a grid is cut; None: as many as there are threads for.

    Returns:
        p, d and memory after them, new arrays.
    """
    batch, n, rows, width = p.shape
    layer = decay.shape[2] // 2
    apart, each = _apart(rows * width * p.itemsize), kept_bytes(rows, width, layer, p.itemsize)
    # The planes inside the layer across them are few, so what is kept of those alone does not stay in the cache.
    most = max(1, min(MOST_STEPS, CACHE // (apart + kept_bytes(rows, width, 0, p.itemsize))))
    if boundary == PERIODIC:
        # A step looks one plane further than the step before it, and around the end once.
        most = min(most, n)
    # Evenly: nine steps are five and four, not eight and one.
    rounds = -(-steps // most)
    longest = -(-steps // rounds)
    seconds = longest * p.size * UPDATE_SECONDS
    if bands is None:
        bands = max(1, min(-(-threads_for(batch * n, seconds) // batch), n // (BAND_PER_STEP * longest)))
    zero = np.zeros(rows * width, p.dtype)
    ring = np.empty((batch * bands, longest * apart + (longest - 1) * each + LINE), np.uint8)
    # b, b − 1, with b at halves and at cells.
    decays = np.stack([decay[:, 0], decay[:, 0] - ONE, decay[:, 1], decay[:, 1] - ONE], 1)
    none = np.empty((batch, 0), p.dtype)
    z, y, x = memory if len(memory) == 3 else (memory[0], none, memory[1]) if memory else (none, none, none)
    old: tuple[Any, ...] = (p, d, x, y, z)
    spare: tuple[Any, ...] | None = None
    for turn in range(rounds):
        share = steps * (turn + 1) // rounds - steps * turn // rounds
        new = spare or tuple(_empty_like(one) for one in old)
        common = (old, new, source, table, decays, ring, zero, share, boundary, bands)
        in_pieces(partial(_march, *common), batch * bands, seconds)
        spare = None if turn == 0 else old
        old = new
    p, d, x, y, z = old
    return p, d, [z, y, x] if len(memory) == 3 else [z, x] if memory else []


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
    place = _address(sums) + job * sums.shape[1] * 8
    t, v = 0.0, 0.0
    for i in range(slab * SLAB, min(n, (slab + 1) * SLAB)):
        more_t, more_v = _plane_energy(
            _address(p) + grid, _address(d) + grid, i, n, rows, width, boundary, _address(mask), place,
            table[b, 0], item,
        )  # fmt: skip
        t += more_t
        v += more_v
    sums[job, 0] += t
    sums[job, LANES] += v


@jit
def _energies(
    p: Any, d: Any, table: Any, mask: Any, sums: Any, boundary: int, slabs: int, first: int, last: int
) -> None:
    for job in range(first, last):
        _slab_energy(job, slabs, p, d, table, mask, sums, boundary)


def energies(p: Any, d: Any, table: Any, boundary: int) -> Any:
    """½Σ[d²/dt² + c²∇p·∇p⁻] of every grid, shape (B,). Arguments as for `advance`."""
    batch, n = p.shape[:2]
    slabs = -(-n // SLAB)
    mask = np.repeat(np.array([0, 1], p.dtype), LANES)
    sums = np.zeros((batch * slabs, 2 * LANES))
    common = (p, d, table, mask, sums, boundary, slabs)
    in_pieces(partial(_energies, *common), batch * slabs, p.size * UPDATE_SECONDS)
    both = sums.reshape(batch, slabs, 2, LANES).sum((1, 3))
    return (both * table[:, 4:6]).sum(1).astype(p.dtype)
