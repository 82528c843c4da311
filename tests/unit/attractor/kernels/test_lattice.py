"""±J lattices, 64 chains in a word: the kernel against its reference, and both against exact laws."""

import itertools
import math

import numpy as np
import pytest
import torch

from attractor.energy import Couplings, SpinModel, enumerated
from attractor.kernels import lattice

KEY = torch.tensor([[11, 13]])
FORMS = {"reference": lattice.reference, "kernel": lattice.kernel}


def random_spins(*shape, seed=0):
    up = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.where(up, 1, -1).to(torch.int8)


def bonds(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.5


def model_of(negative, sides, size, T):
    """The same law, written out bond by bond."""
    shape, edges, values = tuple(sides), [], []
    for site in itertools.product(*map(range, shape)):
        for axis in range(len(shape)):
            near = tuple((c + (k == axis)) % shape[k] for k, c in enumerate(site))
            i, j = np.ravel_multi_index(site, shape), np.ravel_multi_index(near, shape)
            edges.append((i, j))
            values.append(-size if negative[axis, i] else size)
    return SpinModel.of(Couplings.of_edges(math.prod(shape), edges, torch.tensor(values)), temperature=T)


@pytest.mark.parametrize(
    ("sides", "chains", "points"),
    [((4, 6), 5, 1), ((6, 4), 64, 2), ((8, 70), 70, 2), ((4, 6, 8), 64, 1), ((4, 4, 18), 3, 2), ((4, 128), 130, 1)],
)
def test_kernel_equals_reference_to_the_last_spin(sides, chains, points):
    sites = math.prod(sides)
    temperature = torch.linspace(0.7, 2.5, 3 * points).view(points, 3)
    inputs = (
        random_spins(points, sites, chains), bonds(points, len(sides), sites),
        lattice.thresholds(temperature, 1.0, len(sides)), KEY.expand(points, 2) + torch.arange(points)[:, None],
        2**33 + 5, 3, 3, sides,
    )  # fmt: skip
    one, other = lattice.reference(*inputs), lattice.kernel(*inputs)
    assert torch.equal(one, other)
    assert not torch.equal(one, inputs[0])


@pytest.mark.parametrize(("sides", "points", "threads"), [((32, 6), 1, 2), ((50, 70), 1, 3), ((4, 34, 6), 2, 4)])
def test_a_lattice_cut_into_strips_is_swept_as_a_whole(monkeypatch, sides, points, threads):
    monkeypatch.setattr(lattice, "threads_for", lambda *_: threads)
    monkeypatch.setattr(lattice, "_LEAST_ROWS", 16)
    assert lattice._strips(sides[-2], 7, points, threads)[0] > 1
    sites = math.prod(sides)
    inputs = (
        random_spins(points, sites, 5), bonds(points, len(sides), sites),
        lattice.thresholds(torch.linspace(0.7, 2.5, 7).expand(points, 7), 1.0, len(sides)),
        KEY.expand(points, 2), 4, 3, 7, sides,
    )  # fmt: skip
    assert torch.equal(lattice.reference(*inputs), lattice.kernel(*inputs))


def test_a_word_of_chains_does_not_depend_on_the_others():
    """Chains 64 … 99 of two words are drawn apart from chains 0 … 63; a point is its own run."""
    sides, T = (4, 6), torch.tensor([[1.3]])
    spins, negative, limits = random_spins(2, 24, 64), bonds(1, 2, 24), lattice.thresholds(T, 1.0, 2)
    together = lattice.kernel(spins, negative, limits, KEY, 0, 1, 3, sides)
    alone = lattice.kernel(spins[1:], negative, limits, KEY, 0, 1, 3, sides)
    assert torch.equal(together[1:], alone)
    same = lattice.kernel(spins[:1].expand(2, 24, 64), negative, limits, KEY, 0, 1, 3, sides)
    assert torch.equal(same[0], same[1])
    columns = same[0].T.float()
    assert len(torch.unique(columns, dim=0)) == 64


@pytest.mark.parametrize("form", list(FORMS))
def test_energies_and_correlations_are_those_of_the_enumeration(form):
    """4 × 4 sites: all 65,536 states."""
    sides, size, T, chains = (4, 4), 0.8, 1.5, 60_000 if form == "kernel" else 20_000
    negative = bonds(2, 16)
    model = model_of(negative, sides, size, T)
    law = enumerated(model)
    spins = FORMS[form](
        random_spins(1, 16, chains), negative[None], lattice.thresholds(torch.tensor([[T]]), size, 2), KEY, 0, 0, 40,
        sides,
    )  # fmt: skip
    s = spins[0].T.double()
    error = 1 / math.sqrt(chains)
    assert (s.mean(0)).abs().max() < 4.5 * error
    assert (s.T @ s / chains - law.correlation()).abs().max() < 4.8 * error
    energy = model.energy(s.float())
    assert abs(float(energy.mean()) - float(law.mean_energy())) < 4.5 * float(energy.std()) * error
    hotter = enumerated(model.with_temperature(1.6))
    assert (s.T @ s / chains - hotter.correlation()).abs().max() > 4.8 * error


def test_the_cubic_ferromagnet_orders_below_its_critical_temperature():
    """T_c = 4.5115 (Ferrenberg, Xu & Landau 2018)."""
    sides = (12, 12, 12)
    magnetisation = {}
    for T in (3.5, 6.0):
        spins = torch.ones(1, 12**3, 64, dtype=torch.int8)
        limits = lattice.thresholds(torch.tensor([[T]]), 1.0, 3)
        spins = lattice.kernel(spins, torch.zeros(1, 3, 12**3, dtype=torch.bool), limits, KEY, 0, 0, 200, sides)
        magnetisation[T] = float(spins.float().mean(1).abs().mean())
    assert magnetisation[3.5] > 0.7
    assert magnetisation[6.0] < 0.15


def test_thresholds_are_the_logistic_law():
    limits = lattice.thresholds(torch.tensor([0.5, 2.0]), 0.7, 3)
    assert limits.shape == (2, 7)
    for row, T in zip(limits.tolist(), (0.5, 2.0), strict=True):
        for n, limit in enumerate(row):
            p = 1 / (1 + math.exp(-2 * 0.7 * (2 * n - 6) / T))
            assert limit == pytest.approx(p * 2**32, abs=1.0)


@pytest.mark.parametrize(
    ("sides", "sweeps", "words"),
    [((3, 4), 1, "even"), ((4, 2), 1, "even"), ((4, 4, 4, 4), 1, "2 or 3"), ((1024, 1024), 300, "fewer sweeps")],
)
def test_what_the_operator_does_not_do_is_refused(sides, sweeps, words):
    with pytest.raises(ValueError, match=words):
        lattice.refuse_lattice(sides, sweeps, 64)


def test_the_operator_passes_torchs_own_checks():
    inputs = (
        random_spins(1, 24, 3), bonds(1, 2, 24), lattice.thresholds(torch.tensor([[1.3]]), 1.0, 2), KEY, 0, 1, 2,
        [4, 6],
    )  # fmt: skip
    torch.library.opcheck(lattice.lattice, inputs)
    assert torch.equal(lattice.lattice(*inputs), lattice.reference(*inputs))
