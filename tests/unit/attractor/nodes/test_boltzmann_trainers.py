"""Every trainer recovers couplings that are known, from independent draws of their law."""

import itertools
import math

import numpy as np
import pytest
import torch
from model_source import glass, independent_draws

from attractor.energy import enumerated
from attractor.energy.boltzmann_learning import SpinMoments, machine, pseudo_likelihood_gradient
from attractor.errors import NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.ebm_train_cd import ContrastiveDivergence
from attractor.nodes.ebm_train_moments import MomentMatching
from attractor.nodes.ebm_train_pcd import PersistentContrastiveDivergence

N, ROWS = 5, 6000
TRUE = glass(N, seed=2, scale=0.6)
DATA = independent_draws(TRUE, ROWS)
SHAPES = {"data": (ROWS, N)}
KINDS = (ContrastiveDivergence, PersistentContrastiveDivergence, MomentMatching)


def trainer(bench, cls, **kwargs):
    return bench(cls, **({"shapes": SHAPES, "memory": ROWS, "l2": 0.0} | kwargs))


def upper(matrix):
    return matrix[..., *np.triu_indices(matrix.shape[-1], 1)]


def error(out, model=TRUE):
    """Largest error of a coupling or a bias."""
    return max(
        float((upper(out["J"]) - upper(model.couplings.matrix())).abs().max()),
        float((out["h"] - model.bias).abs().max()),
    )


def average(outputs):
    """The mean over the last half of a run: what the noise of the gradient leaves."""
    half = outputs[len(outputs) // 2 :]
    return {name: torch.stack([out[name] for out in half]).mean(0) for name in ("J", "h")}


def learned(node, updates):
    return [node(data=DATA), *node.run(updates - 1)]


# The error of the maximum-likelihood estimate from 6000 draws is about 0.02; a model that learned nothing is 0.6 off.
CASES = {
    "cd": (ContrastiveDivergence, {"lr": 0.1, "k": 5, "minibatch": 400}, 250),
    "pcd": (PersistentContrastiveDivergence, {"lr": 0.1, "k": 3, "minibatch": 400, "particles": 400}, 250),
    "mcmc": (MomentMatching, {"method": "mcmc", "lr": 0.1, "k": 3, "particles": 400, "report": 10**6}, 250),
    "exact": (MomentMatching, {"method": "exact", "lr": 0.3, "report": 10**6}, 250),
    "pseudo": (MomentMatching, {"method": "pseudo_likelihood", "lr": 0.2, "report": 10**6}, 200),
}


@pytest.mark.parametrize("name", list(CASES))
def test_known_couplings_and_biases_are_recovered(bench, name):
    cls, settings, updates = CASES[name]
    node = trainer(bench, cls, **settings)
    # The kernels draw the reference's own spins, in a tenth of the time.
    node.ctx.kernels = True
    node.node.prepare(node.ctx)
    outputs = learned(node, updates)
    found = average(outputs)
    assert float(TRUE.couplings.matrix().abs().max()) > 0.5
    assert float(TRUE.bias.abs().max()) > 0.2
    assert error(found) < 0.09
    last = outputs[-1]["J"]
    assert torch.equal(last, last.mT)
    assert not last.diagonal().any()


def test_exact_matching_ends_at_the_moments_of_the_data(bench):
    out = learned(trainer(bench, MomentMatching, lr=0.4, report=10**6), 300)[-1]
    law, data = enumerated(out["model"]), SpinMoments.of(DATA, dtype=torch.float64)
    np.testing.assert_allclose(law.mean(), data.mean, atol=2e-4)
    np.testing.assert_allclose(upper(law.correlation()), upper(data.pair), atol=2e-4)
    assert float(out["grad_norm"]) < 1e-3


def test_pseudo_likelihood_gradient_is_its_own_derivative():
    j = TRUE.couplings.matrix().clone().requires_grad_()
    h = TRUE.bias.clone().requires_grad_()
    symmetric = torch.triu(j, 1) + torch.triu(j, 1).mT
    field = DATA.double() @ symmetric + h
    value = torch.nn.functional.logsigmoid(2 * DATA.double() * field / 1.3).sum(-1).mean() * 1.3
    value.backward()
    found = pseudo_likelihood_gradient(machine(TRUE.couplings.matrix(), TRUE.bias, 1.3), DATA)
    np.testing.assert_allclose(upper(found.pair), upper(j.grad), rtol=1e-9)
    np.testing.assert_allclose(found.mean, h.grad, rtol=1e-9)


def test_chains_of_contrastive_divergence_start_at_the_data(bench):
    """Where nothing moves, the chains stay at the data, and there is no gradient. Other chains would pull."""
    strong = 50.0 * torch.ones(N, N, dtype=torch.float64).fill_diagonal_(0.0)
    rows = torch.ones(ROWS, N, dtype=torch.int8)
    rows[::2] = -1
    node = trainer(bench, ContrastiveDivergence, minibatch=500)
    node.state["J"] = strong
    assert float(node(data=rows)["grad_norm"]) == 0.0
    random = trainer(bench, PersistentContrastiveDivergence, minibatch=500)
    random.state["J"] = strong
    random.state["particles"] = torch.ones_like(random.state["particles"])
    assert float(random(data=rows)["grad_norm"]) > 0.5


def test_particles_go_on_from_update_to_update(bench):
    node = trainer(bench, PersistentContrastiveDivergence, particles=4, lr=1e-12)
    node.state["J"] = 50.0 * torch.ones(N, N, dtype=torch.float64).fill_diagonal_(0.0)
    start = node.state["particles"].clone()
    first = node(data=DATA)["fantasy"]
    wells = first[:, :1].expand(4, N)
    assert torch.equal(first, wells)
    assert all(torch.equal(out["fantasy"], first) for out in node.run(5))
    assert start.unique(dim=0).shape[0] > 1


@pytest.mark.parametrize("cls", KINDS)
def test_biases_are_learned(bench, cls):
    rows = torch.ones(ROWS, N, dtype=torch.int8)
    rows[:, 0] = -1
    node = trainer(bench, cls, lr=0.1)
    node(data=rows)
    h = node.run(20)[-1]["h"]
    assert float(h[0]) < -0.2
    assert float(h[1:].min()) > 0.2


@pytest.mark.parametrize("cls", KINDS)
def test_one_snapshot_is_no_data_set(bench, cls):
    node = bench(cls, shapes={"data": (1, N)})
    outputs = [node(data=row[None]) for row in DATA[:64]]
    assert all(out["grad_norm"] is ABSENT for out in outputs[:63])
    assert not outputs[62]["J"].any()
    assert outputs[63]["grad_norm"] is not ABSENT


@pytest.mark.parametrize("cls", KINDS)
def test_learns_when_it_is_due(bench, cls):
    node = trainer(bench, cls, every=4)
    node(data=DATA)
    assert [k for k, out in enumerate(node.run(11), 1) if out["grad_norm"] is not ABSENT] == [3, 7, 11]
    waiting = trainer(bench, cls, every=0)
    assert waiting(data=DATA)["grad_norm"] is ABSENT
    assert waiting(trigger=torch.tensor(False))["grad_norm"] is ABSENT
    assert waiting(trigger=torch.tensor(True))["grad_norm"] is not ABSENT
    early = bench(cls, shapes={"data": (2, N)}, every=0)
    early(data=DATA[:2], trigger=torch.tensor(True))
    assert "2 of 64" in early.ctx.events[0].message
    # Once for as many observations as there are, and never for a trigger that is not set.
    for fired in (False, True, True):
        early(trigger=torch.tensor(fired))
    assert len(early.ctx.events) == 1
    early(data=DATA[2:5], trigger=torch.tensor(False))
    assert len(early.ctx.events) == 1
    for _ in range(3):
        early(trigger=torch.tensor(True))
    assert ["5 of 64" in event.message for event in early.ctx.events] == [False, True]


def test_memory_forgets_the_oldest(bench):
    node = bench(MomentMatching, shapes={"data": (3, N)}, memory=64, least=2, every=0)
    rows = DATA[:75]
    for start in range(0, 75, 3):
        node(data=rows[start : start + 3])
    kept = {tuple(row) for row in node.node.known(node.state).tolist()}
    assert kept == {tuple(row) for row in rows[-64:].tolist()}
    large = bench(MomentMatching, shapes={"data": (75, N)}, memory=64, least=2, every=0)
    large(data=rows)
    assert torch.equal(large.state["data"].sort(0).values, rows[-64:].sort(0).values)


def test_decay_pulls_couplings_and_leaves_biases(bench):
    state = {"J": torch.ones(N, N), "h": torch.ones(N)}
    nothing = SpinMoments(torch.zeros(N, N), torch.zeros(N))
    moved = MomentMatching.moved(state, nothing, 0.1, 0.5)
    torch.testing.assert_close(moved["J"], 0.95 * state["J"])
    assert torch.equal(moved["h"], state["h"])


def test_learning_rate_falls(bench):
    node = trainer(bench, PersistentContrastiveDivergence, decay=1.0, lr=0.1)
    outputs = learned(node, 30)
    steps = [float((b["J"] - a["J"]).abs().max()) for a, b in itertools.pairwise(outputs)]
    assert steps[-1] < 0.2 * steps[0]


def test_divergence_is_exact_when_states_can_be_counted(bench):
    out = learned(trainer(bench, MomentMatching, lr=0.3, report=20), 20)[-1]
    law, rows = enumerated(out["model"]), DATA.long()
    bits = 2 ** torch.arange(N - 1, -1, -1)
    p = torch.bincount(((rows > 0).long() * bits).sum(-1), minlength=2**N).double() / ROWS
    exact = float((p * (p / law.probabilities).log())[p > 0].sum())
    assert float(out["kl"]) == pytest.approx(exact, rel=1e-9)
    assert float(out["kl_error"]) == 0.0


def test_divergence_is_an_estimate_with_an_error_bar_otherwise(bench):
    """17 spins, of which the first eight are coupled and the others free: ln Z is known."""
    small = glass(8, seed=5)
    rows = torch.cat([independent_draws(small, 2000), independent_draws(glass(9, scale=0.0), 2000)], dim=-1)
    node = bench(
        MomentMatching,
        shapes={"data": (2000, 17)},
        method="pseudo_likelihood",
        lr=1e-12,
        report=1,
        particles=100,
        path=40,
    )
    node.state["J"][:8, :8] = small.couplings.matrix()
    node.state["h"][:8] = small.bias
    out = node(data=rows)
    log_z = float(enumerated(small).log_z) + 9 * math.log(2)
    unique, counts = torch.unique(rows, dim=0, return_counts=True)
    share = counts.double() / 2000
    exact = float((share * (share.log() - (-out["model"].energy(unique) - log_z))).sum())
    assert 0.0 < float(out["kl_error"]) < 0.2
    assert float(out["kl"]) == pytest.approx(exact, abs=5 * float(out["kl_error"]))


def test_no_divergence_is_told_where_none_was_computed(bench):
    outputs = learned(trainer(bench, MomentMatching, report=5), 12)
    assert [k for k, out in enumerate(outputs, 1) if out["kl"] is not ABSENT] == [5, 10]
    with pytest.raises(ShapeProblem, match="states"):
        bench(MomentMatching, shapes={"data": (4, 17)})


def test_what_the_scores_of_a_model_that_knows_nothing_are(bench):
    cd, pcd = (trainer(bench, cls)(data=DATA) for cls in KINDS[:2])
    assert float(cd["loss"]) == pytest.approx(math.log(2))
    assert float(pcd["recon"]) == pytest.approx(0.25)


@pytest.mark.parametrize("cls", KINDS)
def test_a_batch_is_its_runs_and_a_state_is_all_there_is(bench, cls):
    rates = torch.tensor([0.05, 0.2], dtype=torch.float64)
    swept = trainer(bench, cls, batch=(2,))
    swept.params = swept.params | {"lr": rates}
    swept(data=DATA.expand(2, ROWS, N))
    together = swept.run(9)[-1]
    for point in range(2):
        first = trainer(bench, cls, lr=float(rates[point]))
        first(data=DATA)
        first.run(4)
        second = trainer(bench, cls, lr=float(rates[point]))
        second.state, second.tick = first.state, first.tick
        alone = second.run(5)[-1]
        for name, value in alone.items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(together[name][point], value, rtol=1e-9, atol=1e-12)


def test_what_is_no_spin_is_not_learned(bench):
    with pytest.raises(NodeFailed, match="neither −1 nor"):
        trainer(bench, ContrastiveDivergence)(data=torch.zeros(ROWS, N, dtype=torch.int8))
    with pytest.raises(ShapeProblem, match="are needed"):
        trainer(bench, ContrastiveDivergence, minibatch=ROWS + 1)
    with pytest.raises(ShapeProblem, match="nothing to learn"):
        bench(ContrastiveDivergence, shapes={})
