"""ebm.ising against exact enumeration, and its ports."""

import math

import numpy as np
import pytest
import torch

from attractor.energy import Couplings, SpinModel, enumerated
from attractor.errors import NodeFailed
from attractor.node import ShapeProblem
from attractor.nodes.ebm_ising import Ising

N = 12


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def matrix(n=8, seed=0):
    J = drawn(n, n, seed=seed).triu(1) / math.sqrt(n)
    return J + J.T


def made(bench, *, kernels=False, inputs=(), **params):
    n, chains = params.get("N", 64), params.get("chains", 4)
    sizes = {"bias": (n,), "J": (n, n), "clamp": (chains, n), "T_mod": ()}
    node = bench(Ising, dtype=torch.float32, shapes={name: sizes[name] for name in inputs}, **params)
    node.ctx.kernels = kernels
    node.node.prepare(node.ctx)
    return node


GRAPHS = {
    "grid": {"graph": "grid", "J_init": "gauss_sk", "J_scale": 3.0},
    "packed": {"graph": "grid", "N": 16, "J_init": "edwards_anderson_pm1"},
    "ferro": {"graph": "grid", "J_init": "ferro", "J_scale": 0.5},
    "dense": {"graph": "dense", "J_init": "gauss_sk"},
    "sparse": {"graph": "sparse_k", "degree": 3, "J_init": "edwards_anderson_pm1", "J_scale": 0.6},
    "zero": {"graph": "dense", "J_init": "zero"},
}


@pytest.mark.parametrize("name", list(GRAPHS))
def test_every_graph_is_sampled_from_its_own_law(bench, name):
    """nodes.md: pair correlations within 0.01 of exact enumeration, 10^5 independent samples."""
    biased = name not in ("packed", "zero")
    params = {"N": N, "T": 1.6, "chains": 1024, "sweeps": 30} | GRAPHS[name]
    node = made(bench, kernels=True, inputs=("bias",) if biased else (), **params)
    assert node.node.packed == (name == "packed")
    n = params["N"]
    inputs = {"bias": 0.4 * drawn(n, seed=1).float()} if biased else {}
    outs = node.run(101, **inputs)[3:]
    s = torch.cat([out["spins"] for out in outs]).double()
    law = enumerated(outs[0]["model"])
    assert s.abs().eq(1).all()
    assert (s.T @ s / len(s) - law.correlation()).abs().max() < 0.0155
    assert (s.T @ s / len(s) - law.correlation()).square().mean().sqrt() < 0.0045
    assert (s.mean(0) - law.mean()).abs().max() < 0.0155
    energy = np.mean([float(out["energy"]) for out in outs])
    assert abs(energy - float(law.mean_energy())) < 0.05
    prob = torch.stack([out["prob"] for out in outs]).double().mean(0)
    assert (prob - (1 + law.mean()) / 2).abs().max() < 0.006
    magnetisation = np.mean([float(out["magnetisation"]) for out in outs])
    assert abs(magnetisation - float(law.mean().mean())) < 0.01


def test_couplings_are_the_named_ensembles(bench):
    def values(**params):
        return made(bench, **params).node._sampler.model.couplings.values

    sk = values(N=400, graph="dense", J_init="gauss_sk", J_scale=2.0)
    upper = sk[torch.triu(torch.ones(400, 400), 1) > 0]
    assert float(upper.std()) == pytest.approx(2.0 / 20, rel=0.02)
    assert abs(float(upper.mean())) < 0.002
    ea = values(N=1024, J_init="edwards_anderson_pm1", J_scale=0.7)
    assert ea.abs().eq(torch.tensor(0.7)).all()
    assert len(ea) == 2048
    assert abs(float((ea > 0).float().mean()) - 0.5) < 0.05
    assert values(N=64, J_init="ferro", J_scale=0.3).eq(torch.tensor(0.3)).all()
    sparse = values(N=200, graph="sparse_k", degree=6)
    assert len(sparse) == 600


def test_couplings_from_a_port(bench):
    J, h = matrix().float(), 0.3 * drawn(8, seed=2).float()
    node = made(bench, kernels=True, inputs=("J", "bias"), N=8, graph="from_matrix", T=0.8, chains=1024, sweeps=40)
    assert node() == {}
    outs = node.run(100, J=J, bias=h)
    s = torch.cat([out["spins"] for out in outs[3:]]).double()
    law = enumerated(SpinModel.of(Couplings.of_matrix(J), h, 0.8))
    assert (s.T @ s / len(s) - law.correlation()).abs().max() < 0.0155
    # New numbers, then another graph.
    assert outs[-1]["model"] == SpinModel.of(Couplings.of_matrix(J), h, 0.8)
    halved = node(J=J / 2, bias=h)["model"]
    torch.testing.assert_close(halved.couplings.matrix(), J / 2)
    ring = torch.zeros(8, 8)
    for i in range(8):
        ring[i, (i + 1) % 8] = ring[(i + 1) % 8, i] = 1.0
    assert node(J=ring)["model"].colouring.count == 2


def test_a_matrix_that_is_no_coupling_breaks_the_run(bench):
    node = made(bench, inputs=("J",), N=8, graph="from_matrix")
    for bad, words in ((matrix().triu(), "not symmetric"), (matrix() + torch.eye(8), "diagonal")):
        with pytest.raises(NodeFailed, match=words):
            node(J=bad.float())


def test_the_temperature_is_modulated(bench):
    node = made(bench, inputs=("T_mod",), N=16, T=2.0)
    assert float(node(T_mod=torch.tensor(0.5))["model"].temperature) == pytest.approx(3.0)
    with pytest.raises(NodeFailed, match="not positive") as failed:
        node(T_mod=torch.tensor(-1.0))
    assert "T_mod" in failed.value.mend


def test_clamped_spins_stay_and_condition_the_others(bench):
    node = made(bench, kernels=True, inputs=("clamp",), N=N, T=1.3, J_scale=4.0, chains=1024, sweeps=30)
    clamp = torch.zeros(1024, N, dtype=torch.int8)
    clamp[:, 0], clamp[:, 5] = 1, -1
    outs = node.run(60, clamp=clamp)[2:]
    s = torch.cat([out["spins"] for out in outs]).double()
    assert s[:, 0].eq(1).all()
    assert s[:, 5].eq(-1).all()
    law = enumerated(outs[0]["model"])
    p = law.probabilities * (law.states[:, 0] == 1) * (law.states[:, 5] == -1)
    assert (s.mean(0) - (p / p.sum()) @ law.states.double()).abs().max() < 0.02


@pytest.mark.parametrize("name", ["grid", "packed", "dense", "sparse"])
@pytest.mark.parametrize("chains", [4, 40])
def test_tiers_agree_to_the_last_spin(bench, name, chains):
    nodes = [made(bench, kernels=k, **({"N": 16, "chains": chains} | GRAPHS[name])) for k in (False, True)]
    for _ in range(3):
        one, other = (node() for node in nodes)
        assert torch.equal(one["spins"], other["spins"])
        torch.testing.assert_close(one["prob"], other["prob"])


@pytest.mark.parametrize("name", ["grid", "packed", "dense"])
def test_a_batch_of_temperatures_is_its_runs(bench, name):
    params = {"N": 16, "chains": 40} | GRAPHS[name]
    temperatures = torch.tensor([0.5, 1.0, 4.0])
    swept = bench(Ising, dtype=torch.float32, batch=(3,), **params)
    swept.params = swept.params | {"T": temperatures}
    alone = [bench(Ising, dtype=torch.float32, **(params | {"T": float(t)})) for t in temperatures]
    for _ in range(3):
        together, single = swept(), [node() for node in alone]
        for b, out in enumerate(single):
            assert torch.equal(together["spins"][b], out["spins"])
            for port in ("energy", "magnetisation", "prob"):
                torch.testing.assert_close(together[port][b], out[port])


def test_draws_follow_the_seed_and_go_on(bench):
    one, same, other = (bench(Ising, dtype=torch.float32, seed=seed, N=64, T=2.0) for seed in (1, 1, 2))
    first, second = one()["spins"], one()["spins"]
    assert torch.equal(first, same()["spins"])
    assert not torch.equal(first, second)
    assert not torch.equal(first, other()["spins"])
    assert torch.equal(one.state["s"].mT, second)


def test_a_cold_ferromagnet_orders_and_a_hot_one_does_not(bench):
    cold, hot = (made(bench, kernels=True, N=256, J_init="ferro", T=t, chains=16, sweeps=200) for t in (1.0, 10.0))
    assert (cold.run(5)[-1]["spins"].float().mean(1).abs() > 0.5).float().mean() > 0.7
    assert (hot.run(5)[-1]["spins"].float().mean(1).abs() < 0.4).all()


def test_what_does_not_make_a_model_is_refused(bench):
    values = Ising.defaults()
    with pytest.raises(ShapeProblem, match="do not fill a grid"):
        Ising.validate(values | {"N": 7})
    with pytest.raises(ShapeProblem, match="not made from them"):
        Ising.shapes(values, {"J": (64, 64)})
    with pytest.raises(NodeFailed, match="nothing is connected to J"):
        made(bench, graph="from_matrix")
    with pytest.raises(NodeFailed, match="two colours do not suffice"):
        made(bench, N=25, blocking="checkerboard")
