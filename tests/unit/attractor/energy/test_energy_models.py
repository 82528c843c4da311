"""Energies, fields and enumeration against sums written out term by term."""

import itertools
import math

import networkx as nx
import numpy as np
import pytest
import torch

from attractor.energy import Couplings, EnergyModel, PottsModel, SpinModel, TableTerm, enumerated, is_enumerable


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def symmetric(n, seed=0):
    upper = drawn(n, n, seed=seed).triu(1)
    return upper + upper.T


def spins(c, n, seed=0):
    return drawn(c, n, seed=seed).sign()


def spin_model(n=6, sparse=False, seed=0, temperature=1.3):
    """A model with pairs, biases, a triple and a quadruple, and its energy as a sum over plain numbers."""
    J = symmetric(n, seed)
    if sparse:
        J = torch.zeros_like(J).index_put((torch.tensor([0, 2, 3]), torch.tensor([1, 5, 4])), drawn(3, seed=seed))
        J = J + J.T
    h = drawn(n, seed=seed + 1)
    triples, quads = np.array([[0, 2, 4], [1, 3, 5]]), np.array([[5, 0, 1, 2]])
    w3, w4 = drawn(2, seed=seed + 2), drawn(1, seed=seed + 3)
    model = SpinModel.of(Couplings.of_matrix(J), h, temperature, [(triples, w3), (quads, w4)])

    def energy(s):
        total = -sum(float(J[i, j]) * s[i] * s[j] for i in range(n) for j in range(i))
        total -= sum(float(h[i]) * s[i] for i in range(n))
        total -= sum(float(w) * math.prod(s[i] for i in g) for g, w in zip(triples, w3, strict=True))
        return total - sum(float(w) * math.prod(s[i] for i in g) for g, w in zip(quads, w4, strict=True))

    return model, energy


@pytest.mark.parametrize("sparse", [False, True])
def test_spin_energy_is_the_sum_of_its_terms(sparse):
    model, energy = spin_model(sparse=sparse)
    assert model.couplings.dense != sparse
    s = spins(5, 6, seed=9)
    np.testing.assert_allclose(model.energy(s), [energy(row) for row in s.tolist()], rtol=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
def test_flipping_a_spin_costs_twice_its_field(sparse):
    """E(flip i) − E = 2 s_i f_i."""
    model, energy = spin_model(sparse=sparse)
    s = spins(4, 6, seed=3)
    field = model.local_field(s)
    for c, i in itertools.product(range(4), range(6)):
        flipped = s[c].clone()
        flipped[i] *= -1
        cost = energy(flipped.tolist()) - energy(s[c].tolist())
        assert cost == pytest.approx(2 * float(s[c, i] * field[c, i]), abs=1e-12)


def test_integer_spins_of_a_port_do():
    model, _ = spin_model()
    s = spins(3, 6)
    torch.testing.assert_close(model.energy(s.to(torch.int8)), model.energy(s))
    torch.testing.assert_close(model.local_field(s.to(torch.int8)), model.local_field(s))


def test_sparse_and_dense_forms_agree():
    graph = nx.to_numpy_array(nx.random_regular_graph(3, 20, seed=1))
    J = torch.from_numpy(graph) * symmetric(20)
    sparse = Couplings.of_matrix(J)
    dense = Couplings(20, None, J)
    assert not sparse.dense
    torch.testing.assert_close(sparse.matrix(), J)
    v = spins(7, 20)
    torch.testing.assert_close(sparse.field(v), dense.field(v))
    np.testing.assert_array_equal(sparse.graph.edges, dense.graph.edges)
    nx_edges = sorted(tuple(sorted(edge)) for edge in nx.from_numpy_array(graph).edges)
    np.testing.assert_array_equal(sparse.graph.edges, nx_edges)


def test_edges_in_any_order_make_the_same_model():
    edges, values = np.array([[0, 1], [2, 3], [1, 4]]), drawn(3)
    one = Couplings.of_edges(9, edges, values)
    other = Couplings.of_edges(9, edges[::-1, ::-1], values.flip(0))
    assert SpinModel.of(one) == SpinModel.of(other)
    doubled = Couplings.of_edges(9, np.concatenate([edges, edges[:, ::-1]]), torch.cat([values, values]))
    torch.testing.assert_close(doubled.matrix(), 2 * one.matrix())


def test_identity_tells_every_number():
    model, _ = spin_model(sparse=True)
    again, _ = spin_model(sparse=True)
    assert model == again
    assert hash(model) == hash(again)
    others = [
        model.with_temperature(1.30001), model.with_bias(model.bias + 1e-9), spin_model(sparse=True, seed=1)[0],
        model.plus(terms=[([[0, 1, 2]], torch.ones(1, dtype=torch.float64))]),
    ]  # fmt: skip
    assert len({model, again, *others}) == 5


def test_a_model_is_made_again_from_its_parts():
    model, _ = spin_model(sparse=True)
    potts = potts_model()
    gauss = SpinModel.of(Couplings.of_matrix(symmetric(4) * 0.1), precision=torch.tensor([0, 0, 2.0, 3.0]).double())
    for one in (model, potts, gauss):
        assert type(one).of_parts(dict(one.parts())) == one


def test_added_terms_are_those_of_the_sum():
    model, energy = spin_model()
    pair = Couplings.of_edges(6, [[0, 1]], torch.tensor([0.7], dtype=torch.float64))
    more = model.plus(pair, bias=0.25, terms=[([[3, 4, 5]], torch.tensor([-0.4], dtype=torch.float64))])
    for s in spins(4, 6, seed=2).tolist():
        extra = -0.7 * s[0] * s[1] - 0.25 * sum(s) + 0.4 * s[3] * s[4] * s[5]
        assert float(more.energy(torch.tensor([s], dtype=torch.float64))) == pytest.approx(energy(s) + extra)


def potts_model(n=4, k=3, temperature=0.8):
    """Shared pair tables with weights, a table for every pair, and a triple."""
    return PottsModel.of(
        drawn(n, k), temperature,
        [
            TableTerm(np.array([[0, 1], [1, 2]]), drawn(k, k, seed=1), weights=drawn(2, seed=2)),
            TableTerm(np.array([[2, 3], [3, 0]]), drawn(2, k, k, seed=3), shared=False),
            TableTerm(np.array([[3, 1, 0]]), drawn(k, k, k, seed=4)),
        ],
    )  # fmt: skip


def potts_energy(model, c):
    total = -sum(float(model.bias[i, a]) for i, a in enumerate(c))
    for term in model.terms:
        for g, row in enumerate(term.members.tolist()):
            table = term.table if term.shared else term.table[g]
            weight = 1.0 if term.weights is None else float(term.weights[g])
            total -= weight * float(table[tuple(c[i] for i in row)])
    return total


def test_potts_energy_and_field():
    model = potts_model()
    for c in itertools.product(range(3), repeat=4):
        states = torch.tensor([c])
        assert float(model.energy(states)) == pytest.approx(potts_energy(model, c))
        field = model.local_field(states)[0]
        for i, a in itertools.product(range(4), range(3)):
            other = [a if j == i else c[j] for j in range(4)]
            cost = potts_energy(model, other) - potts_energy(model, c)
            assert cost == pytest.approx(float(field[i, c[i]] - field[i, a]), abs=1e-12)


def test_enumeration_of_two_spins_is_the_closed_form():
    """⟨s₁s₂⟩ = tanh(J/T), Z = 4 cosh(J/T) without fields."""
    J, T = 0.7, 1.7
    model = SpinModel.of(Couplings.of_matrix(torch.tensor([[0, J], [J, 0]]).double()), temperature=T)
    law = enumerated(model)
    assert float(law.correlation()[0, 1]) == pytest.approx(math.tanh(J / T))
    assert float(law.log_z) == pytest.approx(math.log(4 * math.cosh(J / T)))
    assert float(law.mean_energy()) == pytest.approx(-J * math.tanh(J / T))
    np.testing.assert_allclose(law.mean(), 0, atol=1e-15)


def test_enumeration_of_a_ring_is_the_transfer_matrix():
    n, J, h, T = 10, 0.6, 0.3, 1.4
    edges = [[i, (i + 1) % n] for i in range(n)]
    law = enumerated(SpinModel.of(Couplings.of_edges(n, edges, torch.full((n,), J).double()), h, T))
    transfer = np.array([[math.exp((J * a * b + h * (a + b) / 2) / T) for b in (-1, 1)] for a in (-1, 1)])
    assert float(law.log_z) == pytest.approx(math.log(np.trace(np.linalg.matrix_power(transfer, n))), abs=1e-6)


def test_enumeration_of_a_potts_pair_is_the_closed_form():
    """P(same) = q e^{J/T} / (q e^{J/T} + q(q−1))."""
    q, J, T = 5, 0.9, 1.2
    model = PottsModel.of(torch.zeros(2, q).double(), T, [TableTerm(np.array([[0, 1]]), J * torch.eye(q).double())])
    law = enumerated(model)
    same = float(law.pair_marginals(q)[0, 1].diagonal().sum())
    assert same == pytest.approx(math.exp(J / T) / (math.exp(J / T) + q - 1))
    np.testing.assert_allclose(law.marginals(q), 1 / q)


def test_a_sweep_of_models_is_its_models():
    J = torch.stack([symmetric(5, seed) for seed in range(3)])
    h, T = drawn(3, 5, seed=9), torch.tensor([0.5, 1.0, 2.0]).double()
    together = enumerated(SpinModel.of(Couplings.of_matrix(J), h, T))
    for b in range(3):
        alone = enumerated(SpinModel.of(Couplings.of_matrix(J[b]), h[b], T[b]))
        torch.testing.assert_close(together.probabilities[b], alone.probabilities)
        torch.testing.assert_close(together.correlation()[b], alone.correlation())


def test_the_conditional_of_a_continuous_unit_is_where_its_energy_is_least():
    d = torch.tensor([0.0, 0.0, 2.0, 0.5]).double()
    model = SpinModel.of(Couplings.of_matrix(symmetric(4) * 0.2), drawn(4, seed=1), precision=d)
    v = torch.tensor([[1.0, -1.0, 0.3, 0.1]]).double()
    v[0, 2] = model.local_field(v)[0, 2] / d[2]
    here = float(model.energy(v))
    for step in (-0.1, 0.1):
        other = v.clone()
        other[0, 2] += step
        assert float(model.energy(other)) - here == pytest.approx(0.5 * 2.0 * step**2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Couplings.of_matrix(torch.tensor([[0, 1.0], [0, 0]])), "not symmetric"),
        (lambda: Couplings.of_matrix(torch.eye(2)), "diagonal"),
        (lambda: Couplings.of_matrix(torch.zeros(2, 3)), "square"),
        (lambda: Couplings.of_edges(3, [[1, 1]], torch.ones(1)), "twice"),
        (lambda: Couplings.of_edges(3, [[1, 3]], torch.ones(1)), "outside"),
        (lambda: SpinModel.of(Couplings.of_matrix(torch.zeros(3, 3)), temperature=0.0), "positive"),
        (lambda: SpinModel.of(Couplings.of_matrix(torch.zeros(3, 3)), torch.zeros(4)), "length 3"),
        (lambda: SpinModel.of(Couplings.of_matrix(torch.zeros(3, 3)), torch.tensor(math.nan)), "not finite"),
        (lambda: SpinModel.of(Couplings.of_matrix(torch.ones(3, 3) - torch.eye(3)), precision=torch.ones(3)), "lower"),
        (lambda: PottsModel.of(torch.zeros(3, 1)), "K ≥ 2"),
        (lambda: PottsModel.of(torch.zeros(3, 2), terms=[TableTerm(np.array([[0, 1]]), torch.eye(3))]), "last axes"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_too_many_states_are_not_enumerated():
    model = SpinModel.of(Couplings.of_edges(21, np.zeros((0, 2), int), torch.zeros(0)))
    assert not is_enumerable(model)
    with pytest.raises(ValueError, match="sample it"):
        enumerated(model)
    assert isinstance(model, EnergyModel)
