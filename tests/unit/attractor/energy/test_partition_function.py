"""Annealed importance sampling against enumeration and closed forms."""

import math

import numpy as np
import pytest
import torch

from attractor.energy import Couplings, PottsModel, SpinModel, enumerated
from attractor.energy.gibbs_sampler import GibbsSampler
from attractor.energy.heat_bath import random_start
from attractor.energy.partition_function import annealed_log_partition
from attractor.energy.potts_model import TableTerm


def annealed(model, chains, steps, seed):
    sweeps, keys = GibbsSampler(kernels=False), torch.tensor([seed, 99])
    start = random_start(model, torch.rand(chains, model.size, generator=torch.Generator().manual_seed(seed)))

    def sweep(values, step, temperature):
        return sweeps(model, values, keys, 0, 1, step, temperature=temperature)

    return annealed_log_partition(model, start, steps, sweep)


def glass(n=10, seed=0, temperature=1.0):
    rng = np.random.default_rng(seed)
    matrix = np.triu(rng.normal(scale=1 / math.sqrt(n), size=(n, n)), 1)
    bias = torch.from_numpy(rng.normal(scale=0.3, size=n))
    return SpinModel.of(Couplings.of_matrix(torch.from_numpy(matrix + matrix.T)), bias, temperature)


def potts():
    rng = np.random.default_rng(1)
    table = torch.from_numpy(rng.normal(size=(3, 3)))
    return PottsModel.of(
        torch.from_numpy(rng.normal(size=(5, 3))), 1.2, [TableTerm(np.array([[i, i + 1] for i in range(4)]), table)]
    )


@pytest.mark.parametrize("model", [glass(), glass(temperature=0.5), potts()], ids=["spins", "cold", "categories"])
def test_the_error_bar_covers_the_exact_value(model):
    exact = enumerated(model).log_z
    found = [annealed(model, 100, 25, seed) for seed in range(8)]
    off = torch.stack([(one.value - exact) / one.error for one in found])
    # z-scores of eight runs: a bar too small, or a bias, would throw most of them beyond 2.
    assert float(off.abs().max()) < 4.5
    assert float(off.square().mean()) < 3.5
    assert all(0.0 < float(one.error) < 0.3 for one in found)
    assert all(10 < float(one.effective) <= 100 for one in found)


def test_independent_units_have_a_product_form():
    bias = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    model = SpinModel.of(Couplings.of_matrix(torch.zeros(3, 3, dtype=torch.float64)), bias, 0.8)
    exact = float(torch.log(2 * torch.cosh(bias / 0.8)).sum())
    found = annealed(model, 200, 50, 1)
    assert float(found.value) == pytest.approx(exact, abs=5 * float(found.error))


def test_one_step_is_plain_importance_sampling_and_its_bar_says_so():
    model = glass(temperature=0.3)
    coarse, fine = (annealed(model, 100, steps, 2) for steps in (1, 100))
    assert float(coarse.error) > 3 * float(fine.error)
    assert float(coarse.effective) < float(fine.effective)


def test_leading_dimensions_are_their_points():
    one = glass()
    both = one.with_temperature(torch.tensor([1.0, 2.0], dtype=torch.float64))
    together = annealed(both, 10, 5, 3)
    for point, temperature in enumerate((1.0, 2.0)):
        alone = annealed(one.with_temperature(temperature), 10, 5, 3)
        torch.testing.assert_close(together.value[point], alone.value)
        torch.testing.assert_close(together.error[point], alone.error)


def test_an_error_bar_needs_two_chains():
    with pytest.raises(ValueError, match="two chains"):
        annealed(glass(), 1, 10, 0)
