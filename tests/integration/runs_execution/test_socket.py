"""The run socket as a client sees it: real uvicorn, real worker, real Valkey."""

import time

import msgpack
import numpy as np
import pytest
from run_processes import free_port, make_tenant, started_server
from websockets.exceptions import InvalidStatus

from apps.runs.models import Run
from apps.workspaces.members import add_member
from apps.workspaces.models import Role
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan
from attractor import Session as EngineSession
from config.settings import ATTRACTOR


def frames(socket, node="osc", port="x"):
    return [m for m in socket.seen if m["kind"] in ("frame", "scalar") and (m["node"], m["port"]) == (node, port)]


def test_hello_then_every_event_then_the_end(tenant, server, shared_worker, eventually):
    run = tenant.submit(ticks=400)
    socket = server.open(run, tenant)
    greeting = socket.hear()
    assert greeting["kind"] == "hello"
    assert greeting["run"]["id"] == str(run.pk)
    assert greeting["run"]["ticks"] == 400
    assert "result" not in greeting["run"]
    assert "spec" not in greeting["run"]["graph"]
    assert greeting["live"] is True
    assert greeting["last_event"] >= 1
    socket.hear_until(lambda m: m["kind"] == "status" and m["seq"] and m["payload"]["state"] == "succeeded", 400)
    assert socket.numbers == list(range(1, tenant.look(run).last_event + 1))


def test_frames_show_what_the_engine_computes(tenant, server, shared_worker):
    """Every tick, all elements, against a session of our own."""
    run = tenant.submit(ticks=3000, seed=21)
    socket = server.open(run, tenant)
    socket.say(op="subscribe", id=1, node="osc", port="x", rate=60, decimation=1)
    socket.say(op="subscribe", id=2, node="osc", port="state", rate=20, decimation=10, take=5)
    socket.say(op="subscribe", id=3, node="osc", port="sync", rate=30)
    socket.hear_until(lambda m: m["kind"] == "status" and m["seq"] and m["payload"]["state"] == "succeeded", 400)
    acks = [m for m in socket.seen if m["kind"] == "ack"]
    assert [(ack["id"], ack["ok"]) for ack in acks] == [(1, True), (2, True), (3, True)]

    session = EngineSession(Plan.of(GraphSpec.parse(run.graph_version.spec)), seed=21, ticks=3000, block=1)
    for port in ("x", "state", "sync"):
        session.subscribe("osc", port)
    truth = {}
    for report in session:
        for frame in report.frames:
            truth[frame.port, int(frame.ticks[0])] = frame.data[0]

    heard = frames(socket)
    assert heard
    for message in heard:
        assert (message["dtype"], message["codec"], message["value_kind"]) == ("f4", "raw", "vector")
        values = np.frombuffer(message["data"], "<f4").reshape(message["shape"])
        assert message["tick"] == message["ticks"][-1]
        assert message["t"] == pytest.approx(message["tick"] / 100)
        for tick, value in zip(message["ticks"], values, strict=True):
            np.testing.assert_array_equal(value, truth["x", tick])
    assert [m["seq"] for m in heard] == sorted({m["seq"] for m in heard})

    picked = np.linspace(0, 15, 5).astype(int)
    thinned = frames(socket, port="state")
    assert thinned
    for message in thinned:
        assert message["shape"][1:] == [5, 3]
        values = np.frombuffer(message["data"], "<f4").reshape(message["shape"])
        for tick, value in zip(message["ticks"], values, strict=True):
            np.testing.assert_array_equal(value, truth["state", tick][picked])
    windows = [tick // 10 for message in thinned for tick in message["ticks"]]
    assert windows == sorted(set(windows))  # one value in each window of ten ticks, counted from tick 0

    for message in frames(socket, port="sync"):
        assert message["kind"] == "scalar"
        for tick, value in zip(message["ticks"], message["values"], strict=True):
            assert value == pytest.approx(float(truth["sync", tick]))


def test_reconnecting_with_a_number_misses_no_event_and_repeats_none(tenant, server, shared_worker, eventually):
    run = tenant.submit()
    eventually(lambda: tenant.look(run).tick > 0, "the run to progress")
    heard, after = [], 0
    for step in range(6):
        socket = server.open(run, tenant, after=after)
        tenant.command(run, "control", target="osc.coupling", value=0.1 * step)
        socket.hear_until(lambda m: m.get("seq") and m["kind"] == "log" and m["payload"]["type"] == "control")
        tenant.command(run, "control", target="osc.coupling", value=0.05)
        socket.connection.close()
        heard += socket.numbers
        after = heard[-1]
    tenant.command(run, "cancel")
    eventually(lambda: tenant.look(run).is_final, "the run to end")
    last = server.open(run, tenant, after=after)
    last.hear_until(lambda m: m["kind"] == "status" and m["seq"] == tenant.look(run).last_event)
    heard += last.numbers
    assert heard == [event.seq for event in tenant.events(run)]
    beyond = server.open(run, tenant, after=10**6)
    beyond.hear_all(1.0)
    assert beyond.numbers == []


def test_many_events_while_several_clients_join_reach_all_of_them(tenant, server, shared_worker, eventually):
    """Clients join at any moment of a burst; each must end up with exactly the rows of PostgreSQL."""
    run = tenant.submit()
    eventually(lambda: tenant.look(run).tick > 0, "the run to progress")
    sockets = []
    for step in range(40):
        tenant.command(run, "control", target="osc.coupling", value=0.01 * step)
        if step % 8 == 0:
            sockets.append(server.open(run, tenant))
    tenant.command(run, "cancel")
    eventually(lambda: tenant.look(run).is_final, "the run to end")
    last = tenant.look(run).last_event
    assert last >= 40
    for socket in sockets:
        socket.hear_until(lambda m: m["kind"] == "status" and m["seq"] == last)
        assert socket.numbers == list(range(1, last + 1))


def test_an_event_of_somebody_else_is_heard_too(tenant, server, monkeypatch):
    """No worker has the run: the events of submission and cancellation come from here, past the stream."""
    monkeypatch.setattr("apps.runs.queue.send", lambda *_: True)
    run = tenant.submit()
    socket = server.open(run, tenant)
    assert socket.hear()["kind"] == "hello"
    socket.hear_until(lambda m: m["kind"] == "status" and m["seq"] == 1)
    tenant.command(run, "cancel")
    end = socket.hear_until(lambda m: m["kind"] == "status" and m["seq"] == 2)
    assert end["payload"]["state"] == "cancelled"


@pytest.mark.parametrize("who", ["stranger", "anonymous", "nobody"])
def test_who_may_not_watch_gets_404_on_the_handshake(tenant, server, who):
    run = tenant.submit(ticks=10)
    cookie = {"stranger": lambda: make_tenant("eve").cookie(), "anonymous": lambda: "", "nobody": lambda: "sessionid=x"}
    with pytest.raises(InvalidStatus) as refused:
        server.open(run, tenant, cookie=cookie[who]())
    assert refused.value.response.status_code == 404


def test_what_is_not_there_gets_404_like_what_is_forbidden(tenant, server):
    from uuid import uuid4

    run = tenant.submit(ticks=10)
    cookie = tenant.cookie()
    stranger = make_tenant("eve")
    theirs = stranger.submit(ticks=10)
    answers = []
    for path in (
        f"{tenant.workspace.slug}/runs/{uuid4()}/",
        f"{tenant.workspace.slug}/runs/{theirs.pk}/",  # another workspace's run under one's own address
        f"{stranger.workspace.slug}/runs/{theirs.pk}/",
        f"no-such-place/runs/{run.pk}/",
        f"{tenant.workspace.slug}/runs/not-a-uuid/",
        f"{tenant.workspace.slug}/runs/{run.pk}/?after=minus",
        f"{tenant.workspace.slug}/runs/{run.pk}/?after=-1",
        f"{tenant.workspace.slug}/runs/{run.pk}/?after={'9' * 30}",
        "",
    ):
        with pytest.raises(InvalidStatus) as refused:
            server.connect(path, cookie)
        answers.append((refused.value.response.status_code, bytes(refused.value.response.body)))
    assert {status for status, _ in answers} == {404}
    assert len({body for _, body in answers}) == 1


def test_a_page_of_another_site_may_not_open_the_socket(tenant, server):
    run = tenant.submit(ticks=10)
    with pytest.raises(InvalidStatus) as refused:
        server.connect(f"{tenant.workspace.slug}/runs/{run.pk}/", tenant.cookie(), origin="https://evil.example")
    assert refused.value.response.status_code == 403


def test_every_member_may_watch(tenant, server):
    viewer = make_tenant("val")
    add_member(tenant.user, tenant.workspace, viewer.user, Role.VIEWER)
    run = tenant.submit(ticks=10)
    socket = server.open(run, tenant, cookie=viewer.cookie())
    assert socket.hear()["run"]["id"] == str(run.pk)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xc1 no msgpack", "msgpack"),
        (msgpack.packb([1, 2]), "map"),
        (msgpack.packb({"op": "x" * 5000}), "bytes"),
        (msgpack.packb({}), "op"),
        (msgpack.packb({"op": "drop tables", "id": 5}), "op"),
        (msgpack.packb({"op": ["subscribe"]}), "op"),
        (msgpack.packb({"op": "subscribe", "id": [1]}), "id"),
        (msgpack.packb({"op": "subscribe", "port": "x"}), "node"),
        (msgpack.packb({"op": "subscribe", "node": "nobody", "port": "x"}), "no node"),
        (msgpack.packb({"op": "subscribe", "node": "osc", "port": "x", "rate": 1e9}), "rate"),
        (msgpack.packb({"op": "subscribe", "node": "osc", "port": "x", "take": -1}), "take"),
        (msgpack.packb({"op": "unsubscribe", "node": "osc", "port": "x"}), "not subscribed"),
        ("plain text", "msgpack"),
    ],
)
def test_a_bad_message_is_answered_with_its_reason_and_the_socket_lives(tenant, server, payload, reason):
    socket = server.open(tenant.submit(ticks=10), tenant)
    socket.connection.send(payload)
    ack = socket.hear_until(lambda m: m["kind"] == "ack")
    assert ack["ok"] is False
    assert reason in ack["error"]
    socket.say(op="heartbeat", id="still there")
    assert socket.hear_until(lambda m: m["kind"] == "heartbeat" and m.get("id"))["id"] == "still there"


def test_too_many_subscriptions_are_refused(tenant, server):
    socket = server.open(tenant.submit(ticks=10), tenant)
    for number in range(65):
        socket.say(op="subscribe", id=number, node="osc", port=f"p{number}")
    ack = socket.hear_until(lambda m: m["kind"] == "ack" and not m["ok"])
    assert ack["id"] == 64
    assert "64" in ack["error"]


def test_a_port_that_is_not_there_is_refused_by_the_worker(tenant, server, shared_worker):
    run = tenant.submit()
    socket = server.open(run, tenant)
    socket.say(op="subscribe", id=1, node="osc", port="nonsense")
    socket.say(op="subscribe", id=2, node="osc", port="x")
    error = socket.hear_until(lambda m: m["kind"] == "error", 400)
    assert error["seq"] is None
    assert (error["payload"]["code"], error["payload"]["port"]) == ("port_refused", "nonsense")
    assert error["payload"]["mend"]
    socket.hear_until(lambda m: m["kind"] == "frame")  # the other one is served
    late = server.open(run, tenant)
    late.say(op="subscribe", id=1, node="osc", port="nonsense")
    assert late.hear_until(lambda m: m["kind"] == "error")["payload"] == error["payload"]
    tenant.command(run, "cancel")


def test_two_viewers_get_each_what_they_asked_for(tenant, server, shared_worker):
    run = tenant.submit()
    dense, sparse = server.open(run, tenant), server.open(run, tenant)
    dense.say(op="subscribe", id=1, node="osc", port="x", rate=30, decimation=4)
    sparse.say(op="subscribe", id=1, node="osc", port="x", rate=2, decimation=6, take=4)
    dense.hear_until(lambda m: m["kind"] == "frame", 400)
    sparse.hear_until(lambda m: m["kind"] == "frame", 400)
    begun = time.monotonic()
    dense.hear_all(3.0)
    sparse.hear_all(0.2)
    seconds = time.monotonic() - begun
    many, few = frames(dense), frames(sparse)
    assert {m["shape"][1] for m in many} == {16}
    assert {m["shape"][1] for m in few} == {4}
    assert len(few) <= 2 * (seconds + 2) + 1
    ticks = [tick for m in few for tick in m["ticks"]]
    assert len({tick // 6 for tick in ticks}) == len(ticks)
    dense.say(op="unsubscribe", id=2, node="osc", port="x")
    dense.hear_until(lambda m: m["kind"] == "ack" and m["id"] == 2)
    del dense.seen[:]
    dense.hear_all(1.0)
    assert frames(dense) == []
    tenant.command(run, "cancel")


def test_a_client_that_reads_nothing_holds_up_nobody(tenant, server, shared_worker, eventually):
    wide = tenant.graph_of(N=1024)
    run = tenant.submit(ticks=3000, graph=wide)
    stuck, reading = server.open(run, tenant), server.open(run, tenant)
    for socket in (stuck, reading):
        socket.say(op="subscribe", id=1, node="osc", port="state", rate=60)
    reading.hear_until(lambda m: m["kind"] == "status" and m["seq"] and m["payload"]["state"] == "succeeded", 240)
    assert frames(reading, port="state")
    # Now the other one reads: it was kept alive, missed frames, and got every event.
    stuck.hear_until(lambda m: m["kind"] == "status" and m["seq"] and m["payload"]["state"] == "succeeded", 60)
    assert stuck.numbers == [event.seq for event in tenant.events(run)]


def test_a_silent_client_is_closed_and_one_that_speaks_is_not(tenant, testbed, tmp_path):
    run = tenant.submit(ticks=10)
    with started_server(tmp_path / "strict", free_port(), ATTRACTOR__LIVE__SILENCE="4.0") as strict:
        silent, speaking = strict.open(run, tenant), strict.open(run, tenant)
        for _ in range(12):
            speaking.say(op="heartbeat")
            speaking.hear_all(0.5)
        assert silent.close_code(20.0) == 4408
        speaking.say(op="heartbeat", id=9)
        speaking.hear_until(lambda m: m.get("id") == 9)
    assert ATTRACTOR.live.silence == 30.0


def test_a_quiet_socket_is_told_that_it_lives(tenant, server):
    socket = server.open(tenant.submit(ticks=10), tenant)
    socket.hear_until(lambda m: m["kind"] == "heartbeat", 30.0)


def test_a_run_that_is_deleted_closes_its_sockets(tenant, server, monkeypatch):
    monkeypatch.setattr("apps.runs.queue.send", lambda *_: True)
    run = tenant.submit(ticks=10)
    socket = server.open(run, tenant)
    assert socket.hear()["kind"] == "hello"
    with scope(tenant.workspace.id):
        Run.objects.filter(pk=run.pk).delete()
    assert socket.close_code(20.0) == 4404


def test_without_valkey_events_still_come_and_the_page_is_told(
    tenant, server, shared_worker, valkey_server, eventually
):
    run = tenant.submit()
    eventually(lambda: tenant.look(run).tick > 0, "the run to progress")
    socket = server.open(run, tenant)
    socket.say(op="subscribe", id=1, node="osc", port="x")
    socket.hear_until(lambda m: m["kind"] == "frame", 60)
    valkey_server.process.stop()
    away = socket.hear_until(lambda m: m["kind"] == "status" and m["payload"].get("live") is False)
    assert away["payload"]["reason"]
    tenant.command(run, "control", target="osc.coupling", value=0.3)
    socket.hear_until(lambda m: m["kind"] == "log" and m["payload"].get("target") == "osc.coupling")
    late = server.open(run, tenant)
    assert late.hear()["live"] is False
    before = len(frames(socket))
    valkey_server.start()
    socket.hear_until(lambda m: m["kind"] == "status" and m["payload"].get("live") is True)
    socket.hear_until(lambda m: m["kind"] == "frame")
    assert len(frames(socket)) > before
    tenant.command(run, "cancel")
    socket.hear_until(lambda m: m["kind"] == "status" and m["seq"] and m["payload"]["state"] == "cancelled")
    assert socket.numbers == [event.seq for event in tenant.events(run)]
