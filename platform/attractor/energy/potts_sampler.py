"""The Gibbs sampler of a Potts model: ties a `PottsModel` to the sweeps of `attractor.kernels.potts`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from attractor.energy.batch import as_points, common_batch
from attractor.energy.block_sampler import BlockSampler
from attractor.energy.colouring import Colouring
from attractor.energy.potts_model import PottsModel
from attractor.kernels import potts
from attractor.kernels.potts import PottsTables, log2_scale

CLAMP_FIELD = 1e30
"""A field that decides a state."""

LARGEST_EXPONENT = 1e36
"""What a field may become by the scale of a low temperature, still far from the end of float32."""


class PottsSampler(BlockSampler[PottsModel]):
    """Colour-block Gibbs sweeps of a `PottsModel`.

    Args:
        model: what to sample.
        kernels: whether to use the kernels (the draws and their result are the same).
        fixed: (N,) units that are never updated.
        colouring: blocks of a sweep; None: the model's own.

    Raises:
        ValueError: the colouring puts two units of one term into one block.
    """

    def __init__(
        self, model: PottsModel, *, kernels: bool, fixed: npt.NDArray[np.bool_] | None = None,
        colouring: Colouring | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model, colouring)
        self._sweep = potts.kernel if kernels else potts.reference
        self._tables = PottsTables.of(model, self.blocks, fixed).to(model.bias.device)
        self._take_numbers()

    def fits(self, model: PottsModel) -> bool:
        own = self.model
        if model.terms is own.terms:
            return model.bias.shape[-2:] == own.bias.shape[-2:]
        return (
            model.bias.shape[-2:] == own.bias.shape[-2:]
            and len(model.terms) == len(own.terms)
            and all(
                a.shared == b.shared and (a.members is b.members or np.array_equal(a.members, b.members))
                for a, b in zip(own.terms, model.terms, strict=True)
            )
        )

    def _take_numbers(self, before: PottsModel | None = None) -> None:
        model, tables = self.model, self._tables
        self._bias = as_points(model.bias.float()[..., tables.order[: tables.free], :].unsqueeze(-1), 3)
        self._scale = as_points(log2_scale(model.temperature.float())[..., None, None], 2)
        if before is not None and before.terms is model.terms:
            return
        flat, weights = [], []
        for term in model.terms:
            own = term.order + (not term.shared)
            flat.append(term.table.float().flatten(-own))
            count = len(term.members)
            weights.append(model.bias.new_ones(count).float() if term.weights is None else term.weights.float())
        empty = model.bias.new_zeros(0).float()
        self._entries = as_points(_joined([empty, *flat]), 1)
        self._weights = as_points(_joined([empty, *weights])[..., tables.weights], 1)

    def __call__(
        self, states: torch.Tensor, keys: torch.Tensor, tick: int, sweeps: int, lane: int = 0, *,
        clamp: torch.Tensor | None = None, temperature: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """States after a number of sweeps.

        Args:
            states: int64 (..., N, C), 0 … K − 1, the C chains of a unit side by side.
            keys: Philox keys, int64 (2,), or (..., 2) for points with seeds of their own; see `Draws.key`.
            tick, lane: of the draws.
            sweeps: number of sweeps.
            clamp: int64 (..., N, C) or (N, C): a state holds the unit there, a negative number leaves it free.
            temperature: (..., sweeps or 1, C or 1) in place of the model's: a schedule, or a ladder of chains.

        Returns:
            int64 (..., N, C).
        """
        batch, bias = states.shape[:-2], self._bias
        scale = self._scale if temperature is None else as_points(log2_scale(temperature.float()), 2)
        flat = states.reshape(-1, *states.shape[-2:])
        if clamp is not None:
            held = as_points(clamp, 2)
            flat = torch.where(held < 0, flat, held)
            there = held[:, self._tables.order[: self._tables.free]].unsqueeze(2)
            every = torch.arange(self.model.states, device=states.device)[:, None]
            # Of a low temperature the scale is so large that their product would not be a number any more.
            strength = torch.clamp(LARGEST_EXPONENT / scale.amax(), max=CLAMP_FIELD)
            bias = bias + strength * (there == every).float()
        after = self._sweep(
            flat, bias, self._entries, self._weights, scale, as_points(keys, 1), tick, lane, sweeps,
            *self._tables.structure(),
        )  # fmt: skip
        return after.view(*batch, *states.shape[-2:])


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Numbers (..., n) of all parts one after the other, under their common leading dimensions."""
    batch = common_batch(*(part.shape[:-1] for part in parts))
    return torch.cat([part.expand(*batch, part.shape[-1]) for part in parts], dim=-1)
