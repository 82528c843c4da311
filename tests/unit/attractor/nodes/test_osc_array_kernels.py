"""The array on its kernel: the same orbits as without, and the same bits however the ticks and points are grouped."""

import pytest
import torch

from attractor.errors import Diverged
from attractor.node import ABSENT, Block
from attractor.nodes.osc_array import CoupledOscillatorArray as Array


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def kernel_bench(bench):
    def make(**kwargs):
        array = bench(Array, **kwargs)
        array.ctx.kernels = True
        return array

    return make


def block(array, ticks, params=None, **inputs):
    """The outputs of a block, each input a list with a value per tick."""
    given = {port.name: Block.constant(ABSENT, ticks) for port in Array.inputs}
    given |= {name: Block(list(values)) for name, values in inputs.items()}
    array.ctx.tick = array.tick
    with torch.no_grad():
        array.state, out = array.node.step_block(array.state, given, params or [array.params] * ticks, array.ctx)
    array.tick += ticks
    return out


def one_by_one(array, ticks, params=None, **inputs):
    """The same, tick by tick."""
    outputs = []
    for k in range(ticks):
        if params:
            array.params = params[k]
        with torch.no_grad():
            outputs.append(array(**{name: values[k] for name, values in inputs.items()}))
    return outputs


def assert_same(blocks, ticks, exact=True):
    for name in ("x", "y", "z", "state", "sync"):
        expected = [tick[name] for tick in ticks]
        if expected[0] is ABSENT:
            assert all(item is ABSENT for item in blocks[name].items)
        elif exact:
            assert torch.equal(blocks[name].stacked(), torch.stack(expected)), name
        else:
            torch.testing.assert_close(blocks[name].stacked(), torch.stack(expected), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    ("cell", "topology", "couple_var"),
    [("chua", "ring", "x"), ("vanderpol", "grid2d", "y"), ("rossler", "all_to_all", "xyz"), ("chua", "none", "x")],
)
def test_equals_the_eager_array(bench, kernel_bench, cell, topology, couple_var):
    kwargs = {"cell": cell, "N": 16, "topology": topology, "couple_var": couple_var, "speed": 3.0, "init_scale": 1.0}
    inputs = {
        "force": [ABSENT, *noise(4, 16)],
        "modulation": list(noise(5, 16, seed=1)),
        "coupling_mod": [ABSENT, ABSENT, *noise(3, seed=2)],
    }
    fast, slow = kernel_bench(**kwargs), bench(Array, **kwargs)
    assert_same(block(fast, 5, **inputs), one_by_one(slow, 5, **inputs), exact=False)


def test_a_block_is_its_ticks(kernel_bench):
    """With an input that begins to speak, a reset in the middle and a parameter that is modulated: the same bits."""
    kwargs = {"N": 50, "topology": "ring", "dtype": torch.float32, "speed": 2.0}
    whole, single = kernel_bench(**kwargs), kernel_bench(**kwargs)
    params = [whole.params | {"alpha": 15.0 + 0.1 * k, "coupling": 0.1 * k, "speed": 2.0 + k % 2} for k in range(9)]
    inputs = {
        "force": [ABSENT, ABSENT, *noise(7, 50).float()],
        "initial": [ABSENT] * 4 + [noise(50, 3).float()] + [ABSENT] * 4,
        "coupling_mod": [ABSENT, *noise(8, seed=3).float()],
    }
    ticks = one_by_one(single, 9, params, **inputs)
    assert_same(block(whole, 9, params, **inputs), ticks)
    assert torch.equal(whole.state["s"], single.state["s"])
    other = kernel_bench(**kwargs)
    parts = [
        block(other, high - low, params[low:high], **{name: values[low:high] for name, values in inputs.items()})
        for low, high in ((0, 2), (2, 7), (7, 9))
    ]
    joined = {name: Block([item for part in parts for item in part[name].items]) for name in parts[0]}
    assert_same(joined, ticks)


@pytest.mark.parametrize("topology", ["ring", "none"])
def test_a_batch_is_its_runs_to_the_bit(kernel_bench, topology):
    """Couplings, parameters and speeds (so numbers of steps) that differ from point to point."""
    lists = {"coupling": [0.1, 0.9], "alpha": [15.6, 14.0], "speed": [10.0, 3.0], "mod_depth": [0.1, 0.7]}
    kwargs = {"N": 20, "topology": topology, "dtype": torch.float32, "init_scale": 1.0}
    force, current, mod = noise(4, 2, 20).float(), noise(4, 2, 20, seed=1).float(), noise(4, 2, seed=2).float()
    swept = kernel_bench(batch=(2,), **kwargs)
    swept.params = swept.params | {name: torch.tensor(v, dtype=torch.float64) for name, v in lists.items()}
    together = block(swept, 4, force=force, modulation=current, coupling_mod=mod)
    assert together["state"].stacked().shape == (4, 2, 20, 3)
    for b in range(2):
        alone = kernel_bench(**kwargs, **{name: v[b] for name, v in lists.items()})
        out = block(alone, 4, force=force[:, b], modulation=current[:, b], coupling_mod=mod[:, b])
        for name, values in out.items():
            assert torch.equal(together[name].stacked()[:, b], values.stacked()), name


def test_noise_draws_the_same_numbers(bench, kernel_bench):
    kwargs = {"N": 7, "topology": "ring", "noise": 0.4, "speed": 3.0}
    assert_same(block(kernel_bench(**kwargs), 4), one_by_one(bench(Array, **kwargs), 4), exact=False)


def test_divergence_in_a_block_names_its_tick(kernel_bench):
    kick = torch.tensor([0.0, 0.0, 1e6, 0.0, 0.0]).double()
    force = [torch.zeros(5).double()] * 3 + [kick] * 5
    single = kernel_bench(N=5, topology="ring", speed=10.0)
    with pytest.raises(Diverged) as expected:
        one_by_one(single, 8, force=force)
    with pytest.raises(Diverged) as caught:
        block(kernel_bench(N=5, topology="ring", speed=10.0), 8, force=force)
    assert caught.value.tick == expected.value.tick >= 3
    assert "cell 2" in str(caught.value)
    assert torch.equal(caught.value.state, expected.value.state)


def test_gradients_pass_through_the_kernel(bench, kernel_bench):
    """The same as through the eager array."""

    def gradients(array):
        force = noise(9, seed=1).requires_grad_()
        coupling = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
        array.params = array.params | {"coupling": coupling}
        array.tick = 1
        array(force=force)
        array()["state"].square().sum().backward()
        return force.grad, coupling.grad

    kwargs = {"N": 9, "topology": "ring", "speed": 2.0}
    for own, expected in zip(gradients(kernel_bench(**kwargs)), gradients(bench(Array, **kwargs)), strict=True):
        torch.testing.assert_close(own, expected, atol=1e-10, rtol=1e-8)
        assert expected.abs().max() > 0
