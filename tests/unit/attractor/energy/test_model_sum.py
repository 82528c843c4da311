"""Sums of energies: what is added enters energy and conditionals alike."""

import numpy as np
import pytest
import torch

from attractor.energy import Couplings, PottsModel, SpinModel, enumerated
from attractor.energy.model_sum import nothing_like, summed
from attractor.energy.potts_model import TableTerm


def spin_model(seed, temperature=1.0, n=5):
    rng = np.random.default_rng(seed)
    edges = np.array([[0, 1], [1, 2], [0, 4]])
    weights = torch.from_numpy(rng.normal(size=3))
    groups = [(np.array([[0, 2, 3], [1, 3, 4]]), torch.from_numpy(rng.normal(size=2)))]
    bias = torch.from_numpy(rng.normal(size=n))
    return SpinModel.of(Couplings.of_edges(n, edges, weights), bias, temperature, groups)


def potts_model(seed, temperature=1.0, n=4):
    rng = np.random.default_rng(seed)
    terms = [
        TableTerm(np.array([[0, 1], [2, 3]]), torch.from_numpy(rng.normal(size=(3, 3)))),
        TableTerm(np.array([[0, 1], [1, 2]]), torch.from_numpy(rng.normal(size=(2, 3, 3))), None, False),
    ]
    return PottsModel.of(torch.from_numpy(rng.normal(size=(n, 3))), temperature, terms)


@pytest.mark.parametrize("make", [spin_model, potts_model])
@pytest.mark.parametrize("weight", [1.0, -0.7, 0.0])
def test_energies_and_fields_add_up(make, weight):
    a, b = make(0, temperature=1.7), make(1)
    both = summed(a, b, weight)
    states = enumerated(a).states
    torch.testing.assert_close(both.energy(states), a.energy(states) + weight * b.energy(states))
    torch.testing.assert_close(both.local_field(states), a.local_field(states) + weight * b.local_field(states))
    assert float(both.temperature) == pytest.approx(1.7)


@pytest.mark.parametrize("make", [spin_model, potts_model])
def test_a_weight_for_every_point_of_a_sweep(make):
    a, b = make(0), make(1)
    weights = torch.tensor([0.5, 2.0], dtype=torch.float64)
    states = enumerated(a).states
    together = summed(a, b, weights).energy(states)
    for point, weight in enumerate(weights.tolist()):
        torch.testing.assert_close(together[point], summed(a, b, weight).energy(states))


@pytest.mark.parametrize("make", [spin_model, potts_model])
def test_structure_is_taken_over_only_where_it_is_the_same(make):
    a, b = make(0), make(1)
    first = summed(a, b, 1.0)
    colouring = first.colouring
    again = summed(a, b, 2.0, like=first)
    assert again.colouring is colouring
    joined = np.array([[2, 3]])
    if make is potts_model:
        extra = PottsModel.of(torch.zeros(4, 3).double(), 1.0, [TableTerm(joined, torch.eye(3).double())])
    else:
        extra = SpinModel.of(Couplings.of_edges(5, np.array([[2, 4]]), torch.ones(1).double()))
    other = summed(a, extra, like=first)
    assert other.colouring is not colouring


def test_a_dense_matrix_with_other_zeros_has_another_graph():
    full = torch.ones(4, 4, dtype=torch.float64).fill_diagonal_(0.0)
    holed = full.clone()
    holed[0, 1] = holed[1, 0] = 0.0
    first = summed(SpinModel.of(Couplings.of_matrix(full)), nothing_like(SpinModel.of(Couplings.of_matrix(full))))
    first.colouring  # noqa: B018 - work it out, so that there is something to take over
    second = SpinModel.of(Couplings.of_matrix(holed))
    assert summed(second, nothing_like(second), like=first).colouring.count == 3
    assert first.colouring.count == 4


@pytest.mark.parametrize("make", [spin_model, potts_model])
def test_nothing_is_nothing(make):
    model = nothing_like(make(0), 3.0)
    assert not model.energy(enumerated(make(0)).states).any()
    assert float(model.temperature) == 3.0


def test_other_units_are_refused():
    with pytest.raises(ValueError, match="cannot be put on"):
        summed(spin_model(0), potts_model(0))
    with pytest.raises(ValueError, match="cannot be added"):
        summed(spin_model(0), SpinModel.of(Couplings.of_matrix(torch.zeros(5, 5)), precision=torch.ones(5)))
    with pytest.raises(ValueError, match="units"):
        summed(spin_model(0), SpinModel.of(Couplings.of_matrix(torch.zeros(3, 3))))
