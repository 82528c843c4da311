"""The Gibbs sampler of a model of spins: ties an `EnergyModel` to the sweeps of `attractor.kernels.gibbs`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy.batch import as_points, common_batch
from attractor.energy.block_sampler import BlockSampler
from attractor.energy.colouring import Colouring
from attractor.energy.spin_model import SpinModel
from attractor.kernels import gibbs
from attractor.kernels.gibbs import SweepTables, log2_odds

CLAMP_FIELD = 1e30
"""A field that decides a spin at any temperature of the model's range."""


class SpinSampler(BlockSampler[SpinModel]):
    """Colour-block Gibbs sweeps of a `SpinModel` whose units are all spins.

    Args:
        model: what to sample.
        kernels: whether to use the kernels (the draws and their result are the same).
        fixed: (N,) units that are never updated.
        colouring: blocks of a sweep; None: the model's own.

    Raises:
        ValueError: the model has continuous units, or the colouring puts two units of one term into one block.
    """

    def __init__(
        self, model: SpinModel, *, kernels: bool, fixed: npt.NDArray[np.bool_] | None = None,
        colouring: Colouring | None = None,
    ) -> None:  # fmt: skip
        if model.continuous.any():
            raise ValueError("the model has continuous units; sample it with a sampler of mixed models")
        super().__init__(model, colouring)
        self._sweep = gibbs.kernel if kernels else gibbs.reference
        self._edges = model.couplings.graph.edges
        groups = [term.members for term in model.products]
        self._tables = SweepTables.of(model.size, self._edges, groups, self.blocks, fixed).to(model.bias.device)
        ends = torch.from_numpy(self._edges).to(model.bias.device)[self._tables.pairs]
        self._ends = ends.unbind(-1)
        self._take_numbers()

    def fits(self, model: SpinModel) -> bool:
        own = self.model
        if own.size != model.size or len(own.products) != len(model.products) or model.continuous.any():
            return False
        shared = own.couplings.edges is not None and own.couplings.edges is model.couplings.edges
        shared = shared or own.couplings.graph is model.couplings.graph
        if not (shared or np.array_equal(self._edges, model.couplings.graph.edges)):
            return False
        return all(
            a.members is b.members or np.array_equal(a.members, b.members)
            for a, b in zip(own.products, model.products, strict=True)
        )

    def _take_numbers(self, before: SpinModel | None = None) -> None:
        model, tables = self.model, self._tables
        values = model.couplings.values
        # Of a matrix only what is read: its list of pairs would be as long as the matrix, for every change of a number.
        own = values[..., self._ends[0], self._ends[1]] if model.couplings.dense else values[..., tables.pairs]
        self._pairs = as_points(own.float(), 1)
        weights = [term.weights.float() for term in model.products]
        batch = common_batch(*(weight.shape[:-1] for weight in weights))
        empty = self._pairs.new_zeros(*batch, 0)
        together = torch.cat([empty, *(weight.expand(*batch, -1) for weight in weights)], dim=-1)
        self._weights = as_points(together[..., tables.weights], 1)
        self._bias = as_points(model.bias.float()[..., tables.order[: tables.free]].unsqueeze(-1), 2)
        self._scale = as_points(log2_odds(model.temperature.float())[..., None, None], 2)

    def __call__(
        self, spins: torch.Tensor, keys: torch.Tensor, tick: int, sweeps: int, lane: int = 0, *,
        field: torch.Tensor | None = None, clamp: torch.Tensor | None = None, temperature: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Spins after a number of sweeps.

        Args:
            spins: int8 (..., N, C): −1 or +1, the C chains of a unit side by side.
            keys: Philox keys, int64 (2,), or (..., 2) for points with seeds of their own; see `Draws.key`.
            tick: of the draws.
            sweeps: number of sweeps.
            lane: of the draws; it must differ from those of the node's other draws.
            field: (..., N, C) or (N, C), added to the bias of single chains.
            clamp: int8 (..., N, C) or (N, C): ±1 holds a spin there, 0 leaves it free.
            temperature: (..., sweeps or 1, C or 1) in place of the model's: a schedule, or a ladder of chains.

        Returns:
            int8 (..., N, C).
        """
        batch, bias = spins.shape[:-2], self._bias
        scale = self._scale if temperature is None else as_points(log2_odds(temperature.float()), 2)
        flat = spins.reshape(-1, *spins.shape[-2:])
        own = self._tables.order[: self._tables.free]
        if field is not None:
            bias = bias + as_points(field.float(), 2)[:, own]
        if clamp is not None:
            held = as_points(clamp, 2)
            flat = torch.where(held == 0, flat, held)
            bias = bias + CLAMP_FIELD * held[:, own].float()
        after = self._sweep(
            flat, bias, self._pairs, self._weights, scale, as_points(keys, 1), tick, lane, sweeps,
            *self._tables.structure(),
        )  # fmt: skip
        return after.view(*batch, *spins.shape[-2:])


def random_spins(uniform: torch.Tensor) -> torch.Tensor:
    """Spins of probability 1/2 from uniform numbers, int8."""
    return torch.where(uniform < 0.5, 1, -1).to(torch.int8)
