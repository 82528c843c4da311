"""Annealing finds ground states; tempering samples every temperature of its ladder."""

import math

import numpy as np
import pytest
import torch
from model_source import glass

from attractor.energy import Couplings, SpinModel, enumerated
from attractor.errors import NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.ebm_anneal import Annealing

N = 8
SHAPES = {"model": (N,), "progress": ()}


def annealing(bench, **kwargs):
    return bench(Annealing, **({"shapes": SHAPES} | kwargs))


def tempering(bench, **kwargs):
    settings = {
        "mode": "parallel_tempering",
        "T_start": 4.0,
        "T_end": 0.4,
        "replicas": 5,
        "swap_every": 1,
        "steps": 400,
    }
    return annealing(bench, **(settings | kwargs))


def test_annealing_finds_the_ground_state(bench):
    for seed in range(3):
        model = glass(N, seed)
        law = enumerated(model)
        out = annealing(bench, seed=seed, steps=60, replicas=16).run(60, model=model)[-1]
        assert float(out["best_energy"]) == pytest.approx(float(law.energies.min()))
        assert torch.equal(out["best"][0].long(), law.states[law.energies.argmin()])
        torch.testing.assert_close(out["energies"], model.energy(out["state"]))
        # Most runs end there, not one by luck: at T = 0.1 the last sweeps are a descent.
        assert float((out["energies"] < law.energies.min() + 1e-9).double().mean()) > 0.4


@pytest.mark.parametrize("schedule", ["geometric", "linear", "cosine"])
def test_temperature_follows_the_schedule_and_stays(bench, schedule):
    node = annealing(bench, schedule=schedule, T_start=8.0, T_end=0.5, steps=11)
    found = [float(out["temperature"][0]) for out in node.run(14, model=glass(N))]
    x = np.arange(11) / 10
    expected = {
        "geometric": 8.0 * (0.5 / 8.0) ** x, "linear": 8.0 - 7.5 * x, "cosine": 0.5 + 3.75 * (1 + np.cos(np.pi * x)),
    }[schedule]  # fmt: skip
    np.testing.assert_allclose(found, [*expected, 0.5, 0.5, 0.5])


def test_progress_takes_the_place_of_the_count(bench):
    node = annealing(bench, T_start=9.0, T_end=1.0, schedule="linear")
    for x in (0.25, 0.75, 0.0):
        out = node(model=glass(N), progress=torch.tensor(x))
        assert float(out["temperature"][0]) == pytest.approx(9.0 - 8.0 * x)
    with pytest.raises(NodeFailed, match="progress"):
        node(model=glass(N), progress=torch.tensor(1.5))


def test_acceptance_of_annealing_is_the_share_that_moved(bench):
    """Without couplings, at infinite temperature half of the spins change, and none at zero."""
    node = annealing(bench, T_start=1e6, T_end=1e5, replicas=200)
    hot = float(node.run(2, model=glass(N))[-1]["acceptance"])
    assert hot == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(200 * N))
    cold = annealing(bench, T_start=2e-3, T_end=1e-3).run(40, model=glass(N))[-1]
    assert float(cold["acceptance"]) == 0.0


@pytest.mark.slow
def test_every_replica_of_the_tuned_ladder_samples_its_own_temperature(bench):
    """Four runs together; counted only after the tuning has ended."""
    n = 5
    model = glass(n, seed=4, scale=2.0)
    bits = 2 ** torch.arange(n - 1, -1, -1)
    exact, histogram = torch.zeros(4, 2**n, dtype=torch.float64), torch.zeros(4, 2**n, dtype=torch.float64)
    for seed in range(4):
        node = tempering(bench, seed=seed, steps=100, shapes={"model": (n,)}, replicas=4)
        node.run(100, model=model)
        ladder = node.state["ladder"]
        assert not torch.equal(ladder, tempering(bench, replicas=4).state["ladder"])
        exact += enumerated(model.with_temperature(ladder)).probabilities / 4
        for out in node.run(400, model=model)[::2]:
            assert torch.equal(out["temperature"], ladder)
            histogram[range(4), ((out["state"] > 0).long() * bits).sum(-1)] += 1 / 800
    distance = 0.5 * (histogram - exact).abs().sum(-1)
    # The mean distance of 800 independent draws, times 1.6: swaps make even the coldest replica nearly independent.
    expected = (exact * (1 - exact) / (2 * math.pi * 800)).sqrt().sum(-1)
    assert (distance < 1.6 * expected).all(), (distance, expected)


@pytest.mark.slow
def test_the_tuned_ladder_has_even_rates_between_its_ends(bench):
    model = glass(10, seed=1, scale=3.0)
    settings = {"shapes": {"model": (10,)}, "T_start": 20.0, "T_end": 0.2, "replicas": 6}
    rates = {}
    for ladder in ("geometric", "tuned"):
        node = tempering(bench, ladder=ladder, steps=500, **settings)
        node.run(500, model=model)
        node.state |= {name: torch.zeros_like(node.state[name]) for name in ("tried", "swaps")}
        node.run(300, model=model)
        rates[ladder] = (node.state["swaps"] / node.state["tried"]).numpy()
        t = node.state["ladder"]
        assert (float(t[0]), float(t[-1])) == (0.2, 20.0)
        assert bool((t.diff() > 0).all())
    assert np.ptp(rates["tuned"]) < 0.6 * np.ptp(rates["geometric"])
    assert rates["tuned"].min() > rates["geometric"].min()


def test_a_ladder_that_cannot_swap_well_says_so(bench):
    node = tempering(bench, shapes={"model": (40,)}, T_start=50.0, T_end=0.05, replicas=3, steps=100)
    node.run(100, model=glass(40, scale=3.0))
    assert [event.level for event in node.ctx.events] == ["warning"]
    assert "more replicas" in node.ctx.events[0].message


def test_swaps_happen_when_they_are_due(bench):
    node = tempering(bench, swap_every=4)
    spoken = [k for k, out in enumerate(node.run(12, model=glass(N))) if out["acceptance"] is not ABSENT]
    assert spoken == [3, 7, 11]


def test_waits_for_a_model_and_refuses_what_is_none(bench):
    node = annealing(bench)
    assert node()["state"] is ABSENT
    with pytest.raises(NodeFailed, match="no energy model"):
        node(model="ising")
    with pytest.raises(NodeFailed, match="variables"):
        annealing(bench, shapes={"model": (N, 3)}, variables="cat")(model=glass(N))
    with pytest.raises(ShapeProblem, match="variables"):
        annealing(bench, shapes={"model": (N, 3)})
    with pytest.raises(ShapeProblem, match="below"):
        annealing(bench, T_start=1.0, T_end=2.0)
    with pytest.raises(ShapeProblem, match="single"):
        tempering(bench, replicas=1)


@pytest.mark.parametrize("mode", ["sa", "parallel_tempering"])
def test_a_batch_is_its_runs_and_a_state_is_all_there_is(bench, mode):
    model = glass(N)
    both = model.with_temperature(torch.tensor([1.0, 1.0], dtype=torch.float64))
    node = annealing(bench, mode=mode, swap_every=2, replicas=4, steps=40, batch=(2,))
    together = node.run(30, model=both)[-1]
    first = annealing(bench, mode=mode, swap_every=2, replicas=4, steps=40)
    first.run(13, model=model)
    second = annealing(bench, mode=mode, swap_every=2, replicas=4, steps=40)
    second.state, second.tick = first.state, first.tick
    alone = second.run(17, model=model)[-1]
    for name in ("state", "temperature", "energies", "best", "best_energy"):
        assert torch.equal(together[name][0], alone[name])
        assert torch.equal(together[name][1], alone[name])


def test_the_best_state_is_told_with_its_energy_under_the_model_that_is_here(bench):
    strong = SpinModel.of(Couplings.of_matrix(torch.zeros(4, 4)), torch.full((4,), 5.0))
    weak = strong.with_bias(torch.tensor([0.1, -0.1, 0.1, -0.1]))
    node = bench(Annealing, shapes={"model": (4,)}, replicas=4)
    node.run(5, model=strong)
    out = node(model=weak)
    assert float(out["best_energy"]) == pytest.approx(float(weak.energy(out["best"])[0]))
    assert float(out["best_energy"]) >= -0.4001
