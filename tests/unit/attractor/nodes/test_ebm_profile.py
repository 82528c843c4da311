"""The profiler on series of known autocorrelation."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.ebm_profile import SamplingProfiler


def autoregressive(seed, n, phi, chains=4):
    noise = np.random.default_rng(seed).standard_normal((chains, n + 200))
    return math.sqrt(1 - phi * phi) * lfilter([1.0], [1.0, -phi], noise, axis=-1)[:, 200:].T


def feed(node, x, **inputs):
    return [node(samples=torch.from_numpy(np.ascontiguousarray(row)), **inputs) for row in x]


def spoken(outputs):
    return [tick for tick, out in enumerate(outputs) if out["samples_per_s"] is not ABSENT]


def test_rates_and_time_of_the_slowest_quantity(bench):
    fast, slow = autoregressive(1, 3000, 0.2), autoregressive(2, 3000, 0.8)
    node = bench(SamplingProfiler, shapes={"samples": (4, 2)}, window=3000, seconds=0.02)
    out = feed(node, np.stack([fast, slow], axis=-1))[-1]
    exact = 1.8 / 0.2
    assert float(out["tau_int"]) == pytest.approx(exact, rel=0.2)
    assert float(out["samples_per_s"]) == pytest.approx(4 / 0.02)
    assert float(out["ess_per_s"]) == pytest.approx(4 / 0.02 / float(out["tau_int"]))
    assert float(out["acceptance"]) == 1.0


def test_time_of_the_mean(bench):
    """The mean of two opposite series is silent noise, whatever each of them does."""
    slow, noise = autoregressive(3, 2000, 0.95), np.random.default_rng(4).standard_normal((2000, 4, 2))
    x = np.stack([slow, -slow], axis=-1) + noise
    node = bench(SamplingProfiler, shapes={"samples": (4, 2)}, window=2000, quantity="mean")
    assert float(feed(node, x)[-1]["tau_int"]) == pytest.approx(1.0, abs=0.25)


def test_evaluates_every_hop_and_not_across_the_seam_of_its_ring(bench):
    x = autoregressive(5, 260, 0.9)
    outputs = feed(bench(SamplingProfiler, shapes={"samples": (4, 1)}, window=200, hop=30), x[..., None])
    assert spoken(outputs) == [199, 229, 259]
    fresh = feed(bench(SamplingProfiler, shapes={"samples": (4, 1)}, window=200), x[60:, :, None])[-1]
    assert torch.equal(outputs[-1]["tau_int"], fresh["tau_int"])


def test_scalar_and_vector_are_one_chain(bench):
    x = autoregressive(6, 500, 0.5, chains=1)
    as_scalar = feed(bench(SamplingProfiler, shapes={"samples": ()}, window=500), x[:, 0])[-1]
    as_vector = feed(bench(SamplingProfiler, shapes={"samples": (1,)}, window=500), x)[-1]
    assert torch.equal(as_scalar["tau_int"], as_vector["tau_int"])
    assert float(as_scalar["samples_per_s"]) == pytest.approx(100.0)


def test_frozen_and_unsettled_samples_have_no_time(bench):
    frozen = bench(SamplingProfiler, shapes={"samples": (4, 2)}, window=100).run(100, samples=torch.ones(4, 2))[-1]
    assert frozen["tau_int"] is ABSENT
    assert frozen["ess_per_s"] is ABSENT
    ramp = feed(bench(SamplingProfiler, shapes={"samples": (1,)}, window=100), np.linspace(0, 1, 100)[:, None])[-1]
    assert ramp["tau_int"] is ABSENT
    # One frozen spin beside moving ones is nothing to wait for.
    x = np.stack([autoregressive(7, 400, 0.3), np.ones((400, 4))], axis=-1)
    assert feed(bench(SamplingProfiler, shapes={"samples": (4, 2)}, window=400), x)[-1]["tau_int"] is not ABSENT


def test_acceptance_of_a_metropolis_kernel(bench):
    node = bench(
        SamplingProfiler, shapes={"samples": (1,), "acceptance": ()}, window=100, hop=50, kernel="metropolis"
    )  # fmt: skip
    x = autoregressive(8, 150, 0.0, chains=1)
    outputs = [
        node(samples=torch.from_numpy(row), acceptance=torch.tensor(0.4 if k < 100 else 0.8, dtype=torch.float64))
        for k, row in enumerate(x)
    ]
    assert float(outputs[99]["acceptance"]) == pytest.approx(0.4)
    assert float(outputs[149]["acceptance"]) == pytest.approx(0.6)
    with pytest.raises(ShapeProblem, match="Metropolis"):
        SamplingProfiler.shapes(SamplingProfiler.defaults() | {"kernel": "metropolis"}, {"samples": (4, 2)})


def test_a_batch_is_its_runs(bench):
    x = np.stack([autoregressive(9, 300, 0.1), autoregressive(10, 300, 0.8)], axis=1)[..., None]
    together = feed(bench(SamplingProfiler, shapes={"samples": (4, 1)}, window=300, batch=(2,)), x)[-1]
    for point in range(2):
        alone = feed(bench(SamplingProfiler, shapes={"samples": (4, 1)}, window=300), x[:, point])[-1]
        for name, value in alone.items():
            assert torch.equal(together[name][point], value)


def test_ports_repeat_themselves_and_the_clock_goes_to_the_log(bench, monkeypatch):
    clock = iter(range(0, 10_000, 2))
    monkeypatch.setattr("attractor.nodes.ebm_profile.time.perf_counter", lambda: float(next(clock)))
    x = autoregressive(11, 400, 0.3)
    node = bench(SamplingProfiler, shapes={"samples": (4, 1)}, window=200, hop=100)
    first = feed(node, x[..., None])
    again = feed(bench(SamplingProfiler, shapes={"samples": (4, 1)}, window=200, hop=100), x[..., None])
    assert all(a[n] is b[n] or torch.equal(a[n], b[n]) for a, b in zip(first, again, strict=True) for n in a)
    # 100 draws of four chains in two seconds.
    assert [event.data["samples_per_s"] for event in node.ctx.events] == [200.0, 200.0]
