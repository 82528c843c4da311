"""What a named term is: settings, checked once, from which couplings, biases and tables are built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict

from attractor.energy.couplings import Couplings
from attractor.energy.energy_model import EnergyModel
from attractor.energy.potts_model import PottsModel, TableTerm
from attractor.energy.spin_model import SpinModel

Numbers = npt.NDArray[np.float64]

MAX_TABLE: Final = 1 << 20
"""Most entries of a table over all units of a term: it holds a penalty that no sum over pairs can hold."""


@dataclass(frozen=True, slots=True)
class EnergyTerm:
    """A term of an energy.

    Args:
        model: its couplings, biases and tables, double precision, at temperature 1.
        constant: what the term has beyond the model's energy, so that values are those of the term's definition.
    """

    model: EnergyModel
    constant: float = 0.0

    def energy(self, values: torch.Tensor) -> torch.Tensor:
        """The term's value at (..., C, N): (..., C)."""
        return self.model.energy(values) + self.constant


class TermSettings(BaseModel, ABC):
    """Settings of a term, as they stand in a graph's JSON.

    Attributes:
        data_shape: meaning of the rows and columns of what may arrive while it runs; empty: nothing does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data_shape: ClassVar[tuple[str, ...]] = ()
    reference: ClassVar[str] = ""

    @abstractmethod
    def build(self, data: Numbers | None = None) -> EnergyTerm:
        """The term.

        Args:
            data: what has arrived, of the shape that the class names.

        Raises:
            ValueError: settings or data that do not fit each other.
        """

    @abstractmethod
    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """(N,) of spins, or (N, K) of categories.

        Args:
            data: the shape of what arrives.
        """


def spins(pair: Numbers, bias: Numbers, constant: float = 0.0) -> EnergyTerm:
    """E = −Σ_{i<j} J_ij s_i s_j − Σ h_i s_i + constant, from the upper triangle of J (N, N), and h (N,)."""
    upper = np.triu(pair, 1)
    edges = np.argwhere(upper != 0.0)
    values = torch.from_numpy(upper[edges[:, 0], edges[:, 1]].copy())
    couplings = Couplings.of_edges(len(bias), edges, values)
    return EnergyTerm(SpinModel.of(couplings, torch.from_numpy(np.asarray(bias, dtype=np.float64).copy())), constant)


def occupations(pair: Numbers, cost: Numbers, constant: float = 0.0) -> EnergyTerm:
    """E = Σ_{i<j} Q_ij n_i n_j + Σ c_i n_i + constant with n = (1 + s)/2 ∈ {0, 1}, as a term over the spins s."""
    upper = np.triu(pair, 1)
    symmetric = upper + upper.T
    shift = upper.sum() / 4 + cost.sum() / 2
    return spins(-upper / 4, -symmetric.sum(axis=1) / 4 - cost / 2, constant + float(shift))


def categories(cost: Numbers, pairs: npt.NDArray[np.int64] | None = None, table: Numbers | None = None) -> EnergyTerm:
    """E = Σ_i c_i[a_i] + Σ_(i,j) table[a_i, a_j].

    Args:
        cost: (N, K).
        pairs: (M, 2); table: (K, K), or (M, K, K).
    """
    terms = []
    if pairs is not None and table is not None and len(pairs):
        terms.append(TableTerm(pairs, -torch.from_numpy(np.ascontiguousarray(table)), None, table.ndim == 2))
    return EnergyTerm(PottsModel.of(-torch.from_numpy(np.ascontiguousarray(cost, dtype=np.float64)), 1.0, terms))


def table_over_all(energy: Numbers) -> EnergyTerm:
    """The term over N categorical units whose value at (a_0, a_1, …) is energy[a_0, a_1, …], N axes of length K.

    Raises:
        ValueError: it has more than `MAX_TABLE` entries.
    """
    refuse_large_table(energy.shape[0], energy.ndim)
    n, k = energy.ndim, energy.shape[0]
    if n == 1:
        return categories(energy[None])
    term = TableTerm(np.arange(n, dtype=np.int64)[None], -torch.from_numpy(np.ascontiguousarray(energy)))
    return EnergyTerm(PottsModel.of(torch.zeros(n, k, dtype=torch.float64), 1.0, [term]))


def refuse_large_table(states: int, units: int) -> None:
    """Refuse a table over all units that would not fit.

    Raises:
        ValueError: states**units exceeds `MAX_TABLE`.
    """
    if states**units > MAX_TABLE:
        raise ValueError(
            f"{units} units of {states} states have {states**units:,} joint states, more than {MAX_TABLE:,}: "
            "use fewer units or fewer states"
        )


def products_of_spins(energy: Numbers) -> EnergyTerm:
    """The term over N spins whose value at (s_0, …, s_{N−1}) is energy[b_0, …, b_{N−1}], b = 0 for −1 and 1 for +1.

    Every function of spins is a sum over subsets of products: E = Σ_S c_S Π_{i∈S} s_i, c_S by Walsh–Hadamard transform.
    """
    refuse_large_table(2, energy.ndim)
    n = energy.ndim
    coefficients = energy.astype(np.float64)
    for axis in range(n):
        low, high = np.take(coefficients, 0, axis), np.take(coefficients, 1, axis)
        coefficients = np.stack([(high + low) / 2, (high - low) / 2], axis=axis)
    # What rounding has left of a coefficient that is 0 would join units that do not interact.
    coefficients[np.abs(coefficients) < 1e-12 * np.abs(energy).max(initial=0.0)] = 0.0
    groups: dict[int, list[tuple[list[int], float]]] = {}
    for subset in np.argwhere(coefficients != 0.0):
        members = np.flatnonzero(subset).tolist()
        groups.setdefault(len(members), []).append((members, float(coefficients[tuple(subset)])))
    bias = torch.zeros(n, dtype=torch.float64)
    for (unit,), value in groups.get(1, []):
        bias[unit] = -value
    pairs = groups.get(2, [])
    edges = np.array([members for members, _ in pairs], dtype=np.int64).reshape(-1, 2)
    couplings = Couplings.of_edges(n, edges, -torch.tensor([value for _, value in pairs], dtype=torch.float64))
    terms = [
        (np.array([m for m, _ in group]), -torch.tensor([value for _, value in group], dtype=torch.float64))
        for order, group in sorted(groups.items())
        if order >= 3
    ]
    constant = float(coefficients[(0,) * n])
    return EnergyTerm(SpinModel.of(couplings, bias, 1.0, terms), constant)


def grid_pairs(rows: int, columns: int) -> npt.NDArray[np.int64]:
    """The pairs of 4-neighbours of a grid with open edges, row-major, (M, 2)."""
    place = np.arange(rows * columns).reshape(rows, columns)
    across = np.stack([place[:, :-1].ravel(), place[:, 1:].ravel()], axis=1)
    down = np.stack([place[:-1].ravel(), place[1:].ravel()], axis=1)
    return np.concatenate([across, down]).astype(np.int64)


def as_array(values: object, shape: tuple[int | None, ...], name: str) -> Numbers:
    """Numbers of a given shape; None stands for any length.

    Raises:
        ValueError: they have another shape.
    """
    array = np.asarray(values, dtype=np.float64)
    fits = array.ndim == len(shape) and all(want in (None, size) for want, size in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = ", ".join("…" if size is None else str(size) for size in shape)
        raise ValueError(f"`{name}` has shape {list(array.shape)}; [{wanted}] is needed")
    return array
