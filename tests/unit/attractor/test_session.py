"""Session: replay, resume, live controls, cancel, pause, frames."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch
from sample_nodes import REGISTRY, edge, node

from attractor import AttractorError, ControlChange, GraphSpec, NodeFailed, Plan, Session
from attractor.errors import CheckpointRefused, ControlRejected

GRAPH = {
    "nodes": [
        node("n", "t.noise", N=5), node("s", "t.scale"), node("mix", "t.add"), node("sum", "t.accumulate"),
        node("c", "t.collect"), node("t", "t.sometimes"), node("show", "t.show"),
    ],
    "edges": [
        edge("n.x", "s.x"), edge("s.y", "mix.a", reduce="mean"), edge("mix.sum", "sum.x"),
        edge("sum.y", "mix.b", delay=1, init=0), edge("t.value", "c.held"), edge("sum.y", "c.many"),
        edge("s.y", "show.x"), edge("sum.y", "show.series"), edge("t.value", "show.series"),
    ],
    "routes": [{"src": "t.value", "dst": "s.factor", "depth": 0.01, "transform": {"smooth_ms": 30}}],
}  # fmt: skip


@pytest.fixture
def plan():
    return Plan.of(GraphSpec.parse(GRAPH), REGISTRY)


def test_the_same_seed_gives_the_same_hash_and_another_seed_another(plan):
    assert Session(plan, seed=3, ticks=90).run().result_hash == Session(plan, seed=3, ticks=90).run().result_hash
    assert Session(plan, seed=3, ticks=90).run().result_hash != Session(plan, seed=4, ticks=90).run().result_hash


def test_a_result_says_all_that_a_replay_needs(plan):
    result = Session(plan, seed=3, ticks=90).run()
    assert result.complete
    assert result.graph_hash == plan.spec.content_hash
    assert result.versions["torch"] == torch.__version__
    assert json.loads(json.dumps(result.as_dict()))["ticks"] == 90


@pytest.mark.parametrize("stop", [1, 33, 64])
def test_resume_is_as_if_it_had_never_stopped(plan, tmp_path, stop):
    whole = Session(plan, seed=3, ticks=100, block=32)
    first = Session(plan, seed=3, ticks=100, block=stop)
    for session in (whole, first):
        session.set_control("mix.gain", 0.75)
    next(iter(first))
    resumed = Session.restore(first.checkpoint(tmp_path), plan)
    assert resumed.tick == stop
    resumed.block = 13
    again, once = resumed.run(), whole.run()
    assert again.result_hash == once.result_hash
    assert again.control_log == once.control_log
    assert again.tables == once.tables


def test_a_foreign_checkpoint_is_refused(plan, tmp_path):
    session = Session(plan, seed=3, ticks=100)
    next(iter(session))
    at = session.checkpoint(tmp_path)
    other = Plan.of(GraphSpec.parse(GRAPH).replace({"n.N": 6}), REGISTRY)
    with pytest.raises(CheckpointRefused, match="graph"):
        Session.restore(at, other)
    assert Session.restore(at, plan).tick == 32


def test_a_checkpoint_of_other_circumstances_is_refused(plan, tmp_path, monkeypatch):
    session = Session(plan, seed=3, ticks=100)
    next(iter(session))
    at = session.checkpoint(tmp_path)
    scale = REGISTRY.get("t.scale")
    for where, name, value, said in (
        (torch, "__version__", "0.1", r"versions.*0\.1"),
        (torch.backends.cpu, "get_cpu_capability", lambda: "VSX", "device .*VSX"),
        (scale, "version", 2, r"kinds .*'t.scale': 2"),
        (scale, "manifest", lambda self: {"sha256": "other"}, "weights"),
    ):
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(where, name, value)
            with pytest.raises(CheckpointRefused, match=said):
                Session.restore(at, plan)
    assert Session.restore(at, plan).tick == 32


def test_a_failed_session_hands_out_nothing_of_its_broken_block(tmp_path):
    broken = {"nodes": [node("n", "t.noise"), node("bad", "t.breaks", at=40)]}
    session = Session(Plan.of(GraphSpec.parse(broken), REGISTRY), ticks=100)
    with pytest.raises(NodeFailed):
        session.run()
    for use in (session.run, session.result, lambda: session.checkpoint(tmp_path)):
        with pytest.raises(AttractorError, match="broke off after tick 32"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_a_pause_after_a_cancel_does_not_hold_the_session(plan):
    session = Session(plan, ticks=100)
    session.cancel()
    session.pause()
    assert not session.paused
    assert list(session) == []


def test_a_control_holds_from_the_next_block_and_its_log_replays_the_run(plan):
    session = Session(plan, seed=3, ticks=96, block=32)
    reports = iter(session)
    next(reports)
    session.set_control("mix.gain", 0.5)
    report = next(reports)
    assert [(event.kind, event.tick, event.data["value"]) for event in report.events] == [("control", 32, 0.5)]
    for _ in reports:
        pass
    changed = session.result()
    assert changed.result_hash != Session(plan, seed=3, ticks=96).run().result_hash

    replay = Session(plan, seed=3, ticks=96, block=50, controls=changed.control_log)
    again = replay.run()
    assert again.result_hash == changed.result_hash
    assert again.control_log == changed.control_log


def test_a_replay_fires_triggers_too_and_may_be_stopped_before_and_after(plan, tmp_path):
    session = Session(plan, seed=3, ticks=80, block=8)
    for report in session:
        if report.tick in (16, 40):
            session.trigger("c.fire")
            session.set_control("mix.gain", report.tick / 64)
        if report.tick == 40:
            session.set_control("mix.gain", 1.5)
    once = session.result()
    assert [(change.tick, change.target) for change in once.control_log] == [
        (16, "mix.gain"), (16, "c.fire"), (40, "mix.gain"), (40, "mix.gain"), (40, "c.fire"),
    ]  # fmt: skip
    for stop in (5, 16, 39, 41):
        replay = Session(plan, seed=3, ticks=80, block=stop, controls=once.control_log)
        for _ in zip(replay, range(1 + (stop > 16)), strict=False):
            pass
        resumed = Session.restore(replay.checkpoint(tmp_path), plan)
        again = resumed.run()
        assert (again.result_hash, again.control_log) == (once.result_hash, once.control_log)


def test_a_log_that_is_not_of_this_graph_is_rejected(plan):
    for change in (
        ControlChange(3, "mix.volume", 1.0), ControlChange(3, "mix.gain", 9.0), ControlChange(-1, "mix.gain", 1.0),
        ControlChange(3, "c.held", True), ControlChange(3, "nobody.fire", True),
    ):  # fmt: skip
        with pytest.raises(ControlRejected) as rejected:
            Session(plan, ticks=10, controls=[change])
        assert rejected.value.problem.mend
    late = Session(plan, seed=3, ticks=10, controls=[ControlChange(10, "mix.gain", 2.0)])
    assert late.run().result_hash == Session(plan, seed=3, ticks=10).run().result_hash


@pytest.mark.parametrize(
    ("target", "value"),
    [("mix.gain", 3), ("mix.gain", "much"), ("n.N", 6), ("mix.volume", 1), ("nobody.gain", 1), ("mix", 1)],
)
def test_a_control_that_the_declaration_does_not_allow_is_rejected(plan, target, value):
    session = Session(plan, ticks=10)
    with pytest.raises(ControlRejected) as rejected:
        session.set_control(target, value)
    assert rejected.value.problem.mend
    assert session.run().control_log == []


def test_a_trigger_fires_for_one_tick(plan):
    session = Session(plan, ticks=12, block=4)
    reports = iter(session)
    next(reports)
    session.trigger("c.fire")
    for _ in reports:
        pass
    result = session.result()
    assert [row[0] for row in result.tables["c.seen"]["rows"] if row[4]] == [4]
    assert [(change.tick, change.target) for change in result.control_log] == [(4, "c.fire")]
    for target in ("c.held", "c.nothing", "nobody.fire"):
        with pytest.raises(ControlRejected):
            session.trigger(target)


def test_every_firing_is_told_though_two_in_a_tick_are_one(plan):
    session = Session(plan, ticks=12, block=4)
    reports = iter(session)
    next(reports)
    session.trigger("c.fire")
    session.trigger("c.fire")
    told = [event.tick for report in reports for event in report.events if event.kind == "control"]
    assert told == [4, 4]
    assert [row[0] for row in session.result().tables["c.seen"]["rows"] if row[4]] == [4]
    again = Session(plan, ticks=12, controls=session.control_log)
    assert again.run().result_hash == session.result().result_hash
    assert again.control_log == session.control_log


def test_cancel_stops_within_one_block_also_while_paused(plan):
    session = Session(plan, ticks=10_000, block=8)
    seen = []

    def run():
        for report in session:
            seen.append(report.tick)
            if len(seen) == 3:
                session.pause()

    thread = threading.Thread(target=run)
    thread.start()
    while not session.paused:
        pass
    assert session.paused
    session.cancel()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert session.cancelled
    assert len(seen) == 3
    assert not session.result().complete


def test_pause_and_resume_change_nothing(plan):
    session = Session(plan, seed=3, ticks=64, block=8)
    for report in session:
        if report.tick == 16:
            session.pause()
            threading.Timer(0.05, session.resume).start()
    assert session.result().result_hash == Session(plan, seed=3, ticks=64, block=8).run().result_hash


def test_frames_are_decimated_in_time_and_in_elements(plan):
    session = Session(plan, seed=3, ticks=60, block=16)
    session.subscribe("n", "x")
    session.subscribe("show", "x", every=5, take=3)
    session.subscribe("show", "series[1]")
    session.subscribe("c", "seen")
    whole, few, slot, tables = {}, {}, {}, []
    for report in session:
        for frame in report.frames:
            into = {"n": whole, "show": few if frame.port == "x" else slot}.get(frame.node)
            if into is None:
                tables.append(frame)
            else:
                into |= dict(zip(frame.ticks.tolist(), frame.data, strict=True))
    assert sorted(whole) == list(range(60))
    assert sorted(few) == list(range(0, 60, 5))
    assert all(len(value) == 3 for value in few.values())
    # The view sees s.y = factor · n.x, and of it the first, middle and last element.
    ratio = few[0] / whole[0][[0, 2, 4]]
    assert np.allclose(ratio, ratio[0])
    assert sorted(slot) == list(range(1, 60, 3))
    assert [frame.seq for frame in tables] == [1, 2, 3, 4]
    assert tables[-1].kind == "table"
    assert len(tables[-1].data[0]["rows"]) == 60


@pytest.mark.parametrize(
    "port",
    [
        ("n", "y"),
        ("nobody", "x"),
        ("mix", "a"),
        ("show", "series[2]"),
        ("show", "x[0]"),
        ("show", "series"),
        ("show", "series[00]"),
        ("show", "series[0"),
    ],
)
def test_only_ports_that_exist_can_be_watched(plan, port):
    with pytest.raises(ControlRejected):
        Session(plan).subscribe(*port)


def test_watching_changes_no_result(plan):
    session = Session(plan, seed=3, ticks=64)
    session.subscribe("n", "x")
    session.unsubscribe("n", "x")
    session.subscribe("s", "y", every=2)
    assert session.run().result_hash == Session(plan, seed=3, ticks=64).run().result_hash


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 2**63}, {"ticks": 0}, {"block": 0}])
def test_nonsense_is_refused_at_once(plan, arguments):
    with pytest.raises(ValueError, match=r"seed|ticks"):
        Session(plan, **arguments)


def test_progress_runs_to_one(plan):
    reports = list(Session(plan, ticks=50, block=20))
    assert [(report.first, report.tick) for report in reports] == [(0, 20), (20, 40), (40, 50)]
    assert reports[-1].progress == 1
    assert reports[-1].eta_s == 0


def test_a_run_says_its_tier_and_keeps_it_over_a_checkpoint(plan, tmp_path):
    session = Session(plan, seed=3, ticks=64, tier="kernels")
    assert all(ctx.kernels for ctx in session._program.contexts.values())
    next(iter(session))
    resumed = Session.restore(session.checkpoint(tmp_path), plan).run()
    assert (resumed.tier, resumed.tier_reason) == ("kernels", "asked for")
    short = Session(plan, seed=3, ticks=64).run()
    assert short.tier == "eager"
    assert "cost rule" in short.tier_reason


def test_an_unknown_tier_is_refused(plan):
    with pytest.raises(ValueError, match="there is no tier 'fast'"):
        Session(plan, tier="fast")
