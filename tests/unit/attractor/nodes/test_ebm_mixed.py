"""ebm.mixed: the spins against the enumeration of their marginal law, the continuous units given them."""

import numpy as np
import pytest
import torch

from attractor.energy import Couplings, SpinModel, enumerated
from attractor.nodes.ebm_mixed import MixedModel

SIZES = {"Ns": 8, "Nc": 5, "J_ss": 0.8, "J_sx": 1.1, "T": 1.5}


def made(bench, *, kernels=False, **params):
    node = bench(MixedModel, dtype=torch.float32, **(SIZES | params))
    node.ctx.kernels = kernels
    node.node.prepare(node.ctx)
    return node


def parts(node):
    ns = node.node.settings["Ns"]
    whole = node.node._model.couplings.matrix().double()
    return whole[:ns, :ns], whole[:ns, ns:]


@pytest.mark.parametrize("J_ss", [0.8, 0.0])
def test_spins_follow_their_marginal_law_and_continuous_units_their_conditional(bench, J_ss):
    """Integrating out x leaves couplings J + WWᵀ and fields Wb; nodes.md: pair correlations within 0.01."""
    node = made(bench, kernels=True, J_ss=J_ss, chains=1024, sweeps=25)
    J, W = parts(node)
    assert bool(J.any()) == (J_ss > 0)
    b = torch.linspace(-0.4, 0.5, 5)
    outs = node.run(101, input=b)[3:]
    s = torch.cat([out["spins"] for out in outs]).double()
    x = torch.cat([out["continuous"] for out in outs]).double()
    n, b, T = len(s), b.double(), SIZES["T"]
    marginal = Couplings.of_matrix((J + (W @ W.T).fill_diagonal_(0)).float())
    law = enumerated(SpinModel.of(marginal, (W @ b).float(), T))
    assert (s.T @ s / n - law.correlation()).abs().max() < 0.0155
    assert (s.mean(0) - law.mean()).abs().max() < 0.0155
    # x − b − Wᵀs is normal noise of variance T, independent of the spins.
    noise = x - b - s @ W
    assert noise.mean(0).abs().max() < 5 * (T / n) ** 0.5
    assert (noise.T @ noise / n - T * torch.eye(5)).abs().max() < 5 * T * (2 / n) ** 0.5
    assert (noise.T @ s / n).abs().max() < 5 * (T / n) ** 0.5
    # ⟨x⟩ = b + Wᵀ⟨s⟩, and the energy has its expectation over both.
    assert (x.mean(0) - b - W.T @ law.mean()).abs().max() < 0.03
    given = -((s @ J) * s).sum(-1) / 2 - (s @ W * x).sum(-1) - x @ b + x.square().sum(-1) / 2
    shown = np.mean([float(out["energy"]) for out in outs])
    assert shown == pytest.approx(float(given.mean()), abs=1e-3)


def test_tiers_agree_to_the_last_spin(bench):
    nodes = [made(bench, kernels=kernels, chains=40) for kernels in (False, True)]
    for _ in range(3):
        one, other = (node(input=torch.ones(5)) for node in nodes)
        assert torch.equal(one["spins"], other["spins"])
        assert torch.equal(one["continuous"], other["continuous"])


def test_a_batch_of_temperatures_is_its_runs(bench):
    temperatures = torch.tensor([0.5, 2.0])
    swept = bench(MixedModel, dtype=torch.float32, batch=(2,), **SIZES)
    swept.params = swept.params | {"T": temperatures}
    alone = [bench(MixedModel, dtype=torch.float32, **(SIZES | {"T": float(t)})) for t in temperatures]
    for _ in range(3):
        together, single = swept(), [node() for node in alone]
        for k, out in enumerate(single):
            assert torch.equal(together["spins"][k], out["spins"])
            torch.testing.assert_close(together["continuous"][k], out["continuous"])
            torch.testing.assert_close(together["energy"][k], out["energy"])


def test_chains_go_on_and_follow_the_seed(bench):
    one, same, other = (bench(MixedModel, dtype=torch.float32, seed=seed, **SIZES) for seed in (1, 1, 2))
    first, second = one()["continuous"], one()["continuous"]
    assert torch.equal(first, same()["continuous"])
    assert not torch.equal(first, second)
    assert not torch.equal(first, other()["continuous"])
    torch.testing.assert_close(one.state["x"].mT, second)
