"""Ensembles of Chua, Lorenz, Van der Pol or Rössler oscillators over many ticks, coupled or not."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch

from attractor.kernels.dispatch import traced
from attractor.kernels.threads import in_pieces
from attractor.neighbourhood import Neighbourhood
from attractor.oscillators import CELLS
from attractor.oscillators.advance import advance
from attractor.topology import Topology

_STEP_SECONDS: Final = {"rk4": 2e-9, "dopri5": 4e-9}
"""Rough time of a step of one cell; it only decides whether threads pay."""


def reference(
    s: torch.Tensor, params: torch.Tensor, drive: torch.Tensor | None, coupling: torch.Tensor, steps: torch.Tensor,
    h: torch.Tensor, neighbours: torch.Tensor | None, degrees: torch.Tensor, ticks: int, cell: str, method: str,
    mask: int,
) -> torch.Tensor:  # fmt: skip
    """The states of an ensemble of B·N oscillators after each of K ticks. The definition, in plain torch.

    ṡ_i = F(s_i; p_i) + ε Σ_j A_ij (s_j − s_i) + drive_i, with A the row-normalised adjacency of a graph.

    Args:
        s: states (B, D, N) before the first tick.
        params: (K or 1, B or 1, P, N or 1): the parameters of F in the order of the cell's declaration, that change
            from tick to tick, from point to point and from cell to cell where an axis is not 1.
        drive: (K or 1, B or 1, N or 1), added to the cell's driven component; None: nothing.
        coupling: ε, (K or 1, B or 1).
        steps: int64 (K or 1, B or 1), steps in a tick.
        h: (K or 1, B or 1), their length in time units.
        neighbours: from `neighbour_table`; None: every other cell is a neighbour.
        degrees: int64 (N): how many neighbours a cell has.
        ticks: K.
        cell: a name of `attractor.oscillators.CELLS`.
        method: ``rk4`` or ``dopri5``.
        mask: bit d says whether component d is coupled; 0 where nothing is.

    Returns:
        (K, B, D, N). Point b equals the ensemble of point b alone, and K ticks equal K calls of one tick. An orbit that
        diverges becomes infinite or NaN: the caller looks.
    """
    names = [parameter.name for parameter in CELLS[cell].params]
    neighbourhood = _neighbourhood(neighbours, degrees, s)
    coupled = [d for d in range(s.shape[-2]) if mask >> d & 1]
    states = []
    for k in range(ticks):
        now = _at(params, k)
        s = advance(
            CELLS[cell], method, s, {name: _shared(now[:, j]) for j, name in enumerate(names)},
            _shared(_at(steps, k)), _shared(_at(h, k)), neighbourhood=neighbourhood,
            coupling=_shared(_at(coupling, k)), coupled=coupled,
            drive=None if drive is None else _at(drive, k).to(s.dtype),
        )  # fmt: skip
        states.append(s)
    return torch.stack(states)


def neighbour_table(topology: Topology) -> torch.Tensor | None:
    """The neighbours of every cell as the kernels read them, int32 (width, N): a column that lists fewer than `width`
    is filled up with N. None when every cell is a neighbour of every other."""
    if topology.neighbours is None:
        return None
    there = np.arange(len(topology.neighbours))[:, None] < topology.degrees
    return torch.from_numpy(np.where(there, topology.neighbours, topology.size).astype(np.int32))


def _neighbourhood(neighbours: torch.Tensor | None, degrees: torch.Tensor, like: torch.Tensor) -> Neighbourhood:
    n = len(degrees)
    table = None
    if neighbours is not None:
        table = torch.where(neighbours == n, torch.arange(n, device=neighbours.device), neighbours).cpu().numpy()
    return Neighbourhood(Topology(n, table, degrees.cpu().numpy()), like.device, like.dtype)


def _at(value: torch.Tensor, k: int) -> torch.Tensor:
    return value[k if len(value) > 1 else 0]


def _shared(value: torch.Tensor) -> Any:
    """A value that all points share as a number, one of batch shape without the axis of the cells it does not have."""
    if value.numel() == 1 and not value.requires_grad:
        return value.item()
    return value.squeeze(-1) if value.dim() > 1 and value.shape[-1] == 1 else value


def kernel(
    s: torch.Tensor, params: torch.Tensor, drive: torch.Tensor | None, coupling: torch.Tensor, steps: torch.Tensor,
    h: torch.Tensor, neighbours: torch.Tensor | None, degrees: torch.Tensor, ticks: int, cell: str, method: str,
    mask: int,
) -> torch.Tensor:  # fmt: skip
    """As `reference`, by the kernel of the device the states are on; equal to it but for rounding.

    The bits depend neither on B nor on K, on threads, or on where a cell stands in an ensemble without coupling.
    """
    inputs = (s, params, drive, coupling, steps, h, neighbours, degrees, ticks, cell, method, mask)
    recorded = torch.is_grad_enabled() and any(isinstance(v, torch.Tensor) and v.requires_grad for v in inputs)
    if recorded or traced():
        out: torch.Tensor = ode_ensemble(*inputs)
        return out
    # Past the dispatcher, which takes longer than a small ensemble.
    return _computed(*inputs)


def _computed(
    s: torch.Tensor, params: torch.Tensor, drive: torch.Tensor | None, coupling: torch.Tensor, steps: torch.Tensor,
    h: torch.Tensor, neighbours: torch.Tensor | None, degrees: torch.Tensor, ticks: int, cell: str, method: str,
    mask: int,
) -> torch.Tensor:  # fmt: skip
    inputs = (s.detach(), params, drive, coupling, steps, h, neighbours, degrees, ticks, cell, method, mask)
    if s.device.type == "cuda":
        from attractor.kernels.cuda import ode_ensemble as cuda

        out: torch.Tensor = cuda.ode_ensemble(*inputs)
        return out
    if s.device.type != "cpu":
        raise NotImplementedError(f"there is no kernel for ensembles on {s.device}: use the eager tier")
    return _on_cpu(*inputs)


def _on_cpu(
    s: torch.Tensor, params: torch.Tensor, drive: torch.Tensor | None, coupling: torch.Tensor, steps: torch.Tensor,
    h: torch.Tensor, neighbours: torch.Tensor | None, degrees: torch.Tensor, ticks: int, cell: str, method: str,
    mask: int,
) -> torch.Tensor:  # fmt: skip
    from attractor.kernels.cpu import ode_ensemble as cpu

    points, _, n = s.shape
    out = s.new_empty((ticks, *s.shape))
    if drive is None:
        drive = s.new_zeros(1, 1, 1)
    count = params.shape[2]
    common = (
        s.contiguous().numpy(),
        out.numpy(),
        params.detach().expand(-1, points, count, n).numpy(),
        drive.detach().expand(-1, points, n).numpy(),
    )
    times = (steps.expand(ticks, points).numpy(), h.detach().double().expand(ticks, points).numpy(), cpu.WEIGHTS)
    per_cell = params.shape[3] > 1
    seconds = ticks * points * n * float(steps.double().mean()) * _STEP_SECONDS[method]
    if mask == 0:
        strips = cpu.strips(cell, method, per_cell, common[0].dtype)
        in_pieces(lambda low, high: strips(*common, *times, low, high), cpu.pieces(points, n), seconds)
        return out
    coupled = cpu.coupled(cell, method, per_cell, mask, neighbours is None, common[0].dtype)
    near = np.empty((0, n), np.uint32) if neighbours is None else neighbours.numpy().view(np.uint32)
    rate = coupling.detach().double().expand(-1, points).numpy()
    in_pieces(lambda low, high: coupled(*common, rate, *times, near, degrees.numpy(), low, high), points, 4 * seconds)
    return out


ode_ensemble = torch.library.custom_op("attractor::ode_ensemble", _computed, mutates_args=())


@ode_ensemble.register_fake
def _(s: torch.Tensor, *inputs: Any) -> torch.Tensor:
    ticks: int = inputs[7]
    return s.new_empty((ticks, *s.shape))


_DIFFERENTIABLE: Final = (0, 1, 2, 3, 5)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs[:8])
    ctx.settings = inputs[8:]


def _backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
    """By the reference: its steps are computed again, now recorded. A compiler cannot trace it."""
    inputs = list(ctx.saved_tensors)
    wanted = [i for i in _DIFFERENTIABLE if ctx.needs_input_grad[i]]
    with torch.enable_grad():
        for i in wanted:
            inputs[i] = inputs[i].detach().requires_grad_()
        leaves = [inputs[i] for i in wanted]
        inputs += ctx.settings
        gradients = torch.autograd.grad(reference(*inputs), leaves, gradient, materialize_grads=True)
    found: list[Any] = [None] * len(inputs)
    for i, value in zip(wanted, gradients, strict=True):
        found[i] = value
    return tuple(found)


ode_ensemble.register_autograd(_backward, setup_context=_setup)
