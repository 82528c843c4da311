"""The vector field of an array of cells with diffusive coupling, at one setting of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from attractor.neighbourhood import Neighbourhood
from attractor.oscillators.cell import Cell


class VectorField:
    """ṡ_i = rate·[F(s_i) + ε Σ_j A_ij (s_j − s_i) + drive_i] as a function of states (..., D, N).

    Args:
        cell: the vector field F of one cell.
        params: its parameters: floats, tensors of batch shape, or tensors of batch shape and a last axis N, where
            every cell has its own.
        like: a tensor of the state's dtype and device.
        neighbourhood: A, row-normalised; None: no coupling.
        coupling: ε.
        coupled: consecutive components that are coupled.
        drive: (..., N), added to the cell's driven component.
        rate: common factor of the whole field.
    """

    def __init__(
        self,
        cell: Cell,
        params: Mapping[str, Any],
        like: torch.Tensor,
        *,
        neighbourhood: Neighbourhood | None = None,
        coupling: Any = 0.0,
        coupled: Sequence[int] = (),
        drive: torch.Tensor | None = None,
        rate: Any = 1.0,
    ) -> None:
        self._cell = cell
        self._depth = len(cell.components)
        self._neighbourhood = neighbourhood if coupled and neighbourhood and not neighbourhood.empty else None
        self._coupled = coupled
        self._per_cell = any(isinstance(p, torch.Tensor) and p.dim() > like.dim() - 2 for p in params.values())
        own_rate = rate
        if self._per_cell:
            params = {name: _per_cell(p, like) for name, p in params.items()}
            coupling, own_rate = _per_cell(coupling, like), _per_cell(rate, like)
        rows = [list(row) for row in cell.coefficients(params)]
        if self._neighbourhood is not None:
            _couple(rows, coupling, coupled, self._neighbourhood)
        if isinstance(rate, torch.Tensor):
            rows = [[value * own_rate for value in row] for row in rows]
        self._matrix = _small_matrix(rows, like)
        constants = cell.constants(params)
        self._bias = _bias(
            None if constants is None else [[value * own_rate] for value in constants], cell, drive, like, rate
        )
        self._features: torch.Tensor | None = None

    def __call__(self, s: torch.Tensor, k: torch.Tensor | None = None, alpha: float = 0.0) -> torch.Tensor:
        """The slope at s, or at s + alpha·k."""
        if s.dim() == 2 and self._matrix.dim() == 2 and not self._recorded(s):
            return self._fast(s, k, alpha)
        if k is not None:
            s = torch.add(s, k, alpha=alpha)
        parts = [s, self._cell.nonlinear(s)]
        if self._neighbourhood is not None:
            parts.append(self._neighbourhood.gather(s.narrow(-2, self._coupled[0], len(self._coupled))))
        features = torch.cat(parts, dim=-2)
        each = self._per_cell
        slope: torch.Tensor = (self._matrix * features.unsqueeze(-3)).sum(-2) if each else self._matrix @ features
        return slope if self._bias is None else slope + self._bias

    def _recorded(self, s: torch.Tensor) -> bool:
        """Whether autograd watches, so that nothing may be overwritten."""
        return torch.is_grad_enabled() and (
            s.requires_grad or self._matrix.requires_grad or (self._bias is not None and self._bias.requires_grad)
        )

    def _fast(self, s: torch.Tensor, k: torch.Tensor | None, alpha: float) -> torch.Tensor:
        """The same on one table of features that is used again in every call: a third of the time at N = 1024."""
        depth = self._depth
        if self._features is None:
            self._features = s.new_empty(self._matrix.shape[1], s.shape[1])
            edge = depth + self._cell.features
            self._at, self._terms, self._near = self._features.tensor_split((depth, edge))
            self._some = self._at.narrow(0, self._coupled[0], len(self._coupled)) if self._neighbourhood else None
        if k is None:
            self._at.copy_(s)
        else:
            torch.add(s, k, alpha=alpha, out=self._at)
        self._cell.nonlinear(self._at, out=self._terms)
        if self._neighbourhood is not None and self._some is not None:
            self._neighbourhood.gather(self._some, out=self._near)
        if self._bias is None:
            return torch.mm(self._matrix, self._features)
        return torch.addmm(self._bias, self._matrix, self._features)


def _couple(rows: list[list[Any]], coupling: Any, coupled: Sequence[int], near: Neighbourhood) -> None:
    """Add the columns of the gathered rows, in place."""
    for component, row in enumerate(rows):
        for other in coupled:
            row.extend([coupling * near.gain if component == other else 0.0] * near.rows)
        if component in coupled:
            row[component] = row[component] - coupling * near.loss


def _small_matrix(rows: Sequence[Sequence[Any]], like: torch.Tensor) -> torch.Tensor:
    """Rows of numbers, or of tensors of one batch shape, as a tensor (..., rows, columns); (..., rows, columns, N)
    where one of them has an entry for every cell."""
    if not any(isinstance(value, torch.Tensor) for row in rows for value in row):
        return torch.tensor(rows, dtype=like.dtype, device=like.device)
    values = [torch.as_tensor(value, dtype=like.dtype, device=like.device) for row in rows for value in row]
    if any(value.dim() > like.dim() - 2 for value in values):
        stacked = torch.stack(torch.broadcast_tensors(*values), dim=-2)  # type: ignore[no-untyped-call]
        return stacked.reshape(*stacked.shape[:-2], len(rows), len(rows[0]), stacked.shape[-1])
    stacked = torch.stack(torch.broadcast_tensors(*values), dim=-1)  # type: ignore[no-untyped-call]
    return stacked.reshape(*stacked.shape[:-1], len(rows), len(rows[0]))


def _bias(
    constants: Sequence[Sequence[Any]] | None, cell: Cell, drive: torch.Tensor | None, like: torch.Tensor, rate: Any
) -> torch.Tensor | None:
    """The part of the field that does not depend on the state, (..., D, N) or (..., D, 1); None when there is none."""
    bias = None if constants is None else _small_matrix(constants, like)
    if bias is not None and bias.dim() > like.dim():
        bias = bias.squeeze(-2)
    if drive is None:
        return bias
    row = torch.zeros(len(cell.components), 1, dtype=like.dtype, device=like.device)
    row[cell.driven] = 1.0
    if isinstance(rate, torch.Tensor):
        drive = (drive * rate.unsqueeze(-1)).to(like.dtype)
    driven = row * drive.unsqueeze(-2)
    return driven if bias is None else bias + driven


def _per_cell(value: Any, like: torch.Tensor) -> Any:
    """A value of batch shape ready to meet those that every cell has of its own."""
    if isinstance(value, torch.Tensor) and 0 < value.dim() <= like.dim() - 2:
        return value.unsqueeze(-1)
    return value
