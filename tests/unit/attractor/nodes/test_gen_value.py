"""Values and schedules."""

from collections import Counter

import pytest
import torch

from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.gen_value import Value

ROWS = [[0, 0], [0, 1], [1, 0], [1, 1]]


def rows_of(node, ticks):
    return [out["value"] if out["value"] is ABSENT else tuple(out["value"].tolist()) for out in node.run(ticks)]


def test_constants(bench):
    assert float(bench(Value, value=2.5)()["value"]) == 2.5
    assert bench(Value, value=2.5)()["value"].shape == ()
    assert bench(Value, type="vector", values=[1, 2, 3])()["value"].tolist() == [1.0, 2.0, 3.0]
    assert bench(Value, type="text", text="hello")()["value"] == "hello"
    assert int(bench(Value, type="seed", value=16777215, dtype=torch.float32)()["value"]) == 16777215


def test_a_scalar_follows_its_live_parameter(bench):
    node = bench(Value, value=1.0)
    node()
    node.params = node.params | {"value": 7.0}
    assert float(node()["value"]) == 7.0


def test_a_batch_has_the_value_in_every_run(bench):
    assert bench(Value, value=2.5, batch=(3,))()["value"].tolist() == [2.5] * 3
    assert bench(Value, type="schedule", values=ROWS, batch=(3,))()["value"].shape == (3, 2)


@pytest.mark.parametrize(
    ("params", "kind", "shape"),
    [
        ({"type": "scalar"}, "scalar", ()), ({"type": "vector", "values": [1, 2]}, "vector", (2,)),
        ({"type": "text"}, "text", ()), ({"type": "seed"}, "scalar", ()),
        ({"type": "schedule", "values": ROWS}, "vector", (2,)),
    ],
)  # fmt: skip
def test_kind_and_shape_follow_the_type(params, kind, shape):
    values = Value.defaults() | params
    assert Value.output_kinds(values) == {"value": kind}
    assert Value.shapes(values, {}) == {"value": shape}


def test_a_cyclic_schedule_holds_each_row_and_starts_over(bench):
    node = bench(Value, type="schedule", values=ROWS, hold=3, start=5)
    seen = rows_of(node, 5 + 2 * 12)
    assert seen[:5] == [ABSENT] * 5
    expected = [tuple(map(float, row)) for row in ROWS for _ in range(3)]
    assert seen[5:] == expected * 2


def test_a_shuffled_schedule_shows_every_row_once_in_each_pass_in_ever_new_orders(bench):
    node = bench(Value, type="schedule", values=ROWS, hold=2, start=1, order="shuffled")
    seen = rows_of(node, 1 + 8 * 300)[1:]
    passes = [tuple(seen[k : k + 8]) for k in range(0, len(seen), 8)]
    for one in passes:
        assert one[0::2] == one[1::2]
        assert set(one) == {tuple(map(float, row)) for row in ROWS}
    # 24 orders, 300 passes: each is expected 12.5 times (χ² with 23 degrees of freedom, p < 1e-5 above 64).
    counts = Counter(passes)
    assert len(counts) == 24
    assert sum((count - 12.5) ** 2 / 12.5 for count in counts.values()) < 64


def test_a_shuffled_schedule_goes_on_from_its_state(bench):
    kwargs = {"type": "schedule", "values": ROWS, "hold": 2, "order": "shuffled"}
    whole = rows_of(bench(Value, **kwargs), 40)
    first = bench(Value, **kwargs)
    head = rows_of(first, 13)
    second = bench(Value, **kwargs)
    second.state, second.tick = first.state, 13
    assert head + rows_of(second, 27) == whole
    assert rows_of(bench(Value, seed=2, **kwargs), 40) != whole


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"type": "seed", "value": 0.5}, "value"), ({"type": "seed", "value": -1.0}, "value"),
        ({"type": "seed", "value": 2.0**24}, "value"),
        ({"type": "vector", "values": []}, "values"), ({"type": "vector", "values": [[1]]}, "values"),
        ({"type": "schedule", "values": [0, 1]}, "values"), ({"type": "schedule", "values": [[0], [1, 2]]}, "values"),
        ({"type": "schedule", "values": []}, "values"), ({"type": "schedule", "values": [[[1]]]}, "values"),
    ],
)  # fmt: skip
def test_bad_values_are_refused_with_their_place(params, where):
    with pytest.raises(ShapeProblem) as refused:
        Value.validate(Value.defaults() | params)
    assert refused.value.port == where
