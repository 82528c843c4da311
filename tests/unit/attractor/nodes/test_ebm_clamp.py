"""The conditional sampler against the enumerated conditional law."""

import math

import pytest
import torch
from model_source import glass

from attractor.energy import enumerated
from attractor.errors import NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.ebm_clamp import ConditionalSampler

C, N = 2000, 6
MODEL = glass()
MASK = torch.tensor([0, 1, 0, 1, 0, 0], dtype=torch.float64)
SEEN = torch.tensor([0, 1, 0, -1, 0, 0], dtype=torch.float64)


def sampler(bench, chains=C, observations=(N,), **kwargs):
    shapes = {"model": (N,), "state": (chains, N), "observations": observations, "mask": (N,)}
    return bench(ConditionalSampler, shapes=shapes, **kwargs)


def given(chains=C, **changed):
    start = torch.ones(chains, N, dtype=torch.int8)
    return {"model": MODEL, "state": start, "observations": SEEN, "mask": MASK} | changed


def conditional():
    law = enumerated(MODEL)
    fits = (law.states[:, 1] == 1) & (law.states[:, 3] == -1)
    return law.probabilities[fits] / law.probabilities[fits].sum(), law.states[fits]


@pytest.mark.parametrize("mode", ["inpaint", "constrain"])
def test_free_spins_follow_the_conditional_law(bench, mode):
    s = sampler(bench, mode=mode)(**given())["state"]
    assert s.dtype == torch.int8
    s, (p, states) = s.double(), conditional()
    exact = torch.einsum("s,si,sj->ij", p, states.double(), states.double())
    assert float((s.T @ s / C - exact).abs().max()) < 5 / math.sqrt(C)
    assert float((s.mean(0) - p @ states.double()).abs().max()) < 5 / math.sqrt(C)


def test_clamped_spins_take_the_observed_values(bench):
    """They are set although `state` says otherwise, and no sweep changes them."""
    node = sampler(bench, mode="constrain", sweeps=3)
    for _ in range(3):
        s = node(**given(state=-torch.ones(C, N, dtype=torch.int8)))["state"]
        assert bool((s[:, 1] == 1).all())
        assert bool((s[:, 3] == -1).all())


def test_inpainting_starts_afresh_and_constraining_goes_on(bench):
    """At a temperature at which nothing moves, only the start can differ."""
    cold = glass(temperature=1e-3)
    law = enumerated(cold)
    start = law.states[law.energies.argmin()].to(torch.int8).expand(50, N)
    free = torch.zeros(N, dtype=torch.float64)
    shown = given(50, model=cold, state=start, mask=free)
    kept = sampler(bench, 50, mode="constrain")(**shown)["state"]
    fresh = sampler(bench, 50, mode="inpaint", sweeps=1)(**shown)["state"]
    assert torch.equal(kept, start)
    assert not torch.equal(fresh, start)


def test_pseudo_likelihood_counts_free_spins_alone(bench):
    out = sampler(bench, 3)(**given(3))
    law, expected = enumerated(MODEL), 0.0
    place = {tuple(state): k for k, state in enumerate(law.states.tolist())}
    for row in out["state"].tolist():
        for i in (0, 2, 4, 5):
            other = [*row[:i], -row[i], *row[i + 1 :]]
            p, q = law.probabilities[place[tuple(row)]], law.probabilities[place[tuple(other)]]
            expected += math.log(p / (p + q)) / 3
    assert float(out["log_pl"]) == pytest.approx(expected)
    everything = sampler(bench, 3)(**given(3, mask=torch.ones(N), observations=torch.ones(N)))
    assert float(everything["log_pl"]) == 0.0


def test_observations_of_every_chain(bench):
    seen = torch.where(torch.rand(8, N) < 0.5, 1, -1).to(torch.int8)
    s = sampler(bench, 8, observations=(8, N))(**given(8, observations=seen))["state"]
    assert torch.equal(s[:, [1, 3]], seen[:, [1, 3]])


def test_more_sweeps_are_done_when_asked_for(bench):
    """A single sample a tick still honours its sweeps."""
    few, many = (sampler(bench, 4, sweeps=k, mode="constrain") for k in (1, 20))
    assert not torch.equal(few(**given(4))["state"], many(**given(4))["state"])


def test_faults_are_named(bench):
    with pytest.raises(NodeFailed, match="neither −1 nor"):
        sampler(bench, 2)(**given(2, observations=torch.zeros(N)))
    with pytest.raises(NodeFailed, match="mask"):
        sampler(bench, 2)(**given(2, mask=0.5 * torch.ones(N)))
    with pytest.raises(NodeFailed, match="no energy model"):
        sampler(bench, 2)(**given(2, model=3))
    with pytest.raises(ShapeProblem, match="observations"):
        sampler(bench, 2, observations=(N + 1,))
    assert sampler(bench, 2)(**given(2, mask=ABSENT))["state"] is ABSENT


def test_a_batch_is_its_runs(bench):
    masks = torch.stack([MASK, 1 - MASK])
    seen = torch.ones(2, N)
    swept = sampler(bench, 3, batch=(2,))
    state = torch.ones(2, 3, N, dtype=torch.int8)
    together = swept(model=MODEL, state=state, observations=seen, mask=masks)
    for point in range(2):
        alone = sampler(bench, 3)(**given(3, observations=seen[point], mask=masks[point]))
        assert torch.equal(together["state"][point], alone["state"])
        assert torch.equal(together["log_pl"][point], alone["log_pl"])
