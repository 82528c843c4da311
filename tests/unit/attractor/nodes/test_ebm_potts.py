"""ebm.potts against exact enumeration, and its ports."""

import math

import numpy as np
import pytest
import torch

from attractor.energy import enumerated
from attractor.errors import NodeFailed
from attractor.node import ShapeProblem
from attractor.nodes.ebm_potts import Potts

TABLE = [[0.5, -1.0, 0.2], [-1.0, 0.0, 0.7], [0.2, 0.7, -0.3]]
SMALL = {"N": 6, "K": 3, "J": 0.8, "T": 1.2, "chains": 1024, "sweeps": 15}


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(bench, *, kernels=False, **params):
    node = bench(Potts, dtype=torch.float32, **(SMALL | params))
    node.ctx.kernels = kernels
    node.node.prepare(node.ctx)
    return node


@pytest.mark.parametrize(
    "params",
    [{}, {"coupling": "table", "table": TABLE}, {"graph": "all_to_all", "J": -0.7}, {"graph": "ring", "degree": 2}],
    ids=["potts", "table", "antiferro", "ring"],
)
def test_pair_marginals_are_those_of_the_enumeration(bench, params):
    """nodes.md: within 0.01 of exact enumeration, 10^5 samples."""
    node = made(bench, kernels=True, **params)
    bias = 0.5 * drawn(6, 3)
    outs = node.run(101, bias=bias)[3:]
    c = torch.cat([out["states"] for out in outs])
    law = enumerated(outs[0]["model"])
    on = torch.nn.functional.one_hot(c, 3).double().flatten(1)
    pairs = (on.T @ on / len(c)).view(6, 3, 6, 3).permute(0, 2, 1, 3)
    assert (pairs - law.pair_marginals(3)).abs().max() < 0.0085
    probs = torch.stack([out["probs"] for out in outs]).double().mean(0)
    assert (probs - law.marginals(3)).abs().max() < 0.005
    energy = np.mean([float(out["energy"]) for out in outs])
    assert abs(energy - float(law.mean_energy())) < 0.02
    other = enumerated(outs[0]["model"].with_temperature(1.3))
    assert (pairs - other.pair_marginals(3)).abs().max() > 0.0085


@pytest.mark.parametrize("chains", [1, 4, 16, 21])
@pytest.mark.parametrize("params", [{}, {"coupling": "table", "table": TABLE}, {"graph": "all_to_all", "N": 9}])
def test_tiers_agree_to_the_last_state(bench, chains, params):
    nodes = [made(bench, kernels=kernels, **({"N": 12, "sweeps": 3, "chains": chains} | params)) for kernels in (0, 1)]
    observed = torch.full((chains, nodes[0].node.settings["N"]), -1)
    observed[0, 2] = 1
    for tick in range(3):
        one, other = (node(**({"observations": observed} if tick else {})) for node in nodes)
        assert torch.equal(one["states"], other["states"])
        torch.testing.assert_close(one["probs"], other["probs"])


def test_two_states_are_an_ising_model(bench):
    """δ(a, b) = (1 + s_a s_b)/2: K = 2 and strength 2J is the Ising model of strength J, ⟨s₁s₂⟩ = tanh(J/T)."""
    node = made(bench, kernels=True, N=2, K=2, graph="all_to_all", J=1.4)
    s = torch.cat([2 * out["states"] - 1 for out in node.run(100)[3:]]).double()
    assert float((s[:, 0] * s[:, 1]).mean()) == pytest.approx(math.tanh(0.7 / 1.2), abs=0.012)


def test_the_grid_orders_below_its_critical_temperature(bench):
    """Potts on the square lattice: T_c = J/ln(1 + √K) (Wu 1982), 0.995 for K = 3."""
    cold, hot = (
        made(bench, kernels=True, N=256, J=1.0, T=T, chains=16, sweeps=200).run(6)[-1]["states"] for T in (0.7, 1.4)
    )

    def largest(states):
        return torch.nn.functional.one_hot(states, 3).float().mean(1).amax(-1)

    assert largest(cold).median() > 0.8
    assert largest(hot).median() < 0.55


def test_observed_units_stay_and_condition_the_others(bench):
    node = made(bench, kernels=True)
    observed = torch.full((1024, 6), -1)
    observed[:, 1], observed[:, 4] = 2, 0
    c = torch.cat([out["states"] for out in node.run(60, observations=observed)[2:]])
    assert c[:, 1].eq(2).all()
    assert c[:, 4].eq(0).all()
    law = enumerated(node.node._sampler.model)
    p = law.probabilities * (law.states[:, 1] == 2) * (law.states[:, 4] == 0)
    expected = torch.einsum("s,sia->ia", p / p.sum(), torch.nn.functional.one_hot(law.states, 3).double())
    assert (torch.nn.functional.one_hot(c, 3).double().mean(0) - expected).abs().max() < 0.012
    with pytest.raises(NodeFailed, match="only K = 3"):
        node(observations=torch.full((1024, 6), 3))


def test_a_batch_of_temperatures_is_its_runs(bench):
    small = SMALL | {"chains": 5}
    temperatures = torch.tensor([0.5, 2.0])
    for kernels in (False, True):
        swept = bench(Potts, dtype=torch.float32, batch=(2,), **small)
        swept.node._sampler._sweep = made(bench, kernels=kernels).node._sampler._sweep
        swept.params = swept.params | {"T": temperatures}
        alone = [bench(Potts, dtype=torch.float32, **(small | {"T": float(t)})) for t in temperatures]
        for _ in range(3):
            together, single = swept(), [node() for node in alone]
            for k, out in enumerate(single):
                assert torch.equal(together["states"][k], out["states"])
                torch.testing.assert_close(together["probs"][k], out["probs"])
                torch.testing.assert_close(together["energy"][k], out["energy"])


@pytest.mark.parametrize(
    ("table", "words"),
    [([], "no matrix"), ([[1, 2], [2, 1]], "no matrix"), ([[0, 1, 0], [2, 0, 0], [0, 0, 0]], "not symmetric")],
)
def test_a_table_that_does_not_fit_is_refused(table, words):
    with pytest.raises(ShapeProblem, match=words):
        Potts.validate(Potts.defaults() | {"K": 3, "coupling": "table", "table": table})


@pytest.mark.parametrize("T", [1e-9, 1e-30, 1.0])
def test_an_observed_unit_keeps_its_state_at_any_temperature(bench, T):
    seen = torch.tensor([[0, 2, -1, 1], [2, 1, 1, -1]])
    node = made(bench, N=4, K=3, chains=2, T=T)
    states = node(observations=seen)["states"]
    assert torch.equal(torch.where(seen < 0, states, seen), states)
