"""The outgoing side of a socket: order, holes, bounds and rates."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from apps.live.frame import LiveFrame
from apps.live.subscription import Subscription
from apps.live.viewer import EVENTS_HELD, MAX_SUBSCRIPTIONS, Viewer


def an_event(seq):
    return {"kind": "log", "seq": seq}


def a_frame(tick, node="n"):
    return LiveFrame("r", node, "p", "vector", "n.p", np.array([tick]), tick / 100, np.full((1, 4), tick, "f4"), tick)


def numbers(messages):
    return [message["seq"] for message in messages if message.get("seq") is not None]


def test_events_wait_until_the_archive_was_read():
    viewer = Viewer(after=3)
    viewer.offer_event(an_event(6))
    assert viewer.next_messages() == []
    viewer.caught_up([an_event(4), an_event(5)], complete=True)
    assert numbers(viewer.next_messages()) == [6]
    assert viewer.sent == 6


def test_what_the_archive_gave_already_is_not_sent_twice():
    viewer = Viewer(after=0)
    for seq in (1, 2, 3):
        viewer.offer_event(an_event(seq))
    viewer.caught_up([an_event(1), an_event(2)], complete=True)
    assert numbers(viewer.next_messages()) == [3]


def test_a_hole_sends_nothing_more_until_the_archive_filled_it():
    viewer = Viewer(after=0)
    viewer.caught_up([], complete=True)
    viewer.offer_event(an_event(1))
    viewer.offer_event(an_event(3))
    assert numbers(viewer.next_messages()) == [1]
    assert viewer.behind
    viewer.caught_up([an_event(2), an_event(3)], complete=True)
    assert numbers(viewer.next_messages()) == []
    assert viewer.sent == 3


@given(st.lists(st.integers(1, 3), max_size=80), st.integers(0, 30))
def test_whatever_the_stream_loses_or_repeats_the_client_sees_each_number_once_in_order(steps, after):
    """Model: a stream that drops (step > 1) and an archive that has everything up to the newest."""
    viewer, got, newest = Viewer(after), [], after
    for step in steps:
        newest += step
        viewer.offer_event(an_event(newest))
        viewer.offer_event(an_event(newest))
        if step != 2:  # the sender does not run every time
            if viewer.behind:
                page = [an_event(seq) for seq in range(viewer.sent + 1, newest + 1)]
                got += numbers(page)
                viewer.caught_up(page, complete=True)
            got += numbers(viewer.next_messages())
    while viewer.behind or viewer.next_messages():
        page = [an_event(seq) for seq in range(viewer.sent + 1, newest + 1)]
        got += numbers(page)
        viewer.caught_up(page, complete=True)
        got += numbers(viewer.next_messages())
    assert got == sorted(set(got))
    assert set(got) <= set(range(after + 1, newest + 1))
    assert got == list(range(after + 1, viewer.sent + 1))


def test_a_client_that_reads_nothing_costs_bounded_memory_and_still_misses_nothing():
    viewer = Viewer(after=0)
    viewer.caught_up([], complete=True)
    viewer.subscribe(Subscription("n", "p", rate=60))
    for seq in range(1, 20 * EVENTS_HELD):
        viewer.offer_event(an_event(seq))
        viewer.offer_frame(a_frame(seq))
        viewer.offer_status({"kind": "status", "seq": None, "payload": {"tick": seq}})
        assert len(viewer._events) <= EVENTS_HELD
    assert viewer.behind
    assert viewer.sent == 0
    statuses = [message for message in viewer.next_messages() if message["kind"] == "status"]
    assert [message["payload"] for message in statuses] == [{"tick": 20 * EVENTS_HELD - 1}]
    assert viewer.next_frame(0.0).ticks[-1] == 20 * EVENTS_HELD - 1


def test_transient_statuses_join_field_by_field():
    viewer = Viewer(after=0)
    viewer.caught_up([], complete=True)
    viewer.offer_status({"kind": "status", "seq": None, "payload": {"live": False}})
    viewer.offer_status({"kind": "status", "seq": None, "payload": {"tick": 5}})
    assert [message["payload"] for message in viewer.next_messages()] == [{"live": False, "tick": 5}]


def test_frames_keep_their_rate_and_lose_no_tick_meanwhile():
    viewer = Viewer(after=0)
    viewer.subscribe(Subscription("n", "p", rate=10))
    sent, ticks = [], []
    for step in range(100):  # one tick each 0.02 s for 2 s
        now = 1.0 + step * 0.02
        viewer.offer_frame(a_frame(step))
        if frame := viewer.next_frame(now):
            sent.append(now)
            ticks += frame.ticks.tolist()
    assert 19 <= len(sent) <= 21
    assert ticks == list(range(len(ticks)))
    assert len(ticks) >= 95


def test_decimation_and_take_are_the_viewers_own():
    viewer = Viewer(after=0)
    viewer.subscribe(Subscription("n", "p", rate=60, decimation=5, take=2))
    for tick in range(11):
        viewer.offer_frame(a_frame(tick))
    frame = viewer.next_frame(0.0)
    assert frame.ticks.tolist() == [0, 5, 10]
    assert frame.data.shape == (3, 2)


def test_a_run_that_goes_on_from_an_earlier_tick_is_seen_again():
    viewer = Viewer(after=0)
    viewer.subscribe(Subscription("n", "p", rate=60))
    for tick in (100, 101, 60, 61, 61):
        viewer.offer_frame(a_frame(tick))
    assert viewer.next_frame(0.0).ticks.tolist() == [100, 101, 60, 61]


def test_only_wanted_ports_wait():
    viewer = Viewer(after=0)
    viewer.offer_frame(a_frame(1))
    assert viewer.next_frame(0.0) is None
    viewer.subscribe(Subscription("n", "p"))
    viewer.offer_frame(a_frame(2, node="other"))
    assert viewer.next_due() is None
    viewer.offer_frame(a_frame(3))
    assert viewer.next_due() == 0.0
    assert viewer.unsubscribe(("n", "p"))
    assert not viewer.unsubscribe(("n", "p"))
    assert viewer.next_frame(9.0) is None


def test_subscriptions_are_bounded():
    viewer = Viewer(after=0)
    assert all(viewer.subscribe(Subscription("n", f"p{i}")) for i in range(MAX_SUBSCRIPTIONS))
    assert not viewer.subscribe(Subscription("n", "one more"))
    assert viewer.subscribe(Subscription("n", "p0", rate=1))
