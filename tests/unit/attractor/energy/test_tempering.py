"""Parallel tempering: the sign of its swaps, its histograms against enumeration, and its ladder."""

import math

import numpy as np
import pytest
import torch

from attractor.energy import Couplings, SpinModel, enumerated
from attractor.energy.gibbs_sampler import GibbsSampler
from attractor.energy.heat_bath import random_start
from attractor.energy.tempering import cooled, geometric_ladder, swapped, tuned

LADDER = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)


def once(energies, u, ladder=LADDER, odd=False):
    values = torch.arange(len(energies)).unsqueeze(-1)
    out, after, swap = swapped(
        values, torch.tensor(energies, dtype=torch.float64), ladder, torch.tensor(u, dtype=torch.float64), odd
    )
    return out.squeeze(-1).tolist(), after.tolist(), swap.tolist()


def test_a_colder_replica_with_the_higher_energy_always_swaps():
    """With the exponent the wrong way round, these good swaps would be the refused ones."""
    assert once([5.0, -5.0, 0.0], [1 - 1e-9, 0.5]) == ([1, 0, 2], [-5.0, 5.0, 0.0], [True, False])


def test_the_opposite_swap_has_the_metropolis_probability():
    # (β_0 − β_1)(E_0 − E_1) = (2 − 1)(−1.5)
    p = math.exp(-1.5)
    assert once([-1.5, 0.0, 0.0], [p - 1e-6, 0.5])[2] == [True, False]
    assert once([-1.5, 0.0, 0.0], [p + 1e-6, 0.5])[2] == [False, False]


def test_rounds_take_turns():
    assert once([0.0, 9.0, 0.0], [0.999, 0.999], odd=True)[0] == [0, 2, 1]
    four = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    assert once([3.0, 2.0, 1.0, 0.0], [0.9] * 3, four)[0] == [1, 0, 3, 2]
    assert once([3.0, 2.0, 1.0, 0.0], [0.9] * 3, four, odd=True)[0] == [0, 2, 1, 3]


def test_swaps_alone_leave_the_joint_law_as_it_is():
    """Detailed balance, exactly: the law π(a)π(b) of two replicas times the swap kernel is symmetric."""
    energies, betas = (-1.0, 0.3, 2.0), (2.0, 0.7)
    weight = [[math.exp(-betas[0] * a - betas[1] * b) for b in energies] for a in energies]
    ladder = torch.tensor([1 / beta for beta in betas], dtype=torch.float64)
    for a in range(3):
        for b in range(3):
            pair = torch.tensor([energies[a], energies[b]], dtype=torch.float64)
            grid = (torch.arange(4000, dtype=torch.float64).unsqueeze(-1) + 0.5) / 4000
            _, _, there = swapped(torch.zeros(4000, 2, 1), pair.expand(4000, 2), ladder, grid, odd=False)
            _, _, back = swapped(torch.zeros(4000, 2, 1), pair.flip(0).expand(4000, 2), ladder, grid, odd=False)
            flow = weight[a][b] * float(there.double().mean()), weight[b][a] * float(back.double().mean())
            assert flow[0] == pytest.approx(flow[1], rel=2e-3)


def rugged(n=8, seed=3):
    """Two deep wells and a barrier: heat-bath sweeps alone stay where they begin at the lowest temperature."""
    rng = np.random.default_rng(seed)
    pattern = rng.choice([-1.0, 1.0], n)
    j = 0.5 * np.outer(pattern, pattern)
    np.fill_diagonal(j, 0.0)
    return SpinModel.of(Couplings.of_matrix(torch.from_numpy(j)), torch.from_numpy(0.05 * rng.normal(size=n)))


def test_histograms_of_every_replica_match_enumeration():
    model, ladder = rugged(), torch.tensor([0.8, 1.3, 2.1, 3.5], dtype=torch.float64)
    runs, n = 200, model.size
    generator = torch.Generator().manual_seed(0)

    def u(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    sweep, keys = GibbsSampler(kernels=False), torch.tensor([3, 5])
    # All start in one well: only swaps bring the cold replicas over.
    values = torch.ones(runs, 4, n, dtype=torch.int8) * torch.sign(model.local_field(torch.ones(1, n))).to(torch.int8)
    histogram = torch.zeros(4, 2**n, dtype=torch.float64)
    bits = 2 ** torch.arange(n - 1, -1, -1)
    for step in range(160):
        flat = sweep(model, values.flatten(0, 1), keys, step, 1, temperature=ladder.repeat(runs))
        values = flat.view(runs, 4, n)
        values, _, _ = swapped(values, model.energy(values), ladder, u(runs, 3), odd=step % 2 == 1)
        if step >= 40 and step % 6 == 0:
            place = ((values > 0).long() * bits).sum(-1)
            for replica in range(4):
                histogram[replica] += torch.bincount(place[:, replica], minlength=2**n)
    histogram /= histogram.sum(-1, keepdim=True)
    exact = enumerated(model.with_temperature(ladder)).probabilities
    distance = 0.5 * (histogram - exact).abs().sum(-1)
    # The total variation of 4000 independent draws themselves, times 1.5.
    expected = (exact * (1 - exact) / (2 * math.pi * 4000)).sqrt().sum(-1)
    assert (distance < 1.5 * expected + 0.01).all(), distance


def test_a_geometric_ladder():
    np.testing.assert_allclose(geometric_ladder(0.1, 10.0, 5), [0.1, 0.1 * 10**0.5, 1.0, 10**0.5, 10.0])


def test_tuning_makes_the_rates_equal_and_leaves_the_ends():
    """Against a law of the rates that is known: e^(−a·Δ) of the step Δ in ln T, steeper at the cold end."""
    ladder, steepness = geometric_ladder(0.1, 10.0, 8), torch.tensor([2.0, 1.8, 1.5, 1.0, 0.8, 0.6, 0.5])

    def rates(temperatures):
        return torch.exp(-steepness * temperatures.log().diff())

    assert float(rates(ladder).max() - rates(ladder).min()) > 0.4
    for k in range(200):
        ladder = tuned(ladder, rates(ladder), 1.0 / (1 + k) ** 0.5)
    # Equal rates: Δ ∝ 1/a.
    expected = math.log(100) / float((1 / steepness).sum()) / steepness
    np.testing.assert_allclose(ladder.log().diff(), expected, rtol=1e-3)
    assert ladder[0] == 0.1
    assert ladder[-1] == 10.0


def test_tuning_does_not_saturate():
    """A ladder multiplied by a constant leaves its range; this one stays in order between its ends, come what may."""
    ladder = geometric_ladder(0.1, 10.0, 8)
    for k in range(100):
        ladder = tuned(ladder, torch.tensor([1.0, 0.0] * 3 + [1.0]).double() * (k % 3), 1.0)
        assert bool((ladder.diff() > 0).all())
    assert (ladder[0], ladder[-1]) == (0.1, 10.0)


@pytest.mark.parametrize(
    ("schedule", "middle"), [("geometric", 1.0), ("linear", 5.05), ("cosine", 5.05)]
)  # fmt: skip
def test_schedules(schedule, middle):
    found = cooled(schedule, 10.0, 0.1, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    np.testing.assert_allclose(found, [10.0, middle, 0.1])
    quarter = float(cooled("cosine", 10.0, 0.1, torch.tensor(0.25, dtype=torch.float64)))
    assert quarter == pytest.approx(0.1 + 4.95 * (1 + math.cos(math.pi / 4)))


def test_starts_are_uniform():
    start = random_start(rugged(), torch.rand(4000, 8, generator=torch.Generator().manual_seed(1)))
    assert start.dtype == torch.int8
    assert float(start.double().mean(0).abs().max()) < 5 / math.sqrt(4000)
