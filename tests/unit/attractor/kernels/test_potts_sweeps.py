"""Sweeps of categorical units with terms of every form: the kernel against its reference, both against enumeration."""

import numpy as np
import pytest
import torch

from attractor.energy import PottsModel, TableTerm, enumerated
from attractor.energy.colouring import Colouring
from attractor.energy.potts_sampler import PottsSampler
from attractor.kernels import potts

KEY = torch.tensor([11, 13])


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def model(points=(), k=3, n=6, T=1.3):
    """Shared pair tables with weights, a table for every pair, and a triple whose axes differ."""
    return PottsModel.of(
        drawn(*points, n, k), T,
        [
            TableTerm(np.array([[0, 1], [1, 2], [4, 5]]), drawn(k, k, seed=1), weights=drawn(*points, 3, seed=2)),
            TableTerm(np.array([[2, 3], [3, 0]]), drawn(*points, 2, k, k, seed=3), shared=False),
            TableTerm(np.array([[3, 1, 5]]), drawn(k, k, k, seed=4)),
        ],
    )  # fmt: skip


def start(*shape, k=3):
    return torch.randint(0, k, shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("form", ["reference", "kernel"])
def test_every_form_of_term_enters_the_conditionals(form):
    one, chains = model(), 40_000
    states = PottsSampler(one, kernels=form == "kernel")(start(6, chains), KEY, 0, 25)
    law = enumerated(one)
    on = torch.nn.functional.one_hot(states.T, 3).double().flatten(1)
    pairs = (on.T @ on / chains).view(6, 3, 6, 3).permute(0, 2, 1, 3)
    assert (pairs - law.pair_marginals(3)).abs().max() < 0.012
    for k in range(3):
        without = enumerated(PottsModel.of(one.bias, one.temperature, [t for i, t in enumerate(one.terms) if i != k]))
        assert (pairs - without.pair_marginals(3)).abs().max() > 0.03


@pytest.mark.parametrize("chains", [1, 3, 16, 18, 40])
@pytest.mark.parametrize("points", [(), (3,)])
def test_kernel_equals_reference_to_the_last_state(chains, points):
    one, fixed = model(points, k=4), np.arange(6) == 4
    states = start(*points, 6, chains, k=4)
    ladder = torch.rand(4, chains, generator=torch.Generator().manual_seed(1)) + 0.3
    clamp = torch.full((6, chains), -1)
    clamp[2, ::2] = 3
    found = [
        PottsSampler(one, kernels=kernels, fixed=fixed)(
            states, KEY, 2**33, 4, 7, clamp=clamp, temperature=ladder.expand(*points, 4, chains)
        )
        for kernels in (False, True)
    ]
    assert torch.equal(*found)
    assert torch.equal(found[0][..., 4, :], states[..., 4, :])
    assert found[0][..., 2, ::2].eq(3).all()
    assert not torch.equal(found[0], states)


def test_a_partition_with_a_term_inside_a_block_is_refused():
    with pytest.raises(ValueError, match="share a term and a block"):
        PottsSampler(model(), kernels=False, colouring=Colouring(np.arange(6) % 2))


def test_the_operator_passes_torchs_own_checks(monkeypatch):
    taken = []
    monkeypatch.setattr(potts, "kernel", lambda *inputs: taken.append(inputs) or inputs[0])
    PottsSampler(model(), kernels=True)(start(6, 4), KEY, 0, 1)
    torch.library.opcheck(potts.potts, taken[0])
    assert torch.equal(potts.potts(*taken[0]), potts.reference(*taken[0]))


@pytest.mark.parametrize("kernels", [False, True])
def test_more_updates_than_a_draw_holds_are_refused(kernels):
    with pytest.raises(ValueError, match="do not fit into one draw of 2\\^34"):
        PottsSampler(model(), kernels=kernels)(start(6, 4), KEY, 0, 2**34 // 24 + 1)
