"""The damped wave equation p_tt + γ p_t = c²∇²p + S on a grid, by leapfrog with centred damping, in 2-D and 3-D.

A step is p⁺ = [2p − (1 − γdt/2)p⁻ + c²dt²∇²p + dt²S] / (1 + γdt/2). What is carried on is p and d = p − p⁻, in which
the same step reads

    d⁺ = keep·d + push·(dx²∇²p) + feed·S,    p⁺ = p + d⁺
    keep = (1 − γdt/2)/(1 + γdt/2),   push = (c dt/dx)²/(1 + γdt/2),   feed = dt²/(1 + γdt/2).

The two are one scheme, but 2p − p⁻ rounds the small increment of a step to the precision of p, again in every step: in
single precision the error of p and p⁻ grows like n^(3/2) with the number of steps, that of p and d like n^(1/2).

`reference` is plain torch and differentiable, and defines what is right; `kernel` is the operator ``attractor::fdtd``
(Numba on the CPU, Triton on CUDA), whose p and d equal those of the reference bit for bit on the CPU.

Boundaries:
    periodic    the grid is a torus.
    reflecting  p = 0 just outside the grid (a hard zero edge reflects everything, with its sign turned).
    mur1        the outermost cells follow Mur's first-order condition, axis after axis, so that an edge or a corner
                follows its neighbour along the last axis on whose face it lies. They are not driven.
    pml         a convolutional perfectly matched layer inside the grid, `layer` cells wide at every end, zero edge
                behind it.

References: Taflove & Hagness, Computational Electrodynamics; Mur 1981, IEEE Trans. EMC 23:377 (mur1); Berenger 1994,
J. Comput. Phys. 114:185; Roden & Gedney 2000, Microw. Opt. Technol. Lett. 27:334, and Pasalic & McGarry 2010, SEG
Expanded Abstracts 29:2925 (pml: its convolutional form, and that form for the equation of second order).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import torch

BOUNDARIES: Final = ("periodic", "reflecting", "mur1", "pml")

REFLECTION: Final = 1e-5
"""Theoretical reflection of the layer at normal incidence, which fixes how strongly it absorbs."""

GRADING: Final = 2
"""Exponent of the layer's profile."""

Fields = tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor]
"""p, d, the layer's memory by axis, and the energy."""


class CourantViolated(ValueError):
    """A time step for which the scheme is unstable: c·dt/dx > 1/√dims."""


class OutOfRange(ValueError):
    """A wave speed that is not positive, or a damping that is negative."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What does not change from step to step.

    Attributes:
        dims: number of space dimensions, 2 or 3.
        dx: distance of cells.
        dt: time step.
        boundary: one of `BOUNDARIES`.
        layer: cells of the absorbing layer (pml).
    """

    dims: int
    dx: float = 1.0
    dt: float = 0.01
    boundary: str = "periodic"
    layer: int = 12

    def __post_init__(self) -> None:
        if self.dims not in (2, 3):
            raise ValueError(f"dims is {self.dims}; the wave equation is solved in 2 or 3 dimensions")
        if self.boundary not in BOUNDARIES:
            raise ValueError(f"the boundary {self.boundary!r} is none of {', '.join(BOUNDARIES)}")

    def courant(self, c: float) -> float:
        """c·dt/dx."""
        return c * self.dt / self.dx

    @property
    def limit(self) -> float:
        """The largest stable c·dt/dx, 1/√dims."""
        return 1.0 / math.sqrt(self.dims)

    def memory(self, like: torch.Tensor) -> list[torch.Tensor]:
        """The empty memory of the layer for a field like `like` (..., *size): by axis, (..., 2, *size with 2·layer)."""
        if self.boundary != "pml":
            return []
        batch, size = like.shape[: -self.dims], like.shape[-self.dims :]
        return [like.new_zeros(*batch, 2, *size[:axis], 2 * self.layer, *size[axis + 1 :]) for axis in range(self.dims)]


def reference(
    p: torch.Tensor, d: torch.Tensor, memory: Sequence[torch.Tensor], source: torch.Tensor | None,
    c: float | torch.Tensor, gamma: float | torch.Tensor, grid: Grid, steps: int = 1,
) -> Fields:  # fmt: skip
    """`steps` time steps, in plain torch.

    Args:
        p, d: field and its increment of the step before, shape (..., *size).
        memory: as `Grid.memory` makes it and as it was returned.
        source: S, constant over the steps; shape (*size) or (..., *size), or None.
        c, gamma: wave speed and damping; numbers, or tensors of the batch's shape (...).

    Returns:
        p, d and memory after the steps, and the energy E = ½Σ[(p − p⁻)²/dt² + c²∇p·∇p⁻] of p and p⁻ = p − d, shape
        (...): Σ is over the cells, and over the gradients between cells and, where the edge is zero, to the edge.

    Raises:
        CourantViolated: some c·dt/dx is beyond 1/√dims. OutOfRange: c is not positive, or gamma negative.
        ValueError: a shape does not fit.
    """
    _check(p, source, c, gamma, grid)
    table, decay = _factors(p, c, gamma, grid)
    batch = p.shape[: -grid.dims]
    flat = _flat(p, d, memory, source, grid)
    after = _reference(*flat, table, decay, grid.boundary, steps)
    return _unflat(after, batch)


def kernel(
    p: torch.Tensor, d: torch.Tensor, memory: Sequence[torch.Tensor], source: torch.Tensor | None,
    c: float | torch.Tensor, gamma: float | torch.Tensor, grid: Grid, steps: int = 1,
) -> Fields:  # fmt: skip
    """What `reference` does, by the operator ``attractor::fdtd``: all steps in one call."""
    _check(p, source, c, gamma, grid)
    table, decay = _factors(p, c, gamma, grid)
    batch = p.shape[: -grid.dims]
    after = _operator(*_flat(p, d, memory, source, grid), table, decay, grid.boundary, steps)
    return _unflat(after, batch)


def _check(
    p: torch.Tensor, source: torch.Tensor | None, c: float | torch.Tensor, gamma: float | torch.Tensor, grid: Grid
) -> None:
    size = p.shape[-grid.dims :]
    if source is not None and source.shape[-grid.dims :] != size:
        raise ValueError(f"the source has shape {list(source.shape)}, the field {list(size)}")
    least = grid.layer * 2 + 2 if grid.boundary == "pml" else 3
    if min(size) < least:
        raise ValueError(f"the grid {list(size)} is too small: the boundary {grid.boundary!r} needs {least} cells")
    slowest, fastest = _ends(c)
    if slowest <= 0.0:
        raise OutOfRange(f"the wave speed {slowest:g} is not positive")
    if not grid.courant(fastest) <= grid.limit * (1.0 + 1e-9):
        raise CourantViolated(
            f"c·dt/dx = {grid.courant(fastest):.4g} is beyond the limit 1/√{grid.dims} = {grid.limit:.4g}"
        )
    if not _ends(gamma)[0] >= 0.0:
        raise OutOfRange(f"the damping {_ends(gamma)[0]:g} is negative")


def _ends(value: float | torch.Tensor) -> tuple[float, float]:
    if isinstance(value, torch.Tensor):
        low, high = value.detach().aminmax()
        return float(low), float(high)
    return value, value


def _factors(
    p: torch.Tensor, c: float | torch.Tensor, gamma: float | torch.Tensor, grid: Grid
) -> tuple[torch.Tensor, torch.Tensor]:
    """The table (B, 6) of a step's factors, and the layer's decay (B, 2, 2·layer) at halves and at cells.

    The factors are keep, push, feed, mur = (c dt − dx)/(c dt + dx), and those of Σd² and Σ∇p·∇p⁻ in the energy. They
    are computed in double precision, and B points of a sweep get the numbers that each would get alone.
    """
    batch = p.shape[: -grid.dims]
    if isinstance(c, torch.Tensor) or isinstance(gamma, torch.Tensor):
        speed, damping = (
            torch.as_tensor(one, dtype=torch.float64, device=p.device).expand(batch).reshape(-1) for one in (c, gamma)
        )
        table, decay = _factors_of(speed, damping, grid)
        return table.to(p.dtype), decay.to(p.dtype)
    table, decay = _factors_of_numbers(c, gamma, grid, p.dtype, p.device)
    points = math.prod(batch)
    return table.expand(points, -1), decay.expand(points, -1, -1)


@lru_cache(maxsize=64)
def _factors_of_numbers(
    c: float, gamma: float, grid: Grid, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    speed, damping = (torch.tensor([one], dtype=torch.float64) for one in (c, gamma))
    table, decay = _factors_of(speed, damping, grid)
    return table.to(device, dtype), decay.to(device, dtype)


def _factors_of(speed: torch.Tensor, damping: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    half = damping * (0.5 * grid.dt)
    courant = speed * (grid.dt / grid.dx)
    columns = [
        (1 - half) / (1 + half), courant.square() / (1 + half), grid.dt**2 / (1 + half), (courant - 1) / (courant + 1),
        torch.full_like(speed, 0.5 / grid.dt**2), 0.5 * (speed / grid.dx).square(),
    ]  # fmt: skip
    decay = speed.new_empty(len(speed), 2, 0)
    if grid.boundary == "pml":
        w = grid.layer
        depth = torch.arange(w, dtype=torch.float64, device=speed.device)
        inward = torch.stack([(w - depth) / w, (w - depth - 0.5) / w])
        profile = torch.cat([inward, inward.flip(1)], dim=1) ** GRADING
        # The reflection of a layer of thickness L with the profile σ·x^m is exp(−2σL/((m + 1)c)).
        strongest = -(GRADING + 1) * math.log(REFLECTION) / (2 * w) * courant
        decay = torch.exp(-strongest[:, None, None] * profile)
    return torch.stack(columns, dim=1), decay


def _flat(
    p: torch.Tensor, d: torch.Tensor, memory: Sequence[torch.Tensor], source: torch.Tensor | None, grid: Grid
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor | None]:
    """Every batch dimension in one."""
    size = p.shape[-grid.dims :]
    if source is not None:
        whole = source.dim() > grid.dims
        source = (source.expand(p.shape) if whole else source).reshape(-1, *size).to(p.dtype)
    layers = [one.reshape(-1, *one.shape[-grid.dims - 1 :]) for one in memory]
    return p.reshape(-1, *size), d.reshape(-1, *size), layers, source


def _unflat(after: Fields, batch: torch.Size) -> Fields:
    p, d, memory, energy = after
    if not batch:
        return p[0], d[0], [one[0] for one in memory], energy[0]
    return (
        p.reshape(*batch, *p.shape[1:]),
        d.reshape(*batch, *d.shape[1:]),
        [one.reshape(*batch, *one.shape[1:]) for one in memory],
        energy.reshape(batch),
    )


def _reference(
    p: torch.Tensor, d: torch.Tensor, memory: Sequence[torch.Tensor], source: torch.Tensor | None,
    table: torch.Tensor, decay: torch.Tensor, boundary: str, steps: int,
) -> Fields:  # fmt: skip
    """The operator in plain torch, on one batch dimension."""
    dims = p.dim() - 1
    keep, push, feed, mur = (one.reshape(-1, *[1] * dims) for one in table[:, :4].unbind(1))
    layers = list(memory)
    for _ in range(steps):
        d_new = keep * d + push * _laplacian(p, dims, boundary)
        if source is not None:
            d_new = d_new + feed * source
        if boundary == "pml":
            for axis in range(dims):
                layers[axis], change = absorbed(p, layers[axis], decay, axis + 1)
                add_at_ends(d_new, push * change, axis + 1)
        elif boundary == "mur1":
            drive_faces(p, d_new, mur)
        d = d_new
        p = p + d
    return p, d, layers, energy_of(p, d, table, boundary)


def _shifted(p: torch.Tensor, axis: int, by: int, boundary: str) -> torch.Tensor:
    """The neighbour of every cell at `by` = ±1 along an axis."""
    if boundary == "periodic":
        return p.roll(-by, axis)
    n = p.shape[axis]
    edge = torch.zeros_like(p.narrow(axis, 0, 1))
    return torch.cat([p.narrow(axis, 1, n - 1), edge] if by > 0 else [edge, p.narrow(axis, 0, n - 1)], axis)


def _laplacian(p: torch.Tensor, dims: int, boundary: str) -> torch.Tensor:
    """dx²∇²p."""
    around: torch.Tensor | None = None
    for axis in range(1, dims + 1):
        pair = _shifted(p, axis, -1, boundary) + _shifted(p, axis, 1, boundary)
        around = pair if around is None else around + pair
    assert around is not None
    return around - 2.0 * dims * p


def drive_faces(p: torch.Tensor, d_new: torch.Tensor, mur: torch.Tensor) -> None:
    """Write the increments of Mur's faces into `d_new`: d⁺ = (1 + k)(p_in − p) + k·d_in⁺.

    `mur` is k = (c dt − dx)/(c dt + dx), (B, 1 …).
    """
    dims = p.dim() - 1
    for axis in range(1, dims + 1):
        n = p.shape[axis]
        for face, inside in ((0, 1), (n - 1, n - 2)):
            # Whole along earlier axes, whose faces are known by now; without the rim along later ones.
            place: list[Any] = [slice(None)] * axis + [face] + [slice(1, -1)] * (dims - axis)
            beside = [*place[:axis], inside, *place[axis + 1 :]]
            k = mur.squeeze(-1)
            d_new[tuple(place)] = (p[tuple(beside)] - p[tuple(place)]) * (1 + k) + k * d_new[tuple(beside)].clone()


def _ends_of(p: torch.Tensor, axis: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and the last `width` along an axis."""
    return p.narrow(axis, 0, width), p.narrow(axis, p.shape[axis] - width, width)


def absorbed(
    p: torch.Tensor, memory: torch.Tensor, decay: torch.Tensor, axis: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The layer's memory a step later, and what the layer adds to dx²∂²p along its axis, at both ends.

    In the layer ∂ₓ becomes ∂ₓ + ψ∗, with the recursion ψ ← bψ + (b − 1)∂ₓp; once more for the second derivative.
    """
    width = decay.shape[-1] // 2
    shape = [len(decay), *[1] * (p.dim() - 1)]
    shape[axis] = 2 * width
    half, cell = (one.reshape(shape) for one in decay.unbind(1))
    psi, zeta = memory.unbind(1)
    low, high = _ends_of(p, axis, width + 1)
    edge = torch.zeros_like(p.narrow(axis, 0, 1))
    slope = torch.cat([torch.cat([edge, low], axis).diff(dim=axis), torch.cat([high, edge], axis).diff(dim=axis)], axis)
    low_slope, high_slope = _ends_of(slope, axis, width + 1)
    # A layer has `width` halves that absorb: those on the outer side of its cells.
    psi = half * psi + (half - 1) * torch.cat(
        [low_slope.narrow(axis, 0, width), high_slope.narrow(axis, 1, width)], axis
    )
    second = torch.cat([low_slope.diff(dim=axis), high_slope.diff(dim=axis)], axis)
    low_psi, high_psi = _ends_of(psi, axis, width)
    first = torch.cat(
        [torch.cat([low_psi, edge], axis).diff(dim=axis), torch.cat([edge, high_psi], axis).diff(dim=axis)], axis
    )
    zeta = cell * zeta + (cell - 1) * (second + first)
    return torch.stack([psi, zeta], 1), first + zeta


def add_at_ends(d_new: torch.Tensor, change: torch.Tensor, axis: int) -> None:
    """Add the changes of the layer into `d_new`, at both ends of an axis."""
    width = change.shape[axis] // 2
    for end, part in zip(_ends_of(d_new, axis, width), _ends_of(change, axis, width), strict=True):
        end.add_(part)


def energy_of(p: torch.Tensor, d: torch.Tensor, table: torch.Tensor, boundary: str) -> torch.Tensor:
    """½Σ[d²/dt² + c²∇p·∇p⁻], (B,)."""
    before, dims = p - d, p.dim() - 1
    potential: Any = 0.0
    for axis in range(1, dims + 1):
        if boundary == "periodic":
            gradients = p - p.roll(1, axis), before - before.roll(1, axis)
        elif boundary == "mur1":
            gradients = p.diff(dim=axis), before.diff(dim=axis)
        else:
            edge = torch.zeros_like(p.narrow(axis, 0, 1))
            gradients = p.diff(dim=axis, prepend=edge, append=edge), before.diff(dim=axis, prepend=edge, append=edge)
        potential = potential + (gradients[0] * gradients[1]).flatten(1).sum(1, dtype=torch.float64)
    kinetic: torch.Tensor = d.square().flatten(1).sum(1, dtype=torch.float64)
    energy: torch.Tensor = (table[:, 4] * kinetic + table[:, 5] * potential).to(p.dtype)
    return energy


@torch.library.custom_op("attractor::fdtd", mutates_args=())
def _operator(
    p: torch.Tensor, d: torch.Tensor, memory: list[torch.Tensor], source: torch.Tensor | None, table: torch.Tensor,
    decay: torch.Tensor, boundary: str, steps: int,
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor]:  # fmt: skip
    raise NotImplementedError(f"attractor::fdtd runs on the CPU and on CUDA, not on {p.device}")


@_operator.register_kernel("cpu")
def _cpu(
    p: torch.Tensor, d: torch.Tensor, memory: list[torch.Tensor], source: torch.Tensor | None, table: torch.Tensor,
    decay: torch.Tensor, boundary: str, steps: int,
) -> Fields:  # fmt: skip
    from attractor.kernels.cpu import fdtd as cpu

    batch, *size = p.shape
    grids = (-1, size[0], 1, size[1]) if len(size) == 2 else (-1, *size)
    drive = p.new_empty(0, *grids[1:]) if source is None else source.reshape(grids)
    number = cpu.BOUNDARIES[boundary]
    factors = table.contiguous().numpy()
    p_new, d_new, after = cpu.advance(
        p.contiguous().view(grids).numpy(), d.contiguous().view(grids).numpy(),
        [one.contiguous().view(batch, -1).numpy() for one in memory], drive.contiguous().numpy(), factors,
        decay.contiguous().numpy(), steps, number,
    )  # fmt: skip
    energy = torch.from_numpy(cpu.energies(p_new, d_new, factors, number))
    layers = [torch.from_numpy(new).view(one.shape) for new, one in zip(after, memory, strict=True)]
    return torch.from_numpy(p_new).view(p.shape), torch.from_numpy(d_new).view(p.shape), layers, energy


@_operator.register_kernel("cuda")
def _cuda(
    p: torch.Tensor, d: torch.Tensor, memory: list[torch.Tensor], source: torch.Tensor | None, table: torch.Tensor,
    decay: torch.Tensor, boundary: str, steps: int,
) -> Fields:  # fmt: skip
    from attractor.kernels.cuda import fdtd as cuda

    return cuda.advance(p, d, memory, source, table, decay, boundary, steps)


@_operator.register_fake
def _fake(
    p: torch.Tensor, d: torch.Tensor, memory: list[torch.Tensor], source: torch.Tensor | None, table: torch.Tensor,
    decay: torch.Tensor, boundary: str, steps: int,
) -> Fields:  # fmt: skip
    after = [torch.empty_like(one, memory_format=torch.contiguous_format) for one in memory]
    return p.new_empty(p.shape), p.new_empty(p.shape), after, p.new_empty(p.shape[0])


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    p, d, memory, source, table, decay, ctx.boundary, ctx.steps = inputs
    ctx.fed, ctx.layers = source is not None, len(memory)
    ctx.save_for_backward(p, d, *memory, *([source] if ctx.fed else []), table, decay)


def _backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
    """The steps again in plain torch, and their gradient: nothing between the steps has to be kept until then."""
    p_out, d_out, memory_out, energy_out = gradients
    with torch.enable_grad():
        saved = [one.detach().requires_grad_() for one in ctx.saved_tensors]
        p, d, *rest = saved
        memory = rest[: ctx.layers]
        source = rest[ctx.layers] if ctx.fed else None
        *_, table, decay = rest
        p_new, d_new, memory_new, energy = _reference(p, d, memory, source, table, decay, ctx.boundary, ctx.steps)
        outputs, weights = [], []
        for output, weight in zip(
            [p_new, d_new, *memory_new, energy], [p_out, d_out, *memory_out, energy_out], strict=True
        ):
            if weight is not None and output.requires_grad:
                outputs.append(output)
                weights.append(weight)
        found = list(torch.autograd.grad(outputs, saved, weights, allow_unused=True))
    layers = found[2 : 2 + ctx.layers]
    fed = found[2 + ctx.layers] if ctx.fed else None
    return found[0], found[1], layers, fed, found[-2], found[-1], None, None


_operator.register_autograd(_backward, setup_context=_keep_inputs)
