"""The array: coupling on every graph, its inputs, its starts, its guard."""

import math

import numpy as np
import pytest
import torch

from attractor.errors import Diverged, NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.osc_array import CoupledOscillatorArray as Array
from attractor.oscillators import CELLS
from attractor.topology import TOPOLOGIES


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def states(outputs):
    return torch.stack([out["state"] for out in outputs])


def test_declares_the_parameters_of_every_cell_live():
    for cell in CELLS.values():
        for parameter in cell.params:
            assert Array.parameter(parameter.name) is parameter
            assert parameter.live
    names = [parameter.name for parameter in Array.params]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("couple_var", ["x", "y", "xyz"])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_coupling_is_diffusive_with_row_normalised_weights(bench, topology, couple_var):
    """The increment of one very short tick is dt·(F + ε(A − 1)s) with A from the graph."""
    n, eps, dt = 36, 0.7, 1e-7
    start = noise(n, 3)
    kwargs = {"N": n, "topology": topology, "couple_var": couple_var, "init": "zero", "dt": 0.01, "seed": 3}
    coupled = bench(Array, coupling=eps, **kwargs)
    alone = bench(Array, coupling=0.0, **kwargs)
    for array in (coupled, alone):
        array.ctx.dt = dt
    difference = (coupled(initial=start)["state"] - alone(initial=start)["state"]) / dt
    weights = torch.from_numpy(coupled.node.topology.row_normalised())
    expected = eps * (weights @ start - weights.sum(1, keepdim=True) * start)
    mask = {"x": [1, 0, 0], "y": [0, 1, 0], "xyz": [1, 1, 1]}[couple_var]
    torch.testing.assert_close(difference, expected * torch.tensor(mask), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_every_cell_runs_and_shows_its_components(bench, cell, method):
    array = bench(Array, cell=cell, N=9, topology="grid2d", method=method, speed=10.0)
    out = array.run(20)[-1]
    depth = len(CELLS[cell].components)
    assert out["state"].shape == (9, depth)
    torch.testing.assert_close(out["x"], out["state"][:, 0])
    torch.testing.assert_close(out["y"], out["state"][:, 1])
    if depth == 3:
        torch.testing.assert_close(out["z"], out["state"][:, 2])
    else:
        assert out["z"] is ABSENT
    assert 0.0 <= float(out["sync"]) <= 1.0


def test_random_starts_of_chua_go_to_both_lobes_of_the_double_scroll(bench):
    array = bench(Array, N=1024, topology="none", speed=100.0, dtype=torch.float32)
    out = array.run(80)[-1]
    assert float(out["x"].abs().max()) < 2.45
    assert 0.3 < float((out["x"] > 0).float().mean()) < 0.7
    assert float(out["x"].std()) > 1.0


def test_a_tick_lasts_speed_times_its_seconds(bench):
    """Whatever the step: 1 tick at speed 100 is 1 time unit, and 10 at speed 10 are the same."""
    start = noise(4, 3, seed=2)
    fast = bench(Array, N=4, topology="none", speed=100.0, dt=0.001)
    slow = bench(Array, N=4, topology="none", speed=10.0, dt=0.001)
    one = fast(initial=start)["state"]
    slow(initial=start)
    torch.testing.assert_close(slow.run(9)[-1]["state"], one, atol=1e-9, rtol=1e-9)
    # 0.03 units in steps not longer than 0.02: two equal steps, not one of 0.02 and a rest.
    uneven = bench(Array, N=4, topology="none", speed=3.0, dt=0.02)
    even = bench(Array, N=4, topology="none", speed=1.5, dt=0.015)
    even(initial=start)
    torch.testing.assert_close(uneven(initial=start)["state"], even()["state"], atol=1e-12, rtol=1e-12)


def test_coupling_synchronises(bench):
    """sync responds to ε: independent cells have no common phase, strongly coupled ones have one."""
    kwargs = {"cell": "rossler", "N": 64, "topology": "all_to_all", "couple_var": "xyz", "speed": 100.0}
    free = np.mean([float(out["sync"]) for out in bench(Array, coupling=0.0, dt=0.02, **kwargs).run(60)[30:]])
    weak = np.mean([float(out["sync"]) for out in bench(Array, coupling=0.02, dt=0.02, **kwargs).run(60)[30:]])
    strong = np.mean([float(out["sync"]) for out in bench(Array, coupling=1.0, dt=0.02, **kwargs).run(60)[30:]])
    assert strong > 0.999
    assert free < 0.6
    assert free < weak


def test_strong_coupling_makes_chua_cells_identical(bench):
    kwargs = {"N": 16, "topology": "all_to_all", "couple_var": "xyz", "speed": 100.0, "dt": 0.01}
    together = bench(Array, coupling=5.0, **kwargs).run(30)[-1]
    apart = bench(Array, coupling=0.0, **kwargs).run(30)[-1]
    assert float(together["x"].std()) < 1e-6
    assert float(together["sync"]) == pytest.approx(1.0)
    assert float(apart["x"].std()) > 0.5


@pytest.mark.parametrize("name", ["force", "modulation", "coupling_mod"])
def test_every_input_changes_the_orbit(bench, name):
    value = torch.tensor(0.5, dtype=torch.float64) if name == "coupling_mod" else noise(16, seed=4)
    plain = bench(Array, N=16, speed=50.0).run(5)
    driven = bench(Array, N=16, speed=50.0).run(5, **{name: value})
    assert float((states(plain) - states(driven)).abs().max()) > 1e-3


def test_modulation_is_force_scaled_by_its_depth(bench):
    current = noise(16, seed=5)
    modulated = bench(Array, N=16, mod_depth=0.25).run(5, modulation=current)
    forced = bench(Array, N=16).run(5, force=0.25 * current)
    torch.testing.assert_close(states(modulated), states(forced))
    both = bench(Array, N=16, mod_depth=0.25).run(5, force=current, modulation=current)
    torch.testing.assert_close(states(both), states(bench(Array, N=16).run(5, force=1.25 * current)))
    deaf = bench(Array, N=16, mod_depth=0.0).run(5, modulation=current)
    torch.testing.assert_close(states(deaf), states(bench(Array, N=16).run(5)))


def test_coupling_mod_scales_the_coupling(bench):
    stronger = bench(Array, N=16, coupling=0.2).run(5, coupling_mod=torch.tensor(0.5, dtype=torch.float64))
    torch.testing.assert_close(states(stronger), states(bench(Array, N=16, coupling=0.3).run(5)))


def test_initial_resets_the_state_only_in_its_tick(bench):
    array = bench(Array, N=8, topology="ring", speed=20.0)
    array.run(7)
    start = noise(8, 3, seed=6)
    first = array(initial=start)["state"]
    fresh = bench(Array, N=8, topology="ring", speed=20.0)
    torch.testing.assert_close(fresh(initial=start)["state"], first)
    torch.testing.assert_close(array()["state"], fresh()["state"])


def test_step_changes_neither_state_nor_inputs(bench):
    array = bench(Array, N=8)
    before, force = array.state["s"].clone(), noise(8)
    kept = force.clone()
    given = array.state["s"]
    array(force=force)
    torch.testing.assert_close(given, before, atol=0, rtol=0)
    torch.testing.assert_close(force, kept, atol=0, rtol=0)


def test_a_linearised_array_is_linear(bench):
    """m0 = m1: no drive through force or modulation makes it anything but linear (the negative control)."""
    kwargs = {
        "N": 16,
        "m0": -0.714,
        "m1": -0.714,
        "topology": "grid2d",
        "init": "zero",
        "speed": 20.0,
        "couple_var": "xyz",
    }

    def response(a, b):
        return states(bench(Array, **kwargs).run(10, force=a * noise(16, seed=1), modulation=b * noise(16, seed=2)))

    one, other = response(1.0, 0.0), response(0.0, 1.0)
    torch.testing.assert_close(response(2.0, -3.0), 2.0 * one - 3.0 * other, atol=1e-12, rtol=1e-9)
    chaotic = kwargs | {"m0": -1.143}
    once = states(bench(Array, **chaotic).run(60, force=3.0 * noise(16, seed=1)))
    twice = states(bench(Array, **chaotic).run(60, force=6.0 * noise(16, seed=1)))
    assert float((twice - 2.0 * once).abs().max()) > 0.1


def test_permuting_the_cells_permutes_the_orbit(bench):
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    start, force = noise(16, 3), noise(16, seed=1)
    one, other = (bench(Array, N=16, topology="all_to_all", coupling=0.5, speed=20.0) for _ in range(2))
    one(initial=start, force=force)
    other(initial=start[order], force=force[order])
    a, b = one.run(5, force=force)[-1], other.run(5, force=force[order])[-1]
    torch.testing.assert_close(a["state"][order], b["state"])
    torch.testing.assert_close(a["sync"], b["sync"])


def test_mean_field_coupling_in_closed_form(bench):
    """All-to-all coupling: ε(N/(N−1))(x̄ − x_i)."""
    n, eps, dt = 12, 0.9, 1e-7
    start = noise(n, 3)
    kwargs = {"N": n, "topology": "all_to_all"}
    a, b = bench(Array, coupling=eps, **kwargs), bench(Array, coupling=0.0, **kwargs)
    a.ctx.dt = b.ctx.dt = dt
    gained = (a(initial=start)["x"] - b(initial=start)["x"]) / dt
    x = start[:, 0]
    torch.testing.assert_close(gained, eps * n / (n - 1) * (x.mean() - x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("couple_var", ["x", "xyz"])
@pytest.mark.parametrize("topology", ["grid2d", "all_to_all", "random"])
def test_gradients_are_those_of_finite_differences(bench, topology, couple_var):
    array = bench(Array, N=9, topology=topology, couple_var=couple_var, speed=4.0)

    def loss(coupling, m1, force, start):
        given = dict.fromkeys(("coupling_mod", "modulation"), ABSENT) | {"initial": start, "force": force}
        params = array.params | {"coupling": coupling, "m1": m1}
        array.ctx.tick = 1
        state, out = array.node.step(array.state, given, params, array.ctx)
        return out["state"], out["sync"], state["s"]

    inputs = (torch.tensor(0.4).double(), torch.tensor(-0.7).double(), noise(9, seed=1), noise(9, 3, seed=2))
    inputs = tuple(value.requires_grad_() for value in inputs)
    assert torch.autograd.gradcheck(loss, inputs)


def test_gradients_are_cut_after_bptt_ticks(bench):
    array = bench(Array, N=5, bptt=3)
    force = noise(5).requires_grad_()
    array.tick = 1
    reach = []
    for tick in range(1, 5):
        out = array(force=force if tick == 1 else force.detach())
        reach.append(out["state"].requires_grad)
    assert reach == [True, True, False, False]


def test_recording_and_not_recording_give_the_same_orbit(bench):
    plain = states(bench(Array, N=16, topology="grid2d", speed=10.0).run(5, force=noise(16)))
    recorded = states(bench(Array, N=16, topology="grid2d", speed=10.0).run(5, force=noise(16).requires_grad_()))
    assert recorded.requires_grad
    torch.testing.assert_close(plain, recorded.detach(), atol=1e-12, rtol=1e-12)


def test_a_batch_is_its_runs(bench):
    """A swept coupling, speed and cell parameter next to each other equal the separate runs."""
    couplings, alphas, speeds = [0.1, 0.9], [15.6, 14.0], [10.0, 5.0]
    swept = bench(Array, N=9, topology="random", dt=0.01, batch=(2,))
    lists = {"coupling": couplings, "alpha": alphas, "speed": speeds}
    swept.params = swept.params | {name: torch.tensor(v, dtype=torch.float64) for name, v in lists.items()}
    force = noise(2, 9)
    together = states(swept.run(5, force=force))
    assert together.shape == (5, 2, 9, 3)
    for k in range(2):
        own = {name: v[k] for name, v in lists.items()}
        alone = bench(Array, N=9, topology="random", dt=0.01, **own)
        torch.testing.assert_close(states(alone.run(5, force=force[k])), together[:, k], atol=1e-9, rtol=1e-9)


def test_noise_spreads_as_the_square_root_of_time(bench):
    """From rest, after a short time t, every component has the variance σ²t, and the draws follow the seed."""
    sigma, n = 0.5, 4096
    kwargs = {"N": n, "topology": "none", "init": "zero", "noise": sigma, "speed": 0.1}
    out = bench(Array, **kwargs)()["state"]
    expected = sigma**2 * 1e-3
    for component in out.unbind(-1):
        assert float(component.var()) == pytest.approx(expected, rel=5 * math.sqrt(2 / n) + 0.03)
        assert abs(float(component.mean())) < 5 * math.sqrt(expected / n)
    torch.testing.assert_close(bench(Array, **kwargs)()["state"], out, atol=0, rtol=0)
    assert float((bench(Array, seed=2, **kwargs)()["state"] - out).abs().max()) > 1e-3


def test_starts(bench):
    def start(init, **kwargs):
        return bench(Array, N=8, init=init, init_scale=0.5, **kwargs).state["s"]

    assert not start("zero").any()
    ring = start("phase_ring")
    torch.testing.assert_close(ring[:2].norm(dim=0), torch.full((8,), 0.5).double())
    torch.testing.assert_close(ring[1, 2], torch.tensor(0.5).double())
    torch.testing.assert_close(start("lattice")[0], torch.linspace(-0.5, 0.5, 8).double())
    random = bench(Array, N=4096, init="random", init_scale=0.5).state["s"]
    assert float(random.std()) == pytest.approx(0.5, rel=0.03)
    assert start("random", batch=(2, 3)).shape == (2, 3, 3, 8)


def test_divergence_names_node_tick_and_state(bench):
    array = bench(Array, N=5, speed=10.0)
    array.run(3)
    with pytest.raises(Diverged) as caught:
        array.run(200, force=torch.tensor([0.0, 0.0, 500.0, 0.0, 0.0]).double())
    assert caught.value.node == "node"
    assert caught.value.tick == array.tick
    assert caught.value.state.shape == (5, 3)
    assert "cell 2" in str(caught.value)
    assert not bool((caught.value.state.abs() <= 1e3).all())


def test_a_lost_state_trips_the_guard(bench):
    start = torch.zeros(5, 3).double()
    start[1, 0] = math.nan
    with pytest.raises(Diverged, match="cell"):
        bench(Array, N=5)(initial=start)


def test_a_coarse_step_is_refused_before_the_first_tick(bench):
    with pytest.raises(NodeFailed, match="too coarse") as refused:
        bench(Array, cell="lorenz", dt=0.02)
    assert "dt" in refused.value.mend
    bench(Array, cell="lorenz", dt=0.02, method="dopri5")


def test_shapes_follow_the_cell(bench):
    values = Array.defaults() | {"N": 5, "cell": "vanderpol"}
    assert Array.shapes(values, {"initial": (5, 2)})["state"] == (5, 2)
    with pytest.raises(ShapeProblem) as refused:
        Array.shapes(values, {"initial": (5, 3)})
    assert refused.value.port == "initial"
    with pytest.raises(ShapeProblem):
        Array.shapes(values, {"force": (4,)})
    with pytest.raises(ShapeProblem) as refused:
        Array.validate(values | {"topology": "grid2d"})
    assert refused.value.port == "N"


def test_cost_grows_with_the_work(bench):
    small = Array.cost(Array.defaults(), {})
    large = Array.cost(Array.defaults() | {"N": 1024, "speed": 20.0}, {})
    assert large.flops > 100 * small.flops
    assert large.bytes > 10 * small.bytes


def test_the_estimate_holds_the_noise_of_every_step_of_a_tick():
    """10^4 time units a second in steps of 10^-4: a million draws for every component of a cell, in one tick."""
    values = Array.defaults() | {"N": 4096, "speed": 1e4, "dt": 1e-4, "noise": 0.1}
    assert Array.cost(values, {}).bytes > 4 * 10**6 * 3 * 4096
