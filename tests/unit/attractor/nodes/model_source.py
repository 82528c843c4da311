"""Energy models and data with known laws, for the tests of samplers and trainers."""

from __future__ import annotations

import math

import numpy as np
import torch

from attractor.energy import Couplings, SpinModel, enumerated


def glass(n: int = 6, seed: int = 0, temperature: float = 1.0, scale: float = 1.0) -> SpinModel:
    """A dense model with normal couplings of variance scale²/n and biases of deviation 0.3."""
    rng = np.random.default_rng(seed)
    matrix = np.triu(rng.normal(scale=scale / math.sqrt(n), size=(n, n)), 1)
    bias = torch.from_numpy(rng.normal(scale=0.3, size=n))
    return SpinModel.of(Couplings.of_matrix(torch.from_numpy(matrix + matrix.T)), bias, temperature)


def independent_draws(model: SpinModel, count: int, seed: int = 0) -> torch.Tensor:
    """Spins (count, N), drawn from the enumerated law without any Markov chain."""
    law = enumerated(model)
    rows = torch.multinomial(
        law.probabilities, count, replacement=True, generator=torch.Generator().manual_seed(seed)
    )  # fmt: skip
    return law.states[rows].to(torch.int8)
