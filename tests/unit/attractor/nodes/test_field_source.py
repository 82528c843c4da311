"""The splat: its integral, its shape, its sign, its memory."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from attractor.errors import NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.field_source import SourceSplat

POINTS = [[20.0, 30.5], [3.25, 1.0], [31.0, 47.0]]


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def source(bench, n=3, **params):
    return bench(SourceSplat, **{"size": [32, 48], "positions": POINTS[:n]} | params, shapes={"amplitude": (n,)})


@pytest.mark.parametrize("edge", ["open", "periodic"])
@pytest.mark.parametrize("width", [0.5, 3.16, 12.0])
def test_the_integral_is_the_sum_of_the_amplitudes(bench, width, edge):
    """Also for points in the corner, and for cells that are not of length 1."""
    node = source(bench, width=width, dx=0.5, edge=edge)
    out = node(amplitude=vector(2.0, -0.5, 1.0), strength=vector(1.0, 3.0, 0.25))["field"]
    assert float(out.sum()) * 0.25 == pytest.approx(2.0 - 1.5 + 0.25, abs=1e-12)


def test_the_shape_is_the_gaussian_of_the_formula(bench):
    """exp(−0.05·r²) at the width √10 ≈ 3.16 cells, the default, directly and not as a product of factors."""
    assert SourceSplat.defaults()["width"] == pytest.approx(10**0.5, abs=3e-3)
    out = source(bench, normalise=False, width=10**0.5)(amplitude=vector(2.0, -0.5, 1.0))["field"]
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    expected = sum(
        a * torch.exp(-0.05 * ((y - p[0]) ** 2 + (x - p[1]) ** 2))
        for a, p in zip((2.0, -0.5, 1.0), POINTS, strict=True)
    )
    torch.testing.assert_close(out, expected.double(), atol=1e-6, rtol=0)


def test_three_dimensions(bench):
    node = bench(
        SourceSplat, size=[16, 20, 18], normalise=False, width=2.0, positions=[[3.0, 4.5, 5.0]],
        shapes={"amplitude": (1,)},
    )  # fmt: skip
    out = node(amplitude=vector(2.0))["field"]
    axes = torch.meshgrid(*(torch.arange(float(n)) for n in (16, 20, 18)), indexing="ij")
    away = sum((x - x0) ** 2 for x, x0 in zip(axes, (3.0, 4.5, 5.0), strict=True))
    torch.testing.assert_close(out, 2 * torch.exp(-away / 8).double(), atol=1e-6, rtol=1e-6)


def test_a_torus_wraps_the_gaussian(bench):
    node = source(bench, n=1, edge="periodic", positions=[[0.0, -1.0]])
    out = node(amplitude=vector(1.0))["field"]
    torch.testing.assert_close(out[1], out[31])
    torch.testing.assert_close(out[:, 46], out[:, 0])


def test_opposite_units_cancel_and_unsigned_ones_drift(bench):
    """Pitfall: |a| makes every source push one way."""
    amplitude = vector(1.0, -1.0, 0.0)
    assert float(source(bench)(amplitude=amplitude)["field"].sum()) == pytest.approx(0.0, abs=1e-12)
    assert float(source(bench, signed=False)(amplitude=amplitude)["field"].sum()) == pytest.approx(2.0)


def test_connected_positions_replace_the_parameter_and_may_move(bench):
    node = source(bench, n=1)
    first = node(amplitude=vector(1.0), position=torch.tensor([[5.0, 6.0]], dtype=torch.float64))["field"]
    assert divmod(int(first.argmax()), 48) == (5, 6)
    second = node(amplitude=vector(1.0), position=torch.tensor([[7.0, 9.0]], dtype=torch.float64))["field"]
    assert divmod(int(second.argmax()), 48) == (7, 9)


def test_it_is_silent_until_an_amplitude_comes(bench):
    assert source(bench)()["field"] is ABSENT


@pytest.mark.parametrize("point", [[-0.1, 5.0], [5.0, 47.5], [float("nan"), 0.0]])
def test_refuses_points_outside_an_open_grid(bench, point):
    position = torch.tensor([[1.0, 1.0], point], dtype=torch.float64)
    with pytest.raises(NodeFailed, match=r"position 1 lies outside the grid \(0 to 31, 0 to 47\)"):
        source(bench, n=2)(amplitude=vector(1.0, 1.0), position=position)


def test_refuses_positions_that_do_not_fit():
    defaults = SourceSplat.defaults()
    with pytest.raises(ShapeProblem, match="no position"):
        SourceSplat.shapes(defaults, {"amplitude": (4,)})
    with pytest.raises(ShapeProblem, match=r"\[3, 2\] meet 4"):
        SourceSplat.shapes(defaults, {"amplitude": (4,), "position": (3, 2)})
    with pytest.raises(ShapeProblem, match="2 dimensions"):
        SourceSplat.shapes(defaults, {"amplitude": (4,), "position": (4, 3)})
    with pytest.raises(ShapeProblem, match="list of 2 or 3"):
        SourceSplat.validate({**defaults, "positions": [[1.0, 2.0], [1.0]]})


def test_a_batch_equals_its_points(bench):
    amplitude = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    many = bench(SourceSplat, size=[32, 48], positions=POINTS, shapes={"amplitude": (3,)}, batch=(4,))
    many.params = {**many.params, "width": torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)}
    out = many(amplitude=amplitude)["field"]
    for b in range(4):
        one = source(bench, width=float(b + 1))(amplitude=amplitude[b])["field"]
        torch.testing.assert_close(out[b], one, atol=1e-15, rtol=1e-13)


def test_memory_does_not_grow_by_a_field_a_unit(bench):
    """1024 units on 512²: N×H×W numbers would be a gigabyte; the largest tensor made is the field or a factor."""
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, kinds, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.untyped_storage().nbytes())
            return out

    n = 1024
    position = 511 * torch.rand(n, 2, generator=torch.Generator().manual_seed(0))
    node = bench(SourceSplat, size=[512, 512], shapes={"amplitude": (n,), "position": (n, 2)}, dtype=torch.float32)
    with Watch():
        node(amplitude=torch.ones(n), position=position)
    assert largest <= 4 * n * 512


def test_gradients_reach_amplitudes_positions_and_width(bench):
    node = source(bench)
    look = torch.randn(32, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss(amplitude, position, width):
        node.params = {**node.params, "width": width}
        return (node(amplitude=amplitude, position=position)["field"] * look).sum()

    inputs = [vector(1.0, 2.0, -1.0), torch.tensor(POINTS, dtype=torch.float64) * 0.9, torch.tensor(2.0).double()]
    assert torch.autograd.gradcheck(loss, [one.requires_grad_() for one in inputs], fast_mode=True)
