"""The Gaussian field: every sampler against the closed form, computed by scipy."""

import math

import networkx as nx
import numpy as np
import pytest
import scipy.linalg
import torch

from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.ebm_gaussian import EXACT_LIMIT, GaussianField

N, LAM, T = 16, 0.5, 2.5
METHODS = {"exact": {}, "gibbs": {"sweeps": 40}, "langevin": {"sweeps": 40, "step": 0.15}}


def graph():
    torus = nx.grid_2d_graph(4, 4, periodic=True)
    order = [divmod(i, 4) for i in range(N)]
    return nx.laplacian_matrix(torus, nodelist=order).toarray().astype(float)


def field(seed=0):
    return torch.randn(N, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def closed_form(b, temperature=T):
    precision = LAM * np.eye(N) + graph()
    return scipy.linalg.solve(precision, b, assume_a="pos"), temperature * scipy.linalg.inv(precision)


def sampler(bench, method, **kwargs):
    return bench(GaussianField, N=N, lam=LAM, method=method, **({"T": T, "chains": 1000} | METHODS[method] | kwargs))


def draws(node, ticks, warm=5, **inputs):
    node.run(warm, **inputs)
    outputs = node.run(ticks, **inputs)
    return torch.cat([out["samples"] for out in outputs]).numpy(), outputs


def test_precision_is_lambda_plus_laplacian(bench):
    node = sampler(bench, "exact").node
    np.testing.assert_allclose(node.precision(), LAM * np.eye(N) + graph())


@pytest.mark.parametrize("method", list(METHODS))
def test_mean_and_covariance(bench, method):
    b = field()
    mean, covariance = closed_form(b.numpy() + 0.4)
    x, _ = draws(sampler(bench, method, b=0.4), 12, input=b)
    n = len(x)
    spread = np.sqrt(np.diag(covariance))
    assert (np.abs(x.mean(0) - mean) < 5 * spread / math.sqrt(n)).all()
    error = np.sqrt((np.outer(spread**2, spread**2) + covariance**2) / n)
    assert (np.abs(np.cov(x.T) - covariance) < 5 * error).all()
    # The bound is sharp enough to see the wrong law: unit normal noise, or the wrong temperature.
    assert (np.abs(np.eye(N) - covariance) > 5 * error).any()
    assert (np.abs(1.1 * covariance - covariance) > 5 * error).any()


@pytest.mark.parametrize("method", list(METHODS))
def test_energy_has_its_expectation(bench, method):
    """⟨E⟩ = N·T/2 − ½bᵀA⁻¹b."""
    b = field(1)
    mean, _ = closed_form(b.numpy())
    expected = N * T / 2 - 0.5 * b.numpy() @ mean
    _, outputs = draws(sampler(bench, method), 12, input=b)
    error = T * math.sqrt(N / 2) / math.sqrt(12 * 1000)
    assert abs(np.mean([float(out["energy"]) for out in outputs]) - expected) < 5 * error


@pytest.mark.parametrize("method", list(METHODS))
def test_energy_is_that_of_the_samples(bench, method):
    """With one draw a tick, the energy is the mean of ½xᵀAx − bᵀx over the chains shown."""
    b = field(2)
    node = sampler(bench, method, chains=3)
    node.run(2, input=b)
    out = node(input=b)
    x, precision = out["samples"].numpy(), LAM * np.eye(N) + graph()
    expected = 0.5 * np.einsum("ci,ij,cj->c", x, precision, x) - x @ b.numpy()
    assert float(out["energy"]) == pytest.approx(expected.mean())
    torch.testing.assert_close(out["x"], out["samples"][0])


def test_exact_mean_is_scipys_solution_as_the_temperature_falls(bench):
    b = field(3)
    out = sampler(bench, "exact", T=1e-12)(input=b)
    np.testing.assert_allclose(out["x"].numpy(), closed_form(b.numpy())[0], atol=1e-5)


def test_exact_deviation_scales_with_the_root_of_the_temperature(bench):
    b = field(4)
    mean = torch.from_numpy(closed_form(b.numpy())[0])
    cold, hot = (sampler(bench, "exact", T=t)(input=b)["samples"] - mean for t in (1.0, 9.0))
    torch.testing.assert_close(hot, 3.0 * cold)


def test_many_draws_a_tick(bench):
    """`samples` draws a tick lower the error of the energy and end in the last draw."""
    b, mean = field(5), None
    node = sampler(bench, "exact", samples=500, chains=4)
    mean, _ = closed_form(b.numpy())
    expected = N * T / 2 - 0.5 * b.numpy() @ mean
    energy = float(node(input=b)["energy"])
    assert abs(energy - expected) < 5 * T * math.sqrt(N / 2) / math.sqrt(2000)
    few, many = sampler(bench, "gibbs", sweeps=1, samples=6, chains=2), sampler(bench, "gibbs", sweeps=6, chains=2)
    torch.testing.assert_close(few(input=b)["samples"], many(input=b)["samples"])


@pytest.mark.parametrize("graph_name", ["none", "ring", "all_to_all", "small_world", "random"])
@pytest.mark.parametrize("method", ["gibbs", "exact"])
def test_every_graph_has_its_own_covariance(bench, graph_name, method):
    node = sampler(bench, method, graph=graph_name, sweeps=20)
    x, _ = draws(node, 8)
    covariance = T * scipy.linalg.inv(node.node.precision())
    spread = np.diag(covariance)
    error = np.sqrt((np.outer(spread, spread) + covariance**2) / len(x))
    assert (np.abs(np.cov(x.T) - covariance) < 5.5 * error).all()


def test_langevin_reports_its_acceptance(bench):
    def acceptance(step):
        return float(np.mean([float(out["acceptance"]) for out in sampler(bench, "langevin", step=step).run(4)]))

    small, large = acceptance(0.005), acceptance(0.3)
    assert 0.98 < small < 1.0
    assert 0.0 < large < 0.7
    assert sampler(bench, "exact")()["acceptance"] is ABSENT


def test_chains_go_on_from_tick_to_tick(bench):
    node = sampler(bench, "gibbs", sweeps=1, T=0.01, chains=2)
    first, second = node()["x"], node()["x"]
    assert not torch.equal(first, second)
    torch.testing.assert_close(node.state["x"][0], second)


def test_draws_follow_the_seed_alone(bench):
    one, same, other = (sampler(bench, "exact", seed=seed)()["samples"] for seed in (1, 1, 2))
    torch.testing.assert_close(one, same, atol=0, rtol=0)
    assert not torch.equal(one, other)


def test_a_batch_of_temperatures_is_its_runs(bench):
    b = field(6)
    for method in METHODS:
        swept = sampler(bench, method, batch=(2,), chains=3)
        swept.params = swept.params | {"T": torch.tensor([1.0, 4.0], dtype=torch.float64)}
        together = swept(input=b.expand(2, N))
        for k, temperature in enumerate((1.0, 4.0)):
            alone = sampler(bench, method, T=temperature, chains=3)(input=b)
            torch.testing.assert_close(together["samples"][k], alone["samples"])
            torch.testing.assert_close(together["energy"][k], alone["energy"])


def test_exact_refuses_what_it_cannot_factor():
    values = GaussianField.defaults() | {"N": EXACT_LIMIT + 4}
    with pytest.raises(ShapeProblem) as refused:
        GaussianField.validate(values)
    assert refused.value.port == "N"
    assert "gibbs" in refused.value.mend
    GaussianField.validate(values | {"method": "gibbs"})


def test_exact_gradient_with_respect_to_the_input(bench):
    """x = A⁻¹b + noise: the Jacobian is A⁻¹."""
    node = sampler(bench, "exact", chains=2)
    b = field(7).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda b: node(input=b)["x"], b)
    np.testing.assert_allclose(jacobian.numpy(), scipy.linalg.inv(LAM * np.eye(N) + graph()), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["gibbs", "langevin"])
def test_the_estimate_holds_the_draws_of_every_sweep(method):
    values = GaussianField.defaults() | {"N": 1024, "method": method, "samples": 10, "sweeps": 100}
    assert GaussianField.cost(values, {}).bytes > 4 * 10 * 100 * values["chains"] * 1024


def test_the_estimate_holds_the_matrix_while_it_is_factored():
    # The matrix and its factor, at least, in double precision.
    assert GaussianField.cost(GaussianField.defaults() | {"N": 2048}, {}).preparing > 2 * 8 * 2048**2
