"""An array of cells over several ticks, by the reference or by the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch

from attractor.kernels import ode_ensemble
from attractor.neighbourhood import Neighbourhood
from attractor.node import exact
from attractor.oscillators.advance import advance
from attractor.oscillators.cell import Cell
from attractor.topology import Topology

Settings = Mapping[str, Any]
StepPlan = tuple[Any, Any]

GUARD: Final = 1e3
"""A state beyond it has diverged."""


class Ensemble:
    """Cells of one kind and what couples them.

    Args:
        cell: the cell.
        method: of `attractor.oscillators.halving_test.METHODS`.
        device, dtype: of the states.
        topology: who is coupled with whom; None: nobody.
        coupled: components that are coupled.
    """

    def __init__(
        self, cell: Cell, method: str, device: torch.device, dtype: torch.dtype,
        topology: Topology | None = None, coupled: Sequence[int] = (),
    ) -> None:  # fmt: skip
        self.cell = cell
        self._method = method
        self._coupled = coupled
        self._names = [parameter.name for parameter in cell.params]
        self._neighbourhood = None if topology is None else Neighbourhood(topology, device, dtype)
        free = self._neighbourhood is None or self._neighbourhood.empty
        self._mask = 0 if free else sum(1 << d for d in coupled)
        self._table = None if topology is None else ode_ensemble.neighbour_table(topology)
        degrees = torch.zeros(0, dtype=torch.int64) if topology is None else torch.from_numpy(topology.degrees)
        self._degrees = degrees.to(device)
        if self._table is not None:
            self._table = self._table.to(device)
        self._kept: tuple[tuple[Any, ...], tuple[torch.Tensor, ...]] | None = None

    def tick(
        self, s: torch.Tensor, params: Settings, plan: StepPlan, *, coupling: Any = 0.0,
        drive: torch.Tensor | None = None, noise: Any = None, draws: Callable[[int], torch.Tensor] | None = None,
        visit: Callable[[torch.Tensor], None] | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """The states (..., D, N) a tick later, by the reference.

        Args:
            params: the cell's parameters, numbers or tensors of batch shape.
            plan: number of steps and their length, see `step_plan`.
            coupling: ε.
            drive: (..., N), added where the cell has its force.
            noise: standard deviation per √unit; None: none.
            draws: gives so many standard normal numbers, (n,) or (batch, n), for the noise.
            visit: called with the states after every step.
        """
        steps, h = plan
        z = None
        if draws is not None:
            most = int(steps.max()) if isinstance(steps, torch.Tensor) else steps
            depth, n = s.shape[-2:]
            drawn = draws(most * depth * n)
            z = drawn.reshape(*drawn.shape[:-1], most, depth, n)
        own = {name: exact(params[name]) for name in self._names}
        return advance(
            self.cell, self._method, s, own, steps, h, neighbourhood=self._neighbourhood, coupling=coupling,
            coupled=self._coupled, drive=drive, noise=exact(noise), draws=z, visit=visit,
        )  # fmt: skip

    def block(
        self, s: torch.Tensor, ticks: int, params: Sequence[Settings], plans: Sequence[StepPlan], *,
        coupling: Sequence[Any] = (0.0,), drive: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """The states (K, ..., D, N) after each of K ticks, by the kernel and without noise.

        Args:
            s: (..., D, N) before the first tick.
            ticks: K.
            params: the cell's parameters in each tick, or once for all.
            plans, coupling: the same for steps and ε.
            drive: (K or 1, ..., N), or (K or 1, N) when all points share it.
        """
        batch = s.shape[:-2]
        table, rate, steps, h = self._tables(params, plans, coupling, s.device)
        if drive is not None:
            own = batch if drive.dim() > 2 else ()
            drive = drive.to(s.dtype).expand(-1, *own, drive.shape[-1]).reshape(len(drive), -1, drive.shape[-1])
        out = ode_ensemble.kernel(
            s.reshape(-1, *s.shape[-2:]), table, drive, rate, steps, h, self._table, self._degrees, ticks,
            self.cell.name, self._method, self._mask,
        )  # fmt: skip
        return out.view(ticks, *s.shape)

    def _tables(
        self, params: Sequence[Settings], plans: Sequence[StepPlan], coupling: Sequence[Any], device: torch.device
    ) -> tuple[torch.Tensor, ...]:
        """Parameters (K, B, P, 1), and ε, steps and h (K, B); K and B are 1 where nothing differs."""
        key = (*plans[0], coupling[0], *(params[0][name] for name in self._names))
        constant = len(params) == len(plans) == len(coupling) == 1
        constant = constant and all(isinstance(value, int | float) for value in key)
        if constant and self._kept is not None and self._kept[0] == key:
            return self._kept[1]
        columns = [_rows([each[name] for each in params], device) for name in self._names]
        table = torch.stack(torch.broadcast_tensors(*columns), dim=-1).unsqueeze(-1)  # type: ignore[no-untyped-call]
        steps = _rows([plan[0] for plan in plans], device, torch.int64)
        tables = (table, _rows(coupling, device), steps, _rows([plan[1] for plan in plans], device))
        if constant:
            self._kept = (key, tables)
        return tables


def _rows(values: Sequence[Any], device: torch.device, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """One value a tick, numbers or tensors of batch shape, as (K, 1) or (K, B)."""
    if not any(isinstance(value, torch.Tensor) for value in values):
        return torch.tensor(values, dtype=dtype, device=device).unsqueeze(-1)
    rows = [torch.as_tensor(value, device=device).to(dtype).reshape(-1) for value in values]
    return torch.stack(torch.broadcast_tensors(*rows))  # type: ignore[no-untyped-call]
