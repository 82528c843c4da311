"""The vector field of an array of cells with diffusive coupling, at one setting of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from attractor.neighbourhood import Neighbourhood
from attractor.oscillators.cell import Cell

Field = Callable[[torch.Tensor], torch.Tensor]


def vector_field(
    cell: Cell,
    params: Mapping[str, Any],
    like: torch.Tensor,
    *,
    neighbourhood: Neighbourhood | None = None,
    coupling: Any = 0.0,
    coupled: Sequence[int] = (),
    drive: torch.Tensor | None = None,
    rate: Any = 1.0,
) -> Field:
    """ṡ_i = rate·[F(s_i) + ε Σ_j A_ij (s_j − s_i) + drive_i] as a function of s, shape (..., D, N).

    Args:
        params: parameters of the cell, floats or tensors of batch shape.
        like: a tensor of the state's dtype and device.
        neighbourhood: A, row-normalised; None: no coupling.
        coupling: ε.
        coupled: consecutive components that are coupled.
        drive: (..., N), added to the cell's driven component.
        rate: common factor of the whole field.
    """
    depth = len(cell.components)
    rows = [list(row) for row in cell.coefficients(params)]
    coupled = coupled if neighbourhood is not None and not neighbourhood.empty else ()
    if neighbourhood is not None and coupled:
        for row in rows:
            row.extend([0.0] * len(coupled))
        for k, component in enumerate(coupled):
            rows[component][component] = rows[component][component] - coupling * neighbourhood.loss
            rows[component][k - len(coupled)] = coupling * neighbourhood.gain
    if rate is not None and not (isinstance(rate, float) and rate == 1.0):
        rows = [[value * rate for value in row] for row in rows]
    matrix = small_matrix(rows, like)
    bias = _bias(cell, params, drive, like, rate)
    gather = neighbourhood.gather if neighbourhood is not None and coupled else None
    plain = matrix.dim() == 2

    def field(s: torch.Tensor) -> torch.Tensor:
        parts = [s, cell.nonlinear(s)]
        if gather is not None:
            # Without a copy when every component is coupled.
            some = s if len(coupled) == depth else s.narrow(-2, coupled[0], len(coupled))
            parts.append(gather(some))
        features = torch.cat(parts, dim=-2)
        if bias is None:
            return matrix @ features
        if plain and features.dim() == 2 and bias.dim() == 2:
            return torch.addmm(bias, matrix, features)
        return matrix @ features + bias

    return field


def small_matrix(rows: Sequence[Sequence[Any]], like: torch.Tensor) -> torch.Tensor:
    """Rows of numbers, or of tensors of one batch shape, as a tensor (..., rows, columns)."""
    if not any(isinstance(value, torch.Tensor) for row in rows for value in row):
        return torch.tensor(rows, dtype=like.dtype, device=like.device)
    values = [torch.as_tensor(value, dtype=like.dtype, device=like.device) for row in rows for value in row]
    stacked = torch.stack(torch.broadcast_tensors(*values), dim=-1)  # type: ignore[no-untyped-call]
    return stacked.reshape(*stacked.shape[:-1], len(rows), len(rows[0]))


def _bias(
    cell: Cell, params: Mapping[str, Any], drive: torch.Tensor | None, like: torch.Tensor, rate: Any
) -> torch.Tensor | None:
    constants = cell.constants(params)
    bias = None
    if constants is not None:
        bias = small_matrix([[value * rate] for value in constants], like)
    if drive is not None:
        if isinstance(rate, torch.Tensor):
            rate = rate.unsqueeze(-1)
        here = torch.zeros(len(cell.components), 1, dtype=like.dtype, device=like.device)
        here[cell.driven] = 1.0
        driven = here * (drive * rate).unsqueeze(-2)
        bias = driven if bias is None else bias + driven
    return bias
