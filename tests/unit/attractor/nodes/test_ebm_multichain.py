"""Chains of one model: what they sample, and when they are said to have converged."""

import numpy as np
import pytest
import torch
from model_source import glass

from attractor.energy import Couplings, PottsModel, SpinModel, enumerated
from attractor.errors import NodeFailed
from attractor.node import ABSENT
from attractor.nodes.ebm_multichain import MultiChain
from attractor.statistics.convergence import bulk_ess, r_hat

N = 6


def chains(bench, **kwargs):
    return bench(MultiChain, **({"shapes": {"model": (N,)}} | kwargs))


def ferromagnet(strength):
    j = strength * (torch.ones(N, N, dtype=torch.float64) - torch.eye(N, dtype=torch.float64))
    return SpinModel.of(Couplings.of_matrix(j))


def test_pair_correlations_of_the_samples(bench):
    model = glass()
    node = chains(bench, chains=64, warmup=20, length=150)
    outputs = node.run(170, model=model)
    s = torch.cat([out["samples"] for out in outputs if out["samples"] is not ABSENT]).double()
    assert len(s) == 64 * 150
    effective = float(outputs[-1]["ess"])
    assert effective > 1500
    error = (s.T @ s / len(s) - enumerated(model).correlation()).abs().max()
    assert float(error) < 4.5 / np.sqrt(effective)


def test_judged_as_the_statistics_say(bench):
    node = chains(bench, chains=4, warmup=10, length=40)
    outputs = node.run(50, model=glass())
    draws = torch.stack([out["samples"] for out in outputs[10:]]).double().numpy()
    energies = torch.stack([out["energies"] for out in outputs[10:]]).numpy()
    series = np.concatenate([draws.transpose(2, 1, 0), energies.T[None]])
    assert float(outputs[-1]["r_hat"]) == pytest.approx(r_hat(series).max())
    assert float(outputs[-1]["ess"]) == pytest.approx(bulk_ess(series).min())
    spoken = [tick for tick, out in enumerate(node.run(80, model=glass())) if out["r_hat"] is not ABSENT]
    assert spoken == [39, 79]


def test_silent_during_the_warm_up_and_honest_about_sweeps(bench):
    outputs = chains(bench, warmup=5, length=10).run(15, model=glass())
    assert [out["samples"] is ABSENT for out in outputs] == [True] * 5 + [False] * 10
    assert outputs[0]["energies"].shape == (8,)
    once, often = (chains(bench, warmup=0, sweeps=k)(model=glass())["samples"] for k in (1, 7))
    assert not torch.equal(once, often)


def test_chains_in_two_wells_have_not_converged(bench):
    """A cold ferromagnet: each chain stays in its well."""
    out = chains(bench, warmup=50, length=50, chains=8).run(100, model=ferromagnet(0.55))[-1]
    assert not bool(out["converged"])
    assert float(out["r_hat"]) > 1.1
    warm = chains(bench, warmup=50, length=1000, chains=8).run(1050, model=ferromagnet(0.05))[-1]
    assert bool(warm["converged"])
    assert 1.0 - 0.01 < float(warm["r_hat"]) < 1.01


def test_chains_that_stand_still_apart_say_so(bench):
    node = chains(bench, warmup=20, length=20, chains=16)
    out = node.run(40, model=ferromagnet(50.0))[-1]
    assert not bool(out["converged"])
    assert out["r_hat"] is ABSENT
    assert [event.level for event in node.ctx.events] == ["warning"]


def test_a_frozen_model_is_not_said_to_have_converged(bench):
    field = SpinModel.of(Couplings.of_matrix(torch.zeros(N, N)), bias=100.0)
    out = chains(bench, warmup=5, length=20).run(25, model=field)[-1]
    assert out["r_hat"] is ABSENT
    assert out["converged"] is ABSENT


def test_another_model_begins_another_judgement(bench):
    node = chains(bench, warmup=4, length=10)
    node.run(13, model=glass())
    after = node.run(14, model=glass(seed=1))
    assert [out["samples"] is ABSENT for out in after[:5]] == [True] * 4 + [False]
    assert [k for k, out in enumerate(after) if out["r_hat"] is not ABSENT] == [13]


def test_categories(bench):
    rng = np.random.default_rng(0)
    model = PottsModel.of(torch.from_numpy(rng.normal(size=(4, 3))))
    node = bench(MultiChain, shapes={"model": (4, 3)}, variables="cat", warmup=5, length=400, chains=8)
    outputs = node.run(405, model=model)
    s = torch.cat([out["samples"] for out in outputs[5:]])
    assert s.dtype == torch.int64
    found = torch.nn.functional.one_hot(s, 3).double().mean(0)
    assert float((found - enumerated(model).marginals(3)).abs().max()) < 5 * 0.5 / np.sqrt(3200)
    # Independent units: every draw counts.
    assert float(outputs[-1]["ess"]) > 2000


def test_a_batch_is_its_runs_and_a_state_is_all_there_is(bench):
    both = glass().with_temperature(torch.tensor([1.0, 3.0], dtype=torch.float64))
    together = chains(bench, warmup=5, length=20, batch=(2,)).run(25, model=both)[-1]
    for point, temperature in enumerate((1.0, 3.0)):
        model = glass().with_temperature(temperature)
        first = chains(bench, warmup=5, length=20)
        first.run(9, model=model)
        second = chains(bench, warmup=5, length=20)
        second.state, second.tick = first.state, first.tick
        alone = second.run(16, model=model)[-1]
        for name, value in alone.items():
            torch.testing.assert_close(together[name][point], value, rtol=1e-12, atol=0)


def test_refuses_what_is_no_model_of_its_variables(bench):
    assert chains(bench)()["samples"] is ABSENT
    with pytest.raises(NodeFailed, match="no energy model"):
        chains(bench)(model=1.0)
    mixed = SpinModel.of(Couplings.of_matrix(torch.zeros(N, N)), precision=torch.ones(N))
    with pytest.raises(NodeFailed, match="continuous"):
        chains(bench)(model=mixed)
