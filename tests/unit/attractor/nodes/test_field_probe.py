"""The probe against scipy's interpolation."""

import pytest
import torch
from scipy.interpolate import interpn

from attractor.errors import NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.field_probe import FieldProbe

SIZES = [(17, 23), (16, 18, 20)]


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def somewhere(size, n=50):
    unit = torch.rand(n, len(size), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    corners = torch.tensor([[0.0] * len(size), [k - 1.0 for k in size]], dtype=torch.float64)
    return torch.cat([unit * corners[1], corners])


def probe(bench, size, n, **params):
    shapes = {"field": size, "position": (n, len(size))}
    return bench(FieldProbe, shapes=shapes, **params)


@pytest.mark.parametrize(("interp", "method"), [("bilinear", "linear"), ("nearest", "nearest")])
@pytest.mark.parametrize("size", SIZES)
def test_value_is_scipys(bench, size, interp, method):
    field, position = noise(*size), somewhere(size)
    out = probe(bench, size, len(position), interp=interp)(field=field, position=position)["value"]
    expected = interpn([range(n) for n in size], field.numpy(), position.numpy(), method=method)
    torch.testing.assert_close(out, torch.from_numpy(expected), atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("size", SIZES)
def test_a_torus_is_continuous_across_its_seam(bench, size):
    field = noise(*size)
    position = somewhere(size)
    node = probe(bench, size, len(position), edge="periodic")
    whole = torch.tensor(size, dtype=torch.float64)
    inside = node(field=field, position=position)["value"]
    torch.testing.assert_close(node(field=field, position=position - 3 * whole)["value"], inside, atol=1e-12, rtol=0)
    seam = torch.zeros(1, len(size), dtype=torch.float64)
    seam[0, 0] = size[0] - 0.25
    found = probe(bench, size, 1, edge="periodic")(field=field, position=seam)["value"]
    corner = (0,) * (len(size) - 1)
    expected = 0.25 * field[(size[0] - 1, *corner)] + 0.75 * field[(0, *corner)]
    torch.testing.assert_close(found[0], expected)


def test_fixed_positions_and_silence(bench):
    node = bench(FieldProbe, positions=[[1.0, 2.0], [3.5, 4.0]], shapes={"field": (16, 16)})
    assert node()["value"] is ABSENT
    field = noise(16, 16)
    out = node(field=field)["value"]
    torch.testing.assert_close(out, torch.stack([field[1, 2], (field[3, 4] + field[4, 4]) / 2]))


def test_a_batch_equals_its_points(bench):
    size = (17, 23)
    fields, position = noise(3, *size), somewhere(size)
    many = bench(FieldProbe, shapes={"field": size, "position": tuple(position.shape)}, batch=(3,))
    out = many(field=fields, position=position)["value"]
    same = many(field=fields[0], position=position.expand(3, -1, -1))["value"]
    for b in range(3):
        alone = probe(bench, size, len(position))(field=fields[b], position=position)["value"]
        assert torch.equal(out[b], alone)
        assert torch.equal(same[b], out[0])


def test_refuses_what_lies_outside_or_does_not_fit(bench):
    with pytest.raises(NodeFailed, match="outside the grid"):
        probe(bench, (16, 16), 1)(field=noise(16, 16), position=torch.tensor([[15.01, 0.0]]))
    defaults = FieldProbe.defaults()
    for inputs, message in [
        ({"field": (16, 16)}, "no position"),
        ({"field": (16, 16), "position": (4, 3)}, "2 dimensions"),
        ({"field": (16,), "position": (4, 2)}, "2 or 3 dim"),
    ]:
        with pytest.raises(ShapeProblem) as problem:
            FieldProbe.shapes(defaults, inputs)
        assert message in f"{problem.value} {problem.value.mend}"


def test_gradients_reach_field_and_position(bench):
    size = (16, 17)
    position = somewhere(size, 5)[:5]
    node = probe(bench, size, 5)
    inputs = [noise(*size).requires_grad_(), position.requires_grad_()]
    assert torch.autograd.gradcheck(lambda field, place: node(field=field, position=place)["value"], inputs)
