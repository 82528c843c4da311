"""Gibbs sweeps: the kernels against their reference, and both against exact laws."""

import math

import networkx as nx
import numpy as np
import pytest
import scipy.integrate
import torch

from attractor.energy import Couplings, InteractionGraph, SpinModel, enumerated
from attractor.energy.colouring import Colouring, dsatur
from attractor.energy.spin_sampler import SpinSampler
from attractor.kernels import gibbs
from attractor.kernels.gibbs import SweepTables

FORMS = ("reference", "kernel")
KEY = torch.tensor([11, 13])


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_spins(*shape, seed=0):
    up = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.where(up, 1, -1).to(torch.int8)


def sampler(form, model, **kwargs):
    return SpinSampler(model, kernels=form == "kernel", **kwargs)


def swept(form, model, spins, sweeps, tick=0, **kwargs):
    return sampler(form, model, **kwargs)(spins, KEY, tick, sweeps)


def small_model(T=2.0):
    """Eight spins, sparse pairs, two triples and a quadruple."""
    graph = nx.gnm_random_graph(8, 11, seed=4)
    edges = np.array(graph.edges)
    terms = [(np.array([[0, 3, 5], [1, 2, 6]]), drawn(2, seed=2)), (np.array([[7, 4, 1, 0]]), drawn(1, seed=3))]
    return SpinModel.of(Couplings.of_edges(8, edges, drawn(11, seed=1)), 0.4 * drawn(8), T, terms)


def dense_model(T=1.5, n=8):
    J = drawn(n, n, seed=5) / math.sqrt(n)
    return SpinModel.of(Couplings.of_matrix((J + J.T).fill_diagonal_(0)), 0.3 * drawn(n, seed=6), T)


def moments(spins):
    """⟨s⟩ and ⟨ss⟩ over the chains of spins (1, N, C)."""
    s = spins[0].double()
    return s.mean(-1), s @ s.T / s.shape[-1]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [small_model, dense_model])
def test_pair_correlations_are_those_of_the_enumeration(form, make):
    """100,000 independent chains: the standard error of a correlation is below 0.0032."""
    model = make()
    law = enumerated(model)
    spins = swept(form, model, random_spins(1, 8, 100_000), 25)
    mean, correlation = moments(spins)
    assert (mean - law.mean()).abs().max() < 0.012
    assert (correlation - law.correlation()).abs().max() < 0.012
    # Another temperature, or biases of the other sign, would be seen.
    assert (correlation - enumerated(model.with_temperature(2.5)).correlation()).abs().max() > 0.012
    assert (mean - enumerated(model.with_bias(-model.bias)).mean()).abs().max() > 0.012


def test_an_improper_partition_gives_another_law(monkeypatch):
    """The negative control of nodes.md: even and odd units of a dense model at once. The sampler refuses it."""
    J = -0.5 * (torch.ones(8, 8) - torch.eye(8))
    model, halves = SpinModel.of(Couplings.of_matrix(J), temperature=0.7), Colouring(np.arange(8) % 2)
    with pytest.raises(ValueError, match="share a term and a block"):
        sampler("reference", model, colouring=halves)
    monkeypatch.setattr(Colouring, "conflict", lambda *_: None)
    spins = swept("reference", model, random_spins(1, 8, 20_000), 30, colouring=halves)
    assert (moments(spins)[1] - enumerated(model).correlation()).abs().max() > 0.05


@pytest.mark.parametrize("form", FORMS)
def test_a_block_update_is_in_detailed_balance(form):
    """From the exact law, a transition and its reverse are equally frequent when one colour is updated."""
    model = small_model()
    law, chains = enumerated(model), 400_000
    start = torch.multinomial(law.probabilities, chains, replacement=True, generator=torch.Generator().manual_seed(0))
    spins = law.states[start].T.to(torch.int8).contiguous()[None]
    fixed = model.colouring.colours != 0
    after = swept(form, model, spins, 1, fixed=fixed)
    weights = 2 ** torch.arange(7, -1, -1)
    end = ((after[0].long() + 1) // 2 * weights[:, None]).sum(0)
    assert torch.equal(after[0, fixed], spins[0, fixed])
    flow = torch.zeros(256, 256).index_put_((start, end), torch.ones(chains), accumulate=True)
    often = (flow + flow.T).triu(1) > 20
    there, back = flow[often], flow.T[often]
    deviation = (there - back) / (there + back).sqrt()
    assert len(deviation) > 100
    assert deviation.abs().max() < 5.5
    assert float(deviation.square().mean()) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("chains", [1, 3, 4, 7, 13, 32, 33, 40, 64, 70])
@pytest.mark.parametrize("points", [1, 2])
def test_kernel_equals_reference_to_the_last_spin(chains, points):
    graph = nx.gnp_random_graph(37, 0.15, seed=2)
    edges = np.array(graph.edges)
    terms = [(np.array([[0, 1, 2], [3, 4, 9], [0, 5, 30]]), drawn(points, 3, seed=1))]
    terms += [(np.array([[7, 8, 9, 10]]), drawn(points, 1, seed=2))]
    model = SpinModel.of(
        Couplings.of_edges(37, edges, drawn(points, len(edges))), drawn(points, 37, seed=3),
        torch.linspace(0.5, 2.0, points), terms,
    )  # fmt: skip
    spins = random_spins(points, 37, chains)
    one, other = (swept(form, model, spins, 4, tick=5) for form in FORMS)
    assert torch.equal(one, other)
    assert not torch.equal(one, spins)


@pytest.mark.parametrize("chains", [3, 20])
def test_kernel_equals_reference_where_every_unit_is_coupled_with_every_other(chains):
    spins = random_spins(1, 40, chains)
    one, other = (swept(form, dense_model(n=40), spins, 6) for form in FORMS)
    assert torch.equal(one, other)


@pytest.mark.parametrize("chains", [3, 20])
def test_schedules_ladders_clamps_and_fixed_units(chains):
    model, fixed = small_model(), np.arange(8) == 2
    temperature = torch.rand(5, chains, generator=torch.Generator().manual_seed(1)) + 0.3
    spins = random_spins(8, chains)
    clamp = torch.zeros(8, chains, dtype=torch.int8)
    clamp[3], clamp[4, ::2], clamp[5, 1] = 1, -1, 1
    key = torch.tensor([2**32 - 1, 2**31])
    one, other = (
        sampler(form, model, fixed=fixed)(spins, key, 2**33 + 1, 5, 2, clamp=clamp, temperature=temperature)
        for form in FORMS
    )
    assert torch.equal(one, other)
    assert torch.equal(one[2], spins[2])
    assert torch.equal(one[clamp != 0], clamp[clamp != 0])


@pytest.mark.parametrize("form", FORMS)
def test_chains_of_a_ladder_have_their_own_temperatures(form):
    """Half the chains at 0.8, half at 2.5, three units clamped: each half has its own conditional law."""
    model, chains = small_model(), 60_000
    temperature = torch.full((1, 2 * chains), 0.8)
    temperature[:, chains:] = 2.5
    clamp = torch.zeros(8, 1, dtype=torch.int8)
    clamp[:3, 0] = torch.tensor([1, -1, 1])
    clamp = clamp.expand(8, 2 * chains)
    spins = sampler(form, model)(random_spins(8, 2 * chains), KEY, 0, 15, clamp=clamp, temperature=temperature)
    for half, T in ((spins[:, :chains], 0.8), (spins[:, chains:], 2.5)):
        law = enumerated(model.with_temperature(T))
        agree = (law.states[:, :3] == clamp[:3, 0].long()).all(-1)
        p = law.probabilities * agree
        mean = (p / p.sum()) @ law.states.double()
        assert (half.double().mean(-1) - mean).abs().max() < 0.02


@pytest.mark.parametrize("chains", [2, 64])
def test_a_point_of_a_batch_is_its_own_run(chains):
    models = [SpinModel.of(small_model().couplings, drawn(8, seed=s), 0.5 + s) for s in range(3)]
    together = SpinModel.of(
        models[0].couplings, torch.stack([m.bias for m in models]), torch.stack([m.temperature for m in models])
    )
    spins = random_spins(3, 8, chains)
    swept_together = swept("kernel", together, spins, 3)
    for b, model in enumerate(models):
        assert torch.equal(swept_together[b], swept("kernel", model, spins[b : b + 1], 3)[0])


def test_threads_change_nothing():
    graph = InteractionGraph.of_edges(2000, np.array(nx.random_regular_graph(3, 2000, seed=1).edges))
    model = SpinModel.of(Couplings.of_edges(2000, graph.edges, drawn(len(graph.edges))))
    spins = random_spins(1, 2000, 128)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(swept("kernel", model, spins, 5))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


@pytest.mark.parametrize("form", FORMS)
def test_single_spins_follow_the_logistic_law(form):
    h = torch.linspace(-8, 8, 9)
    model = SpinModel.of(Couplings.of_edges(9, np.zeros((0, 2), dtype=int), torch.zeros(0)), h, 1.7)
    up = (swept(form, model, random_spins(1, 9, 200_000), 1)[0] > 0).double().mean(-1)
    p = torch.sigmoid(2 * h.double() / 1.7)
    assert ((up - p).abs() < 5 * (p * (1 - p) / 200_000).sqrt() + 1e-7).all()


@pytest.mark.parametrize("T", [2.0, 3.0])
def test_energy_of_the_square_lattice_is_onsagers(T):
    """Onsager 1944, away from the critical point; 64² sites are as good as infinitely many."""
    side, chains = 64, 64
    edges = np.array(nx.convert_node_labels_to_integers(nx.grid_2d_graph(side, side, periodic=True)).edges)
    model = SpinModel.of(Couplings.of_edges(side**2, edges, torch.ones(len(edges))), temperature=T)
    spins = torch.ones(1, side**2, chains, dtype=torch.int8)
    energies = []
    for tick in range(20):
        spins = swept("kernel", model, spins, 40, tick=tick)
        energies.append(model.energy(spins[0].T).double())
    energy = torch.stack(energies[5:]).mean(0) / side**2
    k = 2 * math.sinh(2 / T) / math.cosh(2 / T) ** 2
    elliptic, _ = scipy.integrate.quad(lambda x: 1 / math.sqrt(1 - (k * math.sin(x)) ** 2), 0, math.pi / 2)
    exact = -(1 / math.tanh(2 / T)) * (1 + 2 / math.pi * (2 * math.tanh(2 / T) ** 2 - 1) * elliptic)
    error = float(energy.std()) / math.sqrt(chains)
    assert error < 2e-3
    assert abs(float(energy.mean()) - exact) < 5 * error


def test_the_operator_passes_torchs_own_checks(monkeypatch):
    taken = []
    monkeypatch.setattr(gibbs, "kernel", lambda *inputs: taken.append(inputs) or inputs[0])
    swept("kernel", small_model(), random_spins(1, 8, 4), 1)
    torch.library.opcheck(gibbs.gibbs, taken[0])
    assert torch.equal(gibbs.gibbs(*taken[0]), gibbs.reference(*taken[0]))


def test_numbers_change_without_new_tables():
    ring = Couplings.of_edges(12, [[i, (i + 1) % 12] for i in range(12)], drawn(12))
    terms = np.array([[0, 4, 8], [1, 5, 9]])
    model = SpinModel.of(ring, terms=[(terms, drawn(2, seed=1))])
    other = SpinModel.of(ring.with_values(drawn(12, seed=9)), drawn(12, seed=8), 0.7, [(terms, drawn(2, seed=2))])
    spins = random_spins(12, 40)
    changed = sampler("kernel", model).with_numbers(other)
    assert torch.equal(changed(spins, KEY, 0, 3), sampler("kernel", other)(spins, KEY, 0, 3))
    with pytest.raises(ValueError, match="new sampler"):
        changed.with_numbers(dense_model())


def test_tables_list_every_neighbour_once():
    graph = nx.barabasi_albert_graph(60, 3, seed=1)
    ours = InteractionGraph.of_edges(60, np.array(graph.edges))
    tables = SweepTables.of(60, ours.edges, [], dsatur(ours))
    order, found = tables.order.tolist(), set()
    for q in range(len(tables.colours) - 1):
        for r in range(int(tables.rows[q]), int(tables.rows[q + 1])):
            for k in range(int(tables.counts[r])):
                a = int(tables.offsets[r]) + k
                pair = order[int(tables.colours[q]) + k], order[int(tables.targets[a])]
                assert sorted(pair) == ours.edges[int(tables.pairs[a])].tolist()
                found.add(pair)
    assert found == {*graph.edges, *(edge[::-1] for edge in graph.edges)}


@pytest.mark.parametrize("form", FORMS)
def test_more_updates_than_a_draw_holds_are_refused(form):
    """8 units in 4 chains: 2^29 sweeps are 2^34 draws, whose counter ends there."""
    spins = random_spins(1, 8, 4)
    with pytest.raises(ValueError, match="do not fit into one draw of 2\\^34"):
        swept(form, small_model(), spins, 2**29 + 1)
    swept(form, small_model(), spins, 3)
