"""The Gibbs sampler of ±J spins on a torus: ties a `SpinModel` to the sweeps of `attractor.kernels.lattice`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch

from attractor.energy.spin_model import SpinModel
from attractor.kernels import lattice


class LatticeSampler:
    """Sweeps of a model whose units stand on a torus of even sides, with couplings ±|J| to the next along each axis
    and nothing else. Both colours of the checkerboard, 64 chains in a word.

    Args:
        model: what to sample.
        sides: of the torus, sites in row-major order.
        kernels: whether to use the kernels (the draws and their result are the same).

    Raises:
        ValueError: the model is another one; `refusal` says why.
    """

    def __init__(self, model: SpinModel, sides: Sequence[int], *, kernels: bool) -> None:
        reason = refusal(model, sides)
        if reason:
            raise ValueError(reason)
        self.model = model
        self.sides = tuple(sides)
        self._sweep = lattice.kernel if kernels else lattice.reference
        edges, values = model.couplings.pairs
        pairs = edges[:, 0] * model.size + edges[:, 1]
        wanted = np.stack([_pair(sides, axis) for axis in range(len(sides))])
        place = torch.from_numpy(np.searchsorted(pairs, wanted)).to(values.device)
        self._size = float(values.abs().max())
        self._negative = (values < 0)[..., place].reshape(-1, len(sides), model.size)

    def with_numbers(self, model: SpinModel) -> Self:
        """The sampler of the same couplings at another temperature.

        Raises:
            ValueError: the couplings are others, or there is a bias.
        """
        if model.couplings is not self.model.couplings or bool(model.bias.any()) or model.products:
            raise ValueError("only the temperature of a lattice changes; make a new sampler for it")
        sampler = object.__new__(type(self))
        sampler.__dict__.update(self.__dict__)
        sampler.model = model
        return sampler

    def __call__(
        self, spins: torch.Tensor, keys: torch.Tensor, tick: int, sweeps: int, lane: int = 0, *,
        temperature: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Spins after a number of sweeps.

        Args:
            spins: int8 (..., N, C).
            keys: int64 (2,), or (..., 2) for points with seeds of their own; see `Draws.key`.
            tick, lane: of the draws.
            temperature: (..., sweeps or 1) in place of the model's.
        """
        heat = self.model.temperature.unsqueeze(-1) if temperature is None else temperature
        limits = lattice.thresholds(heat, self._size, len(self.sides))
        limits = limits.reshape(math.prod(limits.shape[:-2]), *limits.shape[-2:])
        flat = spins.reshape(-1, *spins.shape[-2:])
        after = self._sweep(
            flat, self._negative, limits, keys.reshape(-1, 2), tick, lane, sweeps, list(self.sides)
        )  # fmt: skip
        return after.view(spins.shape)


def refusal(model: SpinModel, sides: Sequence[int]) -> str:
    """Why a model is not a ±J torus of these sides; empty when it is."""
    if math.prod(sides) != model.size:
        return f"{model.size} units do not fill a torus of sides {list(sides)}"
    if len(sides) not in (2, 3) or any(side % 2 or side < 4 for side in sides):
        return f"a torus of sides {list(sides)}; 2 or 3 even sides of at least 4 are needed"
    if model.products or model.continuous.any() or bool(model.bias.any()):
        return "there are biases, multi-spin terms or continuous units"
    wanted = np.unique(np.concatenate([_pair(sides, axis) for axis in range(len(sides))]))
    edges, values = model.couplings.pairs
    pairs = edges[:, 0] * model.size + edges[:, 1]
    if not np.array_equal(pairs, wanted):
        return "the pairs are not those of the torus"
    sizes = values.abs()
    if float(sizes.min()) == 0.0 or float(sizes.min()) != float(sizes.max()):
        return "the couplings are not all of one size"
    return ""


def _pair(sides: Sequence[int], axis: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The number of the pair of every site and the next one along an axis, (N,)."""
    n = math.prod(sides)
    sites = np.arange(n, dtype=np.int64).reshape(tuple(sides))
    after = np.roll(sites, -1, axis)
    return (np.minimum(sites, after) * n + np.maximum(sites, after)).reshape(-1)
