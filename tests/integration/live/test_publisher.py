"""The publishing thread of a run against a real Valkey. The session is played by a list of what it was asked."""

import contextlib
import itertools
import time

import msgpack
import numpy as np
import pytest

from apps.live import codec, valkey
from apps.live.frame import LiveFrame
from apps.live.stream import demand_key, stream_key
from apps.live.subscription import Subscription
from apps.runs.execution.publisher import PortRefused, Publisher

RUN = "0b7e"


class Watchable:
    def __init__(self):
        self.asked = []

    def subscribe(self, wanted):
        self.asked.append(wanted)
        if wanted.port == "bad":
            raise PortRefused({"message": "no such port.", "mend": "Name another."})

    def unsubscribe(self, node, port):
        self.asked.append((node, port))


@pytest.fixture
def client(valkey_url):
    with contextlib.closing(valkey.client()) as one:
        one.flushdb()
        yield one


@pytest.fixture
def watchable():
    return Watchable()


@pytest.fixture
def publisher(client, watchable):
    broken = []
    one = Publisher(RUN, watchable, valkey.client(), 60.0, 500, broken.append)
    one.start()
    yield one
    one.close(10.0)
    assert not one.is_alive()
    assert broken == []


refreshes = itertools.count()


def want(client, *wanted):
    client.hset(demand_key(RUN), "server", msgpack.packb([next(refreshes), [one.packed() for one in wanted]]))


def published(client):
    return [codec.unpack(fields[b"m"]) for _, fields in client.xrange(stream_key(RUN))]


def a_frame(tick, port="x", data=None):
    data = np.full((1, 3), tick, dtype=np.float32) if data is None else data
    return LiveFrame(RUN, "osc", port, "vector", "osc.x", np.array([tick]), tick / 100, data, 1)


def until(condition, patience=30.0):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_nothing_is_published_that_nobody_wants(client, publisher, watchable):
    publisher.offer([a_frame(1)])
    publisher.tell([{"kind": "log", "seq": 1}])
    until(lambda: published(client))
    assert [message["kind"] for message in published(client)] == ["log"]
    assert watchable.asked == []


def test_the_session_follows_the_demand(client, publisher, watchable):
    wish = Subscription("osc", "x", 10.0, 2, 8)
    want(client, wish)
    until(lambda: watchable.asked == [wish])
    want(client, wish)  # a refresh changes nothing
    wider = Subscription("osc", "x", 10.0, 2, None)
    want(client, wider)
    until(lambda: watchable.asked == [wish, wider])
    client.delete(demand_key(RUN))
    until(lambda: watchable.asked == [wish, wider, ("osc", "x")])


def test_frames_come_at_the_rate_asked_with_every_tick(client, publisher, watchable):
    want(client, Subscription("osc", "x", 10.0))
    until(lambda: watchable.asked)
    begun = time.monotonic()
    for tick in range(200):
        publisher.offer([a_frame(tick)])
        time.sleep(0.005)
    seconds = time.monotonic() - begun
    publisher.close(10.0)
    frames = published(client)
    assert len(frames) <= 10 * seconds + 2
    assert [tick for frame in frames for tick in frame["ticks"]] == list(range(200))
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))


def test_a_dense_port_is_decimated_and_a_sparse_one_loses_nothing(client, publisher, watchable):
    want(client, Subscription("osc", "x", 60.0, 10), Subscription("osc", "slow", 60.0, 10))
    until(lambda: len(watchable.asked) == 2)
    for tick in range(100):
        publisher.offer([a_frame(tick)])
        if tick % 20 == 19:
            publisher.offer([a_frame(tick, "slow")])
    publisher.close(10.0)
    ticks = {"x": [], "slow": []}
    for message in published(client):
        ticks[message["port"]] += message["ticks"]
    assert ticks == {"x": list(range(0, 100, 10)), "slow": [19, 39, 59, 79, 99]}


def test_a_port_that_cannot_be_watched_is_told_once_and_asked_once(client, publisher, watchable):
    want(client, Subscription("osc", "bad"))
    until(lambda: published(client))
    want(client, Subscription("osc", "bad"), Subscription("osc", "x"))
    until(lambda: any(wanted.port == "x" for wanted in watchable.asked))
    (message,) = published(client)
    assert (message["kind"], message["seq"], message["payload"]["port"]) == ("error", None, "bad")
    assert [wanted.port for wanted in watchable.asked] == ["bad", "x"]


def test_values_without_a_form_are_refused_and_the_others_flow(client, publisher, watchable):
    want(client, Subscription("osc", "odd"), Subscription("osc", "x"))
    until(lambda: len(watchable.asked) == 2)
    publisher.offer([a_frame(1, "odd", np.zeros((1, 2), dtype="datetime64[s]"))])
    until(lambda: [m for m in published(client) if m["kind"] == "error"])
    publisher.offer([a_frame(2)])
    until(lambda: [m for m in published(client) if m["kind"] == "frame"])


def test_without_valkey_offering_costs_nothing_and_publishing_resumes(client, publisher, watchable, valkey_server):
    wish = Subscription("osc", "x")
    want(client, wish)
    until(lambda: watchable.asked)
    valkey_server.process.stop()
    for tick in range(5000):
        publisher.offer([a_frame(tick)])
        publisher.tell([{"kind": "log", "seq": tick}])
    valkey_server.start()
    until(valkey_server.answers)
    want(client, wish)
    deadline = time.monotonic() + 30
    # What waited from before may come first.
    while not any(m["kind"] == "frame" and m["tick"] == 9999 for m in published(client)):
        assert time.monotonic() < deadline
        publisher.offer([a_frame(9999)])
        time.sleep(0.02)
