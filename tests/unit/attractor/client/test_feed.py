"""Following without a network: what is news, what is a repetition, what is missing."""

from typing import Any

import msgpack
import numpy as np
import pytest

from attractor.client.errors import BadAnswer
from attractor.client.feed import HEARTBEAT_SECONDS, STALE_SECONDS, Feed, Gap
from attractor.client.updates import Event, Frame, Notice, Progress

ROW = {"state": "running", "tick": 3, "progress": 0.3, "eta_s": 1.0, "ticks_per_s": 9.0, "paused": False}


def said(feed: Feed, **message: Any) -> list[Any]:
    return list(feed.hear(msgpack.packb(message), 0.0))


def event(seq: int, kind: str = "log", **payload: Any) -> dict[str, Any]:
    return {"kind": kind, "seq": seq, "tick": seq, "at": "2026-01-01T00:00:00+00:00", "payload": payload}


def test_events_come_once_and_in_order() -> None:
    feed = Feed()
    assert said(feed, **event(1, message="a"))[0].payload == {"message": "a"}
    assert said(feed, **event(1, message="a")) == []
    with pytest.raises(Gap):
        said(feed, **event(3))
    assert feed.last == 1


def test_kinds_that_travel_as_log_are_themselves_again() -> None:
    (found,) = said(Feed(), **event(1, type="metric", value=2))
    assert (found.kind, found.payload) == ("metric", {"value": 2})


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_it_is_over_with_the_last_status(state: str) -> None:
    feed = Feed()
    said(feed, **event(1, "status", state="running"))
    assert not feed.over
    (last,) = said(feed, **event(2, "status", state=state))
    assert last.final
    assert feed.over


def test_a_run_that_was_over_before_is_over_when_its_events_have_come() -> None:
    feed = Feed(after=2)
    assert said(feed, kind="hello", run={**ROW, "state": "failed"}, last_event=2, live=True)[0].state == "failed"
    assert feed.over
    behind = Feed(after=1)
    said(behind, kind="hello", run={**ROW, "state": "failed"}, last_event=2, live=True)
    assert not behind.over


def test_progress_that_has_not_moved_is_no_news() -> None:
    feed = Feed()
    (first,) = said(feed, kind="status", seq=None, payload=ROW)
    assert first == Progress("running", 3, 0.3, 1.0, 9.0, False)
    assert said(feed, kind="status", seq=None, payload=ROW) == []


def test_frames_have_their_values() -> None:
    data = np.arange(6, dtype="<f4").reshape(2, 3)
    head = {"node": "a", "port": "x", "ticks": [1, 2], "t": 0.1, "seq": 1}
    (frame,) = said(Feed(), kind="frame", value_kind="vector", codec="raw", dtype="f4", shape=[2, 3],
                    data=data.tobytes(), **head)  # fmt: skip
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.values, data)
    (scalar,) = said(Feed(), kind="scalar", values=[1.0, 2.0], **head)
    assert scalar.values.tolist() == [1.0, 2.0]
    (table,) = said(
        Feed(), kind="frame", value_kind="table", codec="json", dtype="json", shape=[1], data=[{"a": 1}], **head
    )
    assert table.values == [{"a": 1}]


def test_a_port_that_cannot_be_watched_is_told() -> None:
    feed = Feed(ports=["a.x"])
    (subscribe,) = feed.connected(0.0)
    assert msgpack.unpackb(subscribe) == {"op": "subscribe", "id": 0, "node": "a", "port": "x", "rate": 30.0}
    (notice,) = said(feed, kind="ack", id=0, ok=False, error="no such port")
    assert isinstance(notice, Notice)
    assert "a.x" in notice.message
    refused = {"code": "port_refused", "node": "a", "port": "x", "message": "No.", "mend": "Another."}
    assert "Another." in said(feed, kind="error", seq=None, payload=refused)[0].message
    with pytest.raises(ValueError, match=r"node\.port"):
        Feed(ports=["a"])


def test_it_says_something_in_time_and_notices_silence() -> None:
    feed = Feed()
    feed.connected(0.0)
    assert feed.wait(0.0) == HEARTBEAT_SECONDS
    assert feed.to_say(1.0) == []
    assert msgpack.unpackb(feed.to_say(HEARTBEAT_SECONDS)[0]) == {"op": "heartbeat"}
    assert not feed.stale(STALE_SECONDS - 0.1)
    assert feed.stale(STALE_SECONDS)
    until = Feed(deadline=5.0)
    until.connected(0.0)
    assert until.wait(1.0) == 4.0
    assert until.ended(5.0)


@pytest.mark.parametrize(
    "payload",
    [
        "text", b"\xc1", b"", msgpack.packb([1]), msgpack.packb({"x": 1}), msgpack.packb({"kind": 5}),
        msgpack.packb({"kind": "status", "seq": 1}), msgpack.packb({"kind": "hello", "run": None}),
        msgpack.packb({"kind": "frame", "node": "a", "port": "x", "value_kind": "vector", "codec": "raw", "dtype": "f4",
                       "shape": [1000], "data": b"", "ticks": [1], "t": 0.0, "seq": 1}),
        msgpack.packb({"kind": "log", "seq": "x", "tick": 0, "at": "", "payload": {}}),
        msgpack.packb({"kind": "ack", "id": 99, "ok": False}),
    ],
)  # fmt: skip
def test_what_is_no_message_is_named_as_that(payload: Any) -> None:
    with pytest.raises(BadAnswer):
        list(Feed().hear(payload, 0.0))


def test_what_a_newer_server_says_is_passed_over() -> None:
    assert said(Feed(), kind="fireworks", colour="red") == []


def test_events_in_words() -> None:
    assert Event(1, "status", 0, "", {"state": "queued", "reason": "lost"}).text == "queued: lost"
    assert Event(1, "control", 0, "", {"do": "control", "target": "a.b", "value": 2}).text == "control a.b = 2"
    assert Event(1, "log", 0, "", {"node": "a", "message": "up"}).text == "a: up"
