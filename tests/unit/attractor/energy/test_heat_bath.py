"""Heat-bath sweeps against exact enumeration."""

import itertools
import math

import numpy as np
import pytest
import torch

from attractor.energy import Couplings, PottsModel, SpinModel, enumerated
from attractor.energy.heat_bath import conditional_log_probability, random_start, swept
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


def chains(model, sweeps=25, seed=1, temperature=None, held=None, start=None):
    generator = torch.Generator().manual_seed(seed)

    def u():
        return torch.rand(CHAINS, model.size, generator=generator, dtype=torch.float64)

    values = random_start(model, u()) if start is None else start
    for _ in range(sweeps):
        values = swept(model, values, u(), temperature, held)
    return values


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


def test_units_of_one_colour_together_are_units_one_by_one():
    """What is drawn depends on a unit's own number, not on the block it stands in."""
    ring = torch.zeros(6, 6, dtype=torch.float64)
    for i in range(6):
        ring[i, (i + 1) % 6] = ring[(i + 1) % 6, i] = 0.7
    model = SpinModel.of(Couplings.of_matrix(ring))
    assert model.colouring.count == 2
    u = torch.rand(10, 6, dtype=torch.float64)
    values = random_start(model, torch.rand(10, 6))
    one_by_one = values.double()
    for unit in model.colouring.order.tolist():
        up = torch.sigmoid(2 * (one_by_one @ ring)[:, unit])
        one_by_one[:, unit] = torch.where(u[:, unit] < up, 1.0, -1.0)
    assert torch.equal(swept(model, values, u), one_by_one.to(torch.int8))


def test_leading_dimensions_are_their_points():
    one = dense_model()
    both = one.with_temperature(torch.tensor([0.5, 2.0], dtype=torch.float64))
    u = torch.rand(5, 6, dtype=torch.float64)
    start = random_start(one, torch.rand(5, 6))
    together = swept(both, start.expand(2, 5, 6), u)
    for point, temperature in enumerate((0.5, 2.0)):
        assert torch.equal(together[point], swept(one.with_temperature(temperature), start, u))


def test_continuous_units_are_refused():
    model = SpinModel.of(Couplings.of_matrix(torch.zeros(2, 2)), precision=torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match="continuous"):
        swept(model, torch.ones(1, 2), torch.rand(1, 2))
