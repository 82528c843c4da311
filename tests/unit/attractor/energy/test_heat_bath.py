"""Sweeps of whatever model arrives, against exact enumeration."""

import itertools
import math

import numpy as np
import pytest
import torch

from attractor.energy import Couplings, PottsModel, SpinModel, enumerated
from attractor.energy.gibbs_sampler import GibbsSampler
from attractor.energy.heat_bath import conditional_log_probability, random_start
from attractor.energy.potts_model import TableTerm

CHAINS = 4000


def dense_model(n=6, seed=0, temperature=1.3, terms=()):
    rng = np.random.default_rng(seed)
    matrix = np.triu(rng.normal(scale=0.5, size=(n, n)), 1)
    j = torch.from_numpy(matrix + matrix.T)
    return SpinModel.of(Couplings.of_matrix(j), torch.from_numpy(rng.normal(scale=0.4, size=n)), temperature, terms)


def potts_model(seed=0):
    rng = np.random.default_rng(seed)
    table = torch.from_numpy(rng.normal(size=(3, 3)))
    return PottsModel.of(
        torch.from_numpy(rng.normal(size=(4, 3))), 0.9, [TableTerm(np.array([[0, 1], [1, 2], [2, 3], [3, 0]]), table)]
    )


KEY = torch.tensor([5, 17])


def started(model, chains=CHAINS):
    return random_start(model, torch.rand(chains, model.size, generator=torch.Generator().manual_seed(1)))


def chains(model, sweeps=25, temperature=None, held=None, start=None):
    values = started(model) if start is None else start
    return GibbsSampler(kernels=False)(model, values, KEY, 0, sweeps, held=held, temperature=temperature)


def close(found, exact, scale=1.0):
    """Within five standard errors of independent chains."""
    return float((found - exact).abs().max()) < 5 * scale / math.sqrt(CHAINS)


TRIPLES = [([[0, 1, 2], [2, 3, 5]], torch.tensor([0.8, -0.6], dtype=torch.float64))]


@pytest.mark.parametrize("terms", [(), TRIPLES], ids=["pairs", "pairs and triples"])
def test_correlations_of_a_dense_model(terms):
    model = dense_model(terms=terms)
    s = chains(model).double()
    exact = enumerated(model)
    assert close(s.mean(0), exact.mean())
    assert close(s.T @ s / CHAINS, exact.correlation())


def test_marginals_of_categories():
    model = potts_model()
    found = torch.nn.functional.one_hot(chains(model), 3).double()
    assert close(found.mean(0), enumerated(model).marginals(3), 0.5)


def test_a_temperature_for_every_chain():
    model = dense_model()
    half = CHAINS // 2
    heat = torch.cat([torch.full((half,), 0.7), torch.full((half,), 3.0)]).double()
    s = chains(model, sweeps=60, temperature=heat).double()
    for rows, temperature in ((s[:half], 0.7), (s[half:], 3.0)):
        exact = enumerated(model.with_temperature(temperature)).correlation()
        assert float((rows.T @ rows / half - exact).abs().max()) < 5 / math.sqrt(half)


def test_held_units_keep_their_value_and_the_rest_follows_them():
    model = dense_model()
    held = torch.tensor([False, True, False, True, False, False])
    start = torch.ones(CHAINS, 6, dtype=torch.int8)
    start[:, 3] = -1
    s = chains(model, held=held, start=start)
    assert bool((s[:, 1] == 1).all())
    assert bool((s[:, 3] == -1).all())
    whole = enumerated(model)
    fits = (whole.states[:, 1] == 1) & (whole.states[:, 3] == -1)
    p = whole.probabilities[fits] / whole.probabilities[fits].sum()
    assert close(s.double().mean(0), p @ whole.states[fits].double())


@pytest.mark.parametrize("model", [dense_model(terms=TRIPLES), potts_model()], ids=["spin", "cat"])
def test_conditionals_are_ratios_of_joint_probabilities(model):
    whole = enumerated(model)
    place = {tuple(state): k for k, state in enumerate(whole.states.tolist())}
    found = conditional_log_probability(model, whole.states)
    levels = sorted({level for (level,) in whole.states[:, :1].tolist()})
    for row, unit in itertools.product(range(0, len(place), 7), range(model.size)):
        state = whole.states[row].tolist()
        others = [place[(*state[:unit], level, *state[unit + 1 :])] for level in levels]
        expected = math.log(whole.probabilities[row] / whole.probabilities[others].sum())
        assert float(found[row, unit]) == pytest.approx(expected, abs=1e-9)


def test_held_categories_keep_their_value_and_the_rest_follows_them():
    model = potts_model()
    held = torch.tensor([True, False, False, False])
    c = chains(model, held=held, start=torch.full((CHAINS, 4), 2))
    assert bool((c[:, 0] == 2).all())
    whole = enumerated(model)
    fits = whole.states[:, 0] == 2
    p = whole.probabilities[fits] / whole.probabilities[fits].sum()
    exact = p @ torch.nn.functional.one_hot(whole.states[fits].long(), 3).double().flatten(1)
    found = torch.nn.functional.one_hot(c, 3).double().mean(0).flatten()
    assert close(found, exact, 0.5)


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("make", [dense_model, potts_model], ids=["spin", "cat"])
def test_leading_dimensions_are_their_points(make, kernels):
    one = make()
    both = one.with_temperature(torch.tensor([0.5, 2.0], dtype=torch.float64))
    start = started(one, 5)
    sweep = GibbsSampler(kernels=kernels)
    together = sweep(both, start.expand(2, 5, one.size), KEY, 3, 4)
    for point, temperature in enumerate((0.5, 2.0)):
        assert torch.equal(together[point], sweep(one.with_temperature(temperature), start, KEY, 3, 4))


def test_models_may_change_in_numbers_and_in_structure_from_call_to_call():
    """What was worked out for a model is used for the next one only where it is right for it."""
    rng = np.random.default_rng(4)
    other = [TableTerm(np.array([[0, 1], [1, 2], [2, 3], [3, 0]]), torch.from_numpy(rng.normal(size=(3, 3))))]
    fewer = [TableTerm(np.array([[0, 2]]), other[0].table)]
    zero = torch.zeros(4, 3, dtype=torch.float64)
    models = [
        dense_model(), dense_model(seed=3), dense_model(terms=TRIPLES), dense_model(n=5), potts_model(),
        potts_model().with_bias(zero), PottsModel.of(zero, 0.9, other), PottsModel.of(zero, 0.9, fewer), dense_model(),
    ]  # fmt: skip
    for kernels in (False, True):
        sweep = GibbsSampler(kernels=kernels)
        for model in models:
            start = started(model, 7)
            alone = GibbsSampler(kernels=False)(model, start, KEY, 1, 3)
            assert torch.equal(sweep(model, start, KEY, 1, 3), alone)


def test_continuous_units_are_refused():
    model = SpinModel.of(Couplings.of_matrix(torch.zeros(2, 2)), precision=torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match="continuous"):
        GibbsSampler(kernels=False)(model, torch.ones(1, 2, dtype=torch.int8), KEY, 0, 1)
