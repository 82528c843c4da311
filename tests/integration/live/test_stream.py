"""The stream of a run through a real Valkey: writer, shared reader, demand, and what happens when it is away."""

import asyncio
import contextlib

import numpy as np
import pytest
import redis

from apps.live import codec, valkey
from apps.live.demand import STALE_SECONDS, DemandReader, DemandWriter
from apps.live.frame import LiveFrame
from apps.live.reader import StreamReader
from apps.live.stream import BYTES, StreamWriter, demand_key, stream_key
from apps.live.subscription import Subscription

PATIENCE = 30.0


class Heard:
    """A listener that keeps everything in order."""

    def __init__(self):
        self.log = []
        self.changed = asyncio.Event()

    def _note(self, entry):
        self.log.append(entry)
        self.changed.set()

    def on_message(self, message):
        self._note(message["n"])

    def on_live(self):
        self._note("live")

    def on_away(self, reason):
        assert reason
        self._note("away")

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not (self.log and condition(self.log)):
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def client(valkey_url):
    with contextlib.closing(valkey.client()) as one:
        one.flushdb()
        yield one


@contextlib.asynccontextmanager
async def reading():
    reader = StreamReader(valkey.blocking_client(), valkey.async_client(), "test")
    reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


def note(n):
    return codec.pack({"kind": "log", "n": n})


@pytest.mark.asyncio
async def test_what_is_appended_after_watch_returned_arrives_in_order(client):
    writer = StreamWriter(client, "a", 500)
    writer.write([note("before")])
    heard = Heard()
    async with reading() as reader:
        await reader.watch("a", heard)
        assert reader.away is None
        for n in range(0, 300, 3):
            writer.write([note(n), note(n + 1), note(n + 2)])
        await heard.until(lambda log: log[-1] == 299)
    assert heard.log == ["live", *range(300)]


@pytest.mark.asyncio
async def test_one_reader_serves_many_runs_and_takes_up_new_ones_while_it_blocks(client):
    async with reading() as reader:
        heard = {}
        for run in "abcdefgh":
            heard[run] = Heard()
            await reader.watch(run, heard[run])
            # The reader now blocks on all of them; nothing but the next watch wakes it.
            StreamWriter(client, run, 500).write([note(f"{run}1")])
        for run in "abcdefgh":
            await heard[run].until(lambda log, run=run: log == ["live", f"{run}1"])
        reader.unwatch("a")
        for run in "ab":
            StreamWriter(client, run, 500).write([note(f"{run}2")])
        await heard["b"].until(lambda log: log[-1] == "b2")
        assert heard["a"].log == ["live", "a1"]


@pytest.mark.asyncio
async def test_a_server_that_goes_and_comes_back_is_told_and_read_on(client, valkey_server):
    heard = Heard()
    async with reading() as reader:
        await reader.watch("a", heard)
        StreamWriter(client, "a", 500).write([note(1)])
        await heard.until(lambda log: log[-1] == 1)
        await asyncio.to_thread(valkey_server.process.stop)
        await heard.until(lambda log: log[-1] == "away")
        with pytest.raises(redis.RedisError):
            StreamWriter(client, "a", 500).write([note(2)])
        late = Heard()
        await reader.watch("b", late)
        assert "live" not in late.log
        valkey_server.start()
        await heard.until(lambda log: log[-1] == "live")
        await late.until(lambda log: log[-1] == "live")
        StreamWriter(client, "a", 500).write([note(3)])
        StreamWriter(client, "b", 500).write([note(4)])
        await heard.until(lambda log: log[-1] == 3)
        await late.until(lambda log: log[-1] == 4)
    assert [entry for entry in heard.log if entry != "away"] == ["live", 1, "live", 3]


@pytest.mark.asyncio
async def test_rubbish_in_a_stream_does_not_stop_the_reader(client):
    heard = Heard()
    async with reading() as reader:
        await reader.watch("a", heard)
        client.xadd(stream_key("a"), {"m": b"\xc1"})
        client.xadd(stream_key("a"), {"other": b"field"})
        StreamWriter(client, "a", 500).write([note(1)])
        await heard.until(lambda log: log[-1] == 1)


def test_a_stream_keeps_a_bounded_number_of_entries_and_dies_when_nobody_writes(client):
    writer = StreamWriter(client, "a", 100)
    for n in range(1000):
        writer.write([note(n)])
    # "About": the server trims whole nodes of 100 entries.
    assert 100 <= client.xlen(stream_key("a")) <= 300
    assert 0 < client.ttl(stream_key("a")) <= 600


def test_large_frames_are_kept_in_fewer_entries(client):
    writer = StreamWriter(client, "a", 500)
    data = np.zeros((1, 512, 512), dtype=np.float32)
    payload = codec.encode(LiveFrame("a", "n", "p", "field", "n.p", np.array([1]), 0.01, data, 1))
    for _ in range(250):
        writer.write([payload])
    assert client.memory_usage(stream_key("a"), samples=0) < 4 * BYTES


@pytest.mark.asyncio
async def test_the_worker_sees_the_union_of_what_servers_want(client):
    first, second = (DemandWriter(valkey.async_client(), process) for process in ("one", "two"))
    worker = DemandReader(client, "a")
    assert worker.read() == {}
    await first.write("a", [Subscription("n", "p", 10.0, 4, 8), Subscription("n", "q")])
    await second.write("a", [Subscription("n", "p", 30.0, 6, None)])
    assert worker.read() == {
        ("n", "p"): Subscription("n", "p", 30.0, 2, None),
        ("n", "q"): Subscription("n", "q"),
    }
    assert DemandReader(client, "b").read() == {}
    await second.write("a", [])
    assert worker.read()["n", "p"] == Subscription("n", "p", 10.0, 4, 8)
    assert 0 < client.ttl(demand_key("a")) <= 30
    await first.aclose()
    await second.aclose()


@pytest.mark.asyncio
async def test_what_a_dead_server_wanted_is_forgotten(client):
    now = [100.0]
    alive, dead = (DemandWriter(valkey.async_client(), process) for process in ("alive", "dead"))
    worker = DemandReader(client, "a", clock=lambda: now[0])
    await dead.write("a", [Subscription("n", "p")])
    for _ in range(8):
        await alive.write("a", [Subscription("n", "q")])
        wanted = worker.read()
        assert ("n", "q") in wanted
        assert (("n", "p") in wanted) == (now[0] - 100.0 < STALE_SECONDS)
        now[0] += 4.0
    await dead.write("a", [Subscription("n", "p")])
    assert ("n", "p") in worker.read()
    await alive.aclose()
    await dead.aclose()
