"""Spins that enter a port of probabilities: the mean of the chains and of the ticks so far."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from audio_nodes import AUDIO_NODES
from sample_nodes import edge, node

from attractor import Axis, GraphRejected, GraphSpec, Plan, Registry, Session, Sweep
from attractor.compiled import compiled_region
from attractor.node import TensorNode
from attractor.port import Port


class Odds(TensorNode):
    """Hands on the probabilities that reach it."""

    kind, title, category, summary = "t.odds", "Odds", "test", "Hands on probabilities."
    inputs = (Port("p", "prob", ("N",)), Port("back", "prob", ("N",), optional=True))
    outputs = (Port("p", "prob", ("N",)),)

    def step(self, state, inputs, params, ctx):
        return state, {"p": inputs["p"]}


class FastOdds(Odds):
    kind = "t.fast_odds"
    outputs = (Port("p", "prob", ("N",), rate="audio"),)


REGISTRY = Registry([*Registry.default().kinds().values(), *AUDIO_NODES, Odds, FastOdds])
ISING = node("i", "ebm.ising", N=4, graph="dense", chains=3, sweeps=1, T=2.0)


def spec(*more, edges=(), ising=ISING, audio=None):
    document = {"nodes": [ising, node("o", "t.odds"), *more], "edges": [edge("i.spins", "o.p"), *edges]}
    return GraphSpec.parse(document | ({"audio": audio} if audio else {}))


def shown(session, *ports):
    """Every value of some ports, tick by tick."""
    for port in ports:
        session.subscribe(*port)
    values = {port: [] for port in ports}
    for report in session:
        for frame in report.frames:
            values[frame.node, frame.port] += list(frame.data)
    return [np.array(values[port]) for port in ports]


def test_it_is_the_mean_over_chains_and_ticks_that_numpy_takes():
    session = Session(Plan.of(spec(), REGISTRY), seed=3, ticks=50, block=7)
    spins, p = shown(session, ("i", "spins"), ("o", "p"))
    shares = (spins == 1).mean(1)
    np.testing.assert_allclose(p, np.cumsum(shares, 0) / np.arange(1, 51)[:, None], atol=1e-7)
    assert p.dtype == np.float32


def test_it_tends_to_the_marginals_of_the_enumeration():
    """P(sᵢ = +1) of four coupled spins in a field, from all sixteen states."""
    ising = node("i", "ebm.ising", N=4, graph="dense", J_init="ferro", J_scale=0.4, chains=64, sweeps=2, T=1.5)
    field = node("h", "gen.value", type="vector", values=[0.5, -0.2, 0.1, 0.0])
    plan = Plan.of(spec(field, edges=[edge("h.value", "i.bias")], ising=ising), REGISTRY)
    p = np.array(Session(plan, seed=1, ticks=600).run().outputs["o.p"])
    states = np.array(list(product((-1, 1), repeat=4)), float)
    couplings = 0.4 * (1 - np.eye(4))
    energy = -0.5 * np.einsum("si,ij,sj->s", states, couplings, states) - states @ [0.5, -0.2, 0.1, 0.0]
    weight = np.exp(-energy / 1.5)
    exact = weight @ (states > 0) / weight.sum()
    np.testing.assert_allclose(p, exact, atol=0.015)
    assert exact.max() - exact.min() > 0.05


@pytest.mark.parametrize("delayed", [False, True])
def test_blocks_checkpoints_and_tiers_change_nothing(delayed, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled_region, "compiled", lambda trace: trace.graph)
    edges = [edge("i.spins", "o.back", delay=1, init=0.5)] if delayed else []
    plan = Plan.of(spec(edges=edges), REGISTRY)
    once = Session(plan, 5, 30, tier="eager").run().result_hash
    for block in (1, 4, 30):
        assert Session(plan, 5, 30, block, tier="eager").run().result_hash == once
        assert Session(plan, 5, 30, block, tier="compiled").run().result_hash == once
    session = Session(plan, 5, 30, block=11, tier="eager")
    next(iter(session))
    assert Session.restore(session.checkpoint(tmp_path), plan).run().result_hash == once


def test_a_point_of_a_sweep_is_its_own_run():
    sweep = Sweep(spec(), [Axis("i.T", (0.5, 1.0, 4.0)), Axis("seed", (1, 2))], ticks=20, registry=REGISTRY)
    for outcome in sweep.run():
        assert outcome.result.result_hash == sweep.session(outcome.point.index).run().result_hash


def test_a_faster_node_sees_the_mean_of_the_slower_ones_ticks():
    """Three audio blocks in a control tick: each value of the source counts once."""
    graph = GraphSpec.parse(
        {
            "nodes": [ISING, node("o", "t.fast_odds")], "edges": [edge("i.spins", "o.p")],
            "audio": {"fs": 1500, "B": 5},
        }
    )  # fmt: skip
    plan = Plan.of(graph, REGISTRY)
    assert [link.resample for link in plan.resampled] == ["hold"]
    spins, p = shown(Session(plan, seed=3, ticks=30, block=4), ("i", "spins"), ("o", "p"))
    assert len(spins) == 10
    means = np.cumsum((spins == 1).mean(1), 0) / np.arange(1, 11)[:, None]
    np.testing.assert_allclose(p, np.repeat(means, 3, 0), atol=1e-7)


def test_there_is_nothing_to_reduce():
    document = {"nodes": [ISING, node("o", "t.odds")], "edges": [edge("i.spins", "o.p", reduce="mean")]}
    with pytest.raises(GraphRejected, match="nothing to reduce"):
        Plan.of(GraphSpec.parse(document), REGISTRY)


def test_long_means_lose_nothing():
    """In single precision a mean over 10⁷ values would stop moving long before."""
    from attractor.resampling import RunningMean

    memory, mean = {"average": torch.tensor([0.25], dtype=torch.float64), "seen": 10**8}, RunningMean(None)
    for _ in range(1000):
        memory, _ = mean.step(memory, torch.tensor([1.0]), 0)
    exact = (0.25 * 10**8 + 1000) / (10**8 + 1000)
    assert float(memory["average"]) == pytest.approx(exact, rel=1e-13)
