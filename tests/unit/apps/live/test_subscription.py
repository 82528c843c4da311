"""What a client may ask for, and the union that a worker serves."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.live.subscription import Subscription, SubscriptionRefused, union

asked = st.builds(
    Subscription,
    node=st.sampled_from("ab"),
    port=st.sampled_from("xy"),
    rate=st.floats(0.1, 60),
    decimation=st.integers(1, 24),
    take=st.none() | st.integers(1, 100),
)


def test_defaults():
    wanted = Subscription.of({"op": "subscribe", "node": "osc", "port": "x"})
    assert (wanted.rate, wanted.decimation, wanted.take) == (30.0, 1, None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"node": ""}, "node"),
        ({"node": 5}, "node"),
        ({"node": "x" * 201}, "node"),
        ({"port": None}, "port"),
        ({"rate": 0}, "rate"),
        ({"rate": 61}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"rate": math.inf}, "rate"),
        ({"rate": True}, "rate"),
        ({"rate": "30"}, "rate"),
        ({"decimation": 0}, "decimation"),
        ({"decimation": 1.5}, "decimation"),
        ({"decimation": 10**7}, "decimation"),
        ({"take": 0}, "take"),
        ({"take": -3}, "take"),
        ({"take": [1]}, "take"),
    ],
)
def test_each_bad_field_is_refused_by_name(change, field):
    message = {"node": "osc", "port": "x", "rate": 30, "decimation": 1, "take": 64} | change
    with pytest.raises(SubscriptionRefused, match=f"^{field}:"):
        Subscription.of(message)


def test_it_survives_the_way_to_the_worker():
    wanted = Subscription("osc", "x", 12.5, 3, None)
    assert Subscription(*wanted.packed()) == wanted


@given(st.lists(asked, max_size=8))
def test_the_union_serves_everybody(wanted):
    served = union(wanted)
    assert set(served) == {one.key for one in wanted}
    for one in wanted:
        by = served[one.key]
        assert by.rate >= one.rate
        # Every tick the viewer wants is among those published.
        ticks = set(range(0, 600, by.decimation))
        assert set(range(0, 600, one.decimation)) <= ticks
        assert by.take is None or (one.take is not None and by.take >= one.take)


@given(st.lists(asked, min_size=1, max_size=4))
def test_the_union_does_not_depend_on_the_order(wanted):
    unions = [union(order) for order in itertools.permutations(wanted)]
    assert all(one == unions[0] for one in unions)
