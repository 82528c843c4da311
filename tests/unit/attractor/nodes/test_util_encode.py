"""The encoder against scikit-learn and closed forms."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from attractor.errors import NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.util_encode import Encode


def encoder(bench, mode, *shapes, **kwargs):
    return bench(Encode, mode=mode, shapes={f"value[{k}]": shape for k, shape in enumerate(shapes)}, **kwargs)


def encoded(bench, mode, v, **kwargs):
    v = torch.as_tensor(v, dtype=torch.float64)
    return encoder(bench, mode, tuple(v.shape), **kwargs)(value=(v,))["value"].numpy()


V = np.array([3.0, -1.0, 4.0, 1.5, -9.0])


@pytest.mark.parametrize(("mode", "scaler"), [("standard", StandardScaler()), ("minmax", MinMaxScaler())])
@pytest.mark.parametrize("v", [V, np.full(4, 2.5)])
def test_scaling_is_scikit_learns(bench, mode, scaler, v):
    np.testing.assert_allclose(encoded(bench, mode, v), scaler.fit_transform(v[:, None])[:, 0], atol=1e-12)


def test_one_hot_is_scikit_learns(bench):
    expected = OneHotEncoder(categories=[range(4)] * 3, sparse_output=False).fit_transform([[2, 0, 3]])
    np.testing.assert_array_equal(encoded(bench, "one_hot", [2, 0, 3], classes=4), expected[0])
    np.testing.assert_array_equal(encoded(bench, "one_hot", 1, classes=3), [0, 1, 0])


@pytest.mark.parametrize("v", [[4.0], [-1.0], [0.5]])
def test_one_hot_refuses_what_is_no_class(bench, v):
    with pytest.raises(NodeFailed, match="class"):
        encoded(bench, "one_hot", v, classes=4)


def test_amplitudes_are_probabilities_when_squared(bench):
    amplitudes = encoded(bench, "amplitude", V)
    assert (amplitudes**2).sum() == pytest.approx(1.0)
    np.testing.assert_allclose(amplitudes, V / np.linalg.norm(V))
    with pytest.raises(NodeFailed, match="zeros"):
        encoded(bench, "amplitude", np.zeros(3))


def test_range_map(bench):
    kwargs = {"in_low": -1, "in_high": 3, "out_low": 10, "out_high": 2}
    np.testing.assert_allclose(encoded(bench, "range_map", [-1.0, 1.0, 3.0, 5.0], **kwargs), [10, 6, 2, -2])
    np.testing.assert_allclose(encoded(bench, "range_map", [-9.0, 5.0], clip=True, **kwargs), [10, 2])
    np.testing.assert_allclose(encoded(bench, "range_map", 1.0, **kwargs), [6])


def test_projection_is_a_sum_of_signed_fixed_weights(bench):
    """±g·w_A ±g·w_B: of four inputs, opposite ones cancel, and the weights are standard normal and the run's own."""
    n, g = 4096, 0.3
    node = encoder(bench, "project", (2,), N=n, gain=g)

    def current(*bits):
        return node(value=(torch.tensor(bits, dtype=torch.float64),))["value"]

    torch.testing.assert_close(current(0, 1), -current(1, 0))
    torch.testing.assert_close(current(0, 0), -current(1, 1))
    a, b = (current(1, 1) + current(1, 0)) / (2 * g), (current(1, 1) - current(1, 0)) / (2 * g)
    for w in (a, b):
        assert float(w.std()) == pytest.approx(1.0, abs=5 / np.sqrt(2 * n))
        assert abs(float(w.mean())) < 5 / np.sqrt(n)
    assert abs(float((a * b).mean())) < 5 / np.sqrt(n)
    node.params = node.params | {"gain": 2 * g}
    torch.testing.assert_close(current(1, 1), 2 * g * (a + b))
    fresh = encoder(bench, "project", (2,), N=n, gain=g, seed=2)
    assert not torch.equal(fresh(value=(torch.ones(2).double(),))["value"], g * (a + b))


def test_inputs_are_joined_in_the_order_of_the_edges(bench):
    node = encoder(bench, "range_map", (2,), (), (1,))
    parts = (torch.tensor([1.0, 2.0]).double(), torch.tensor(3.0).double(), torch.tensor([4.0]).double())
    assert node(value=parts)["value"].tolist() == [1.0, 2.0, 3.0, 4.0]
    batched = encoder(bench, "range_map", (2,), (), batch=(3,))
    out = batched(value=(torch.zeros(3, 2).double(), torch.arange(3.0).double()))["value"]
    assert out.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2]]


@pytest.mark.parametrize("mode", ["range_map", "project", "window", "standard"])
def test_silence_is_passed_on(bench, mode):
    node = encoder(bench, mode, (2,), (), window=1)
    assert node(value=(torch.zeros(2).double(), ABSENT))["value"] is ABSENT


def test_window_is_the_last_ticks_and_speaks_once_it_is_full(bench):
    node = encoder(bench, "window", (2,), (), window=4, hop=3)
    out = []
    for tick in range(12):
        t = float(tick)
        out.append(node(value=(torch.tensor([t, -t]).double(), torch.tensor(10 * t).double()))["value"])
    spoke = [tick for tick, value in enumerate(out) if value is not ABSENT]
    assert spoke == [3, 6, 9]
    assert out[6].tolist() == [[3, 4, 5, 6], [-3, -4, -5, -6], [30, 40, 50, 60]]


def test_window_waits_for_its_inputs(bench):
    node = encoder(bench, "window", (), window=2)
    one = torch.tensor(1.0).double()
    assert [node(value=(v,))["value"] is ABSENT for v in (ABSENT, one, ABSENT, one)] == [True, True, True, False]


def test_shapes_and_kinds():
    def shape(mode, inputs, **kwargs):
        return Encode.shapes(Encode.defaults() | {"mode": mode} | kwargs, inputs)["value"]

    two = {"value[0]": (2,), "value[1]": ()}
    assert shape("window", two, window=7) == (3, 7)
    assert shape("project", two, N=9) == (9,)
    assert shape("one_hot", two, classes=5) == (15,)
    assert shape("minmax", two) == (3,)
    assert Encode.output_kinds(Encode.defaults() | {"mode": "window"}) == {"value": "matrix"}
    assert Encode.output_kinds(Encode.defaults()) == {"value": "vector"}
    with pytest.raises(ShapeProblem) as refused:
        shape("range_map", {"value[0]": (2, 3)})
    assert refused.value.port == "value[0]"
    with pytest.raises(ShapeProblem):
        shape("standard", {"value[0]": ()})
    with pytest.raises(ShapeProblem):
        Encode.validate(Encode.defaults() | {"mode": "range_map", "in_high": 0.0})


def test_text_is_refused(bench):
    with pytest.raises(NodeFailed, match="str"):
        encoder(bench, "range_map", ())(value=("abc",))
