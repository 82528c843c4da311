"""Rates: control ticks beside audio blocks, and the resamplers between them."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from random import Random

import numpy as np
import pytest
import torch
from audio_nodes import AUDIO_NODES
from hypothesis import given
from hypothesis import strategies as st
from sample_nodes import REGISTRY, edge, node

from attractor import Axis, ControlChange, GraphSpec, NodeFailed, Plan, Registry, Session, Sweep, check
from attractor.cli.main import main
from attractor.clock import Clock
from attractor.compiled import compiled_region
from attractor.fitting import LossGradient
from attractor.loss import squared_error
from attractor.node import TensorNode
from attractor.port import Port


class Wavy(TensorNode):
    """A sine of the node's own time."""

    kind, title, category, summary = "t.wavy", "Wavy", "test", "A sine."
    outputs = (Port("value", "scalar"),)
    hertz = 7.0

    def step(self, state, inputs, params, ctx):
        now = torch.tensor(math.sin(2 * math.pi * self.hertz * ctx.tick * ctx.dt), dtype=ctx.dtype)
        return state, {"value": now.expand(ctx.batch)}


class FastWavy(Wavy):
    kind = "t.fast_wavy"
    outputs = (Port("value", "scalar", rate="audio"),)


KINDS = Registry([*REGISTRY.kinds().values(), *AUDIO_NODES, Wavy, FastWavy])
R = Fraction(48_000, 256)
RATIO = Fraction(100) / R  # Control ticks in a tick of the default clock: 8/15.


def plan(nodes, edges=(), routes=(), **audio):
    document = {"nodes": list(nodes), "edges": list(edges), "routes": list(routes)}
    return Plan.of(GraphSpec.parse(document | ({"audio": audio} if audio else {})), KINDS)


def rows(planned, collector, ticks, block=32, **more):
    """What a collector saw: [its own tick, held, skipped, [many], fired]."""
    return Session(planned, ticks=ticks, block=block, **more).run().tables[f"{collector}.seen"]["rows"]


def said(planned, port, ticks, block=32, **more):
    """(tick of the run, value) of everything that a port says."""
    session = Session(planned, ticks=ticks, block=block, **more)
    session.subscribe(*port.split("."))
    found = []
    for report in session:
        for frame in report.frames:
            found += zip(frame.ticks.tolist(), frame.data.tolist(), strict=True)
    return found


def control_moments(ticks, ratio=RATIO):
    """The first tick of the run at or after j·period, for every control tick j."""
    return [k for j in range(ticks) if (k := math.ceil(j / ratio)) < ticks]


# The clock.


@given(fs=st.integers(1, 768_000), size=st.integers(1, 65_536), tick=st.integers(0, 10**12))
def test_a_slower_tick_is_computed_in_the_first_tick_that_does_not_begin_before_it(fs, size, tick):
    clock = Clock.of({"audio", "control"}, Fraction(fs, size))
    slow = min(clock.rates, key=lambda rate: clock.rates[rate])
    pace, ratio = clock.pace(slow), clock.rates[slow] / clock.rate
    assert clock.rate == max(Fraction(fs, size), 100)
    assert pace.due(0)
    assert pace.due(tick) == (math.floor(tick * ratio) > math.floor((tick - 1) * ratio))
    after = pace.before(tick)
    assert pace.moment(after) == math.ceil(after / ratio) >= tick
    assert after == 0 or pace.moment(after - 1) < tick
    assert pace.phase(tick) == float(tick * ratio - math.floor(tick * ratio))
    fast = max(clock.rates, key=lambda rate: clock.rates[rate])
    assert clock.pace(fast).every


def test_a_graph_without_audio_ports_keeps_its_clock_and_its_hash():
    spec = {"nodes": [node("a", "t.ramp")], "edges": [], "routes": []}
    plain = plan(spec["nodes"])
    assert plain.clock.tick_seconds == 0.01
    assert plain.spec.canonical_json() == '{"edges":[],"nodes":[{"id":"a","kind":"t.ramp","params":{}}],"routes":[]}'
    assert plan(spec["nodes"], fs=48_000, B=256).spec.content_hash == plain.spec.content_hash
    other = plan(spec["nodes"], fs=44_100)
    assert other.spec.content_hash != plain.spec.content_hash
    assert other.spec.replace({"a.slope": 2.0}).audio.fs == 44_100
    assert GraphSpec.parse(other.spec.document()) == other.spec


def test_the_clock_of_audio_nodes_alone_is_theirs():
    planned = plan([node("a", "t.fast_ramp")])
    assert planned.clock.rate == Fraction(375, 2)
    assert planned.resampled == ()
    assert [tick for tick, _ in said(planned, "a.value", 9)] == list(range(9))


def test_the_time_of_a_frame_is_that_of_the_clock():
    planned = plan([node("a", "t.fast_ramp"), node("b", "t.ramp")])
    session = Session(planned, ticks=30)
    session.subscribe("b", "value")
    (report,) = session
    (frame,) = report.frames
    assert frame.tick == 29 == control_moments(30)[-1]
    assert frame.t == pytest.approx(29 * 256 / 48_000, rel=1e-12)


@pytest.mark.parametrize("audio", [{}, {"fs": 4_096, "B": 256}, {"fs": 25_600, "B": 256}])
def test_nodes_are_computed_at_their_own_rates_with_their_own_dt(audio):
    rate = Fraction(audio.get("fs", 48_000), 256)
    planned = plan([node("slow", "t.ramp"), node("fast", "t.fast_ramp"), node("wave", "t.fast_wavy")], **audio)
    clock = max(rate, Fraction(100))
    for port, own in (("slow.value", Fraction(100)), ("fast.value", rate)):
        expected = [k for j in range(60) if (k := math.ceil(j * clock / own)) < 60]
        assert said(planned, port, 60, block=7) == [(k, j + 1.0) for j, k in enumerate(expected)]
    own = np.arange(20) * float(1 / rate)
    seen = [value for _, value in said(planned, "wave.value", 60)][:20]
    np.testing.assert_allclose(seen[: len(own)], np.sin(2 * np.pi * 7 * own)[: len(seen)], atol=1e-6)


def test_a_slow_node_computes_the_same_beside_faster_ones():
    own = [node("n", "t.noise"), node("s", "t.scale"), node("c", "t.collect"), node("t", "t.sometimes")]
    edges = [edge("n.x", "s.x"), edge("s.y", "c.held", reduce="mean"), edge("t.value", "c.skipped")]
    alone = rows(plan(own, edges), "c", 32)
    beside = rows(plan([*own, node("tone", "t.tone")], edges), "c", 60)
    assert beside == alone == rows(plan([*own, node("tone", "t.tone")], edges), "c", 60, block=1)


def test_a_failure_of_a_slow_node_names_the_tick_of_the_run():
    planned = plan([node("b", "t.breaks", at=5, how="raise"), node("fast", "t.fast_ramp")])
    for block in (1, 7, 32):
        with pytest.raises(NodeFailed) as failed:
            Session(planned, ticks=40, block=block).run()
        assert (failed.value.node, failed.value.tick) == ("b", control_moments(40)[5])


# Resamplers, against numpy and exact fractions.


def slow_to_fast(resample=None, source="t.ramp", port="held"):
    more = {} if resample is None else {"resample": resample}
    nodes = [node("slow", source), node("c", "t.fast_collect")]
    return plan(nodes, [edge("slow.value", f"c.{port}", **more)])


@pytest.mark.parametrize("block", [1, 5, 64])
def test_hold_repeats_the_latest_value(block):
    seen = [row[1] for row in rows(slow_to_fast(), "c", 64, block)]
    assert seen == [1.0 + math.floor(k * RATIO) for k in range(64)]


@pytest.mark.parametrize("block", [1, 5, 64])
def test_linear_is_the_straight_line_one_period_late(block):
    """A ramp j + 1 at 100 Hz, one period late, is 100·t; before the second value the first stands."""
    seen = [row[1] for row in rows(slow_to_fast("linear"), "c", 64, block)]
    exact = [k * RATIO if k * RATIO >= 1 else Fraction(1) for k in range(64)]
    np.testing.assert_allclose(seen, [float(value) for value in exact], rtol=2e-7)


def test_linear_is_what_numpy_interpolates():
    seen = [row[1] for row in rows(slow_to_fast("linear", "t.wavy"), "c", 150)]
    times = np.array([float(Fraction(k) / R) for k in range(150)]) - 0.01
    points = np.arange(90) * 0.01
    expected = np.interp(np.maximum(times, 0.0), points, np.sin(2 * np.pi * 7 * points))
    np.testing.assert_allclose(seen, expected, atol=2e-6)


def test_hold_and_linear_while_the_source_says_nothing():
    """Sometimes speaks its own tick at 1, 4, 7, …"""
    slow = [math.floor(k * RATIO) for k in range(40)]
    held = [row[2] for row in rows(slow_to_fast(source="t.sometimes", port="skipped"), "c", 40)]
    assert held == [float(j) if j % 3 == 1 else None for j in slow]
    lines = [row[2] for row in rows(slow_to_fast("linear", "t.sometimes", "skipped"), "c", 40)]
    for k, j in enumerate(slow):
        if j < 1:
            assert lines[k] is None
        elif j < 4:
            assert lines[k] == 1.0
        else:  # From its last value but one to the last, in the tick in which that was said; then that one stays.
            new = j - (j - 1) % 3
            expected = new - 3 * (1 - (k * RATIO - j)) if j == new else new
            assert lines[k] == pytest.approx(float(expected), rel=1e-6)


def fast_to_slow(resample=None, source="t.fast_wavy", port="held"):
    more = {} if resample is None else {"resample": resample}
    return plan([node("fast", source), node("c", "t.collect")], [edge("fast.value", f"c.{port}", **more)])


@pytest.mark.parametrize("block", [1, 5, 64])
def test_mean_is_the_boxcar_mean_of_the_period(block):
    seen = [row[1] for row in rows(fast_to_slow("mean"), "c", 150, block)]
    sine = np.sin(2 * np.pi * 7 * np.arange(150) / float(R))
    ends = np.array(control_moments(150)) + 1
    sums = np.concatenate([[0.0], np.cumsum(sine)])
    begins = np.concatenate([[0], ends[:-1]])
    np.testing.assert_allclose(seen, (sums[ends] - sums[begins]) / (ends - begins), atol=1e-6)


def test_last_is_the_newest_value_of_the_period():
    seen = [row[1] for row in rows(fast_to_slow(), "c", 150)]
    np.testing.assert_allclose(seen, np.sin(2 * np.pi * 7 * np.array(control_moments(150)) / float(R)), atol=1e-6)


def test_last_finds_what_was_said_between_two_ticks_of_the_target():
    seen = [row[2] for row in rows(fast_to_slow(source="t.fast_sometimes", port="skipped"), "c", 60)]
    ends = control_moments(60)
    for begin, end, value in zip([-1, *ends], ends, seen, strict=False):
        spoken = [k for k in range(begin + 1, end + 1) if k % 3 == 1]
        assert value == (float(spoken[-1]) if spoken else None)


def test_mean_of_nothing_is_nothing():
    seen = [row[2] for row in rows(fast_to_slow("mean", "t.fast_sometimes", "skipped"), "c", 60)]
    assert None in seen
    assert {value for value in seen if value is not None} == {
        float(k) for k in range(1, control_moments(60)[-1] + 1, 3)
    }


def test_a_number_becomes_a_block_of_equal_samples():
    nodes = [node("r", "t.ramp"), node("h", "t.hiss"), node("amp", "t.amplifier"), node("n", "t.noise")]
    edges = [edge("h.wave", "amp.wave"), edge("r.value", "amp.gain")]
    planned = plan(nodes, edges, B=8, fs=1500)
    assert next(e.shape for e in planned.edges if e.target == ("amp", "gain")) == (8,)
    waves, loud = (np.array([v for _, v in said(planned, port, 20)]) for port in ("h.wave", "amp.wave"))
    gains = 1 + np.array([math.floor(k * RATIO) for k in range(20)])
    np.testing.assert_allclose(loud, waves * gains[:, None], rtol=1e-6)
    reduced = plan(nodes, [edges[0], edge("n.x", "amp.gain", reduce="max")], B=8, fs=1500)
    assert next(e.shape for e in reduced.edges if e.target == ("amp", "gain")) == (8,)


def test_a_tone_has_its_frequency_whatever_the_blocks():
    long, short = (
        np.concatenate([value for _, value in said(plan([node("t", "t.tone", f=50.0)], fs=4000, B=size), "t.wave", n)])
        for size, n in ((40, 20), (16, 50))
    )
    np.testing.assert_allclose(long, np.sin(2 * np.pi * 50 * np.arange(800) / 4000), atol=1e-4)
    np.testing.assert_allclose(long, short, atol=1e-4)


@pytest.mark.parametrize(
    ("beat", "counter"), [("t.metronome", "t.fast_counter"), ("t.fast_metronome", "t.counter")]
)  # fmt: skip
def test_every_trigger_arrives_once(beat, counter):
    """Beats lie further apart than the ticks of the slower rate, so that none of them falls together with another."""
    planned = plan([node("m", beat), node("n", counter)], [edge("m.beat", "n.fire")])
    beats = [tick for tick, _ in said(planned, "m.beat", 91)]
    assert len(beats) == (16 if beat == "t.metronome" else 30)
    counts = said(planned, "n.count", 91, block=4)
    for tick, count in counts:
        assert count == sum(k <= tick for k in beats)
    assert counts[-1][1] == len(beats)


@pytest.mark.parametrize("block", [1, 4, 50])
def test_a_trigger_fired_by_hand_waits_for_a_tick_of_its_node(block):
    planned = plan([node("n", "t.counter"), node("fast", "t.fast_ramp")])
    moments = control_moments(50)
    silent = next(k for k in range(1, 50) if k not in moments)
    replayed = Session(planned, ticks=50, block=block, controls=[ControlChange(silent, "n.fire", True)])
    result = replayed.run()
    assert result.outputs["n.count"] == 1.0
    assert [change.tick for change in result.control_log] == [min(k for k in moments if k > silent)]
    live = Session(planned, ticks=50, block=silent)
    reports = iter(live)
    next(reports)
    live.trigger("n.fire")
    for _ in reports:
        pass
    assert live.result().result_hash == result.result_hash
    assert live.control_log == result.control_log


# Routes.


@pytest.mark.parametrize("block", [1, 6, 64])
def test_a_route_reads_the_last_value_from_before_its_tick(block):
    up = plan(
        [node("slow", "t.ramp"), node("x", "t.fast_ramp", slope=0)], routes=[{"src": "slow.value", "dst": "x.slope"}]
    )
    assert [route.resample for route in up.routes] == ["hold"]
    values = [value for _, value in said(up, "x.value", 15, block)]
    # Added up: the newest value of the slow ramp in the tick before (1 + floor((k − 1)·8/15)), up to the limit of 10.
    added = [0.0, *(min(10.0, 1.0 + math.floor(k * RATIO)) for k in range(14))]
    assert values == np.cumsum(added).tolist()
    down = plan(
        [node("fast", "t.fast_ramp", slope=0.1), node("x", "t.ramp", slope=0)],
        routes=[{"src": "fast.value", "dst": "x.slope"}],
    )
    assert [route.resample for route in down.routes] == ["last"]
    values = [value for _, value in said(down, "x.value", 60, block)]
    np.testing.assert_allclose(values, np.cumsum([0.1 * k for k in control_moments(60)]), rtol=1e-5)


# Loops.

LOOP = (
    [node("sum", "t.fast_accumulate"), node("add", "t.add", gain=0.5), node("r", "t.ramp", slope=0.25)],
    [
        edge("r.value", "add.a"), edge("sum.y", "add.b", delay=1, init=2, resample="mean"),
        edge("add.sum", "sum.x", resample="linear"),
    ],
)  # fmt: skip


def simulated(ticks):
    """The loop by hand: the sum, one of its ticks late, averaged over control periods, goes into what it adds."""
    y, before, total, count = 0.0, 2.0, 0.0, 0
    points: list[float] = []
    found = []
    for k in range(ticks):
        total, count = total + before, count + 1
        if k in control_moments(ticks):
            points.append(0.5 * (0.25 * (len(points) + 1) + total / count))
            total, count = 0.0, 0
        phase = float(k * RATIO - math.floor(k * RATIO))
        older = points[-2] if len(points) > 1 else points[-1]
        y += older + phase * (points[-1] - older)
        before = y
        found.append(y)
    return found


@pytest.mark.parametrize("block", [1, 3, 40])
def test_a_loop_across_rates(block):
    planned = plan(*LOOP)
    assert any(component.loop for component in planned.components)
    np.testing.assert_allclose([v for _, v in said(planned, "sum.y", 40, block)], simulated(40), rtol=1e-5)


def test_a_delay_between_slow_nodes_is_one_of_their_ticks():
    loop = [node("a", "t.accumulate"), node("b", "t.add", gain=0.5), node("r", "t.ramp")]
    edges = [edge("b.sum", "a.x"), edge("r.value", "b.a"), edge("a.y", "b.b", delay=1, init=3)]
    straight = [edge("r.value", "a.x", delay=1, init=3), edge("a.y", "b.a")]
    for own in (edges, straight):
        alone = [value for _, value in said(plan(loop, own), "a.y", 20)]
        for block in (1, 4, 40):
            beside = said(plan([*loop, node("fast", "t.fast_ramp")], own), "a.y", 37, block)
            assert beside == list(zip(control_moments(37), alone, strict=True))


@pytest.mark.parametrize("stop", [1, 2, 7, 31])
def test_a_run_across_rates_resumes_as_if_it_had_never_stopped(stop, tmp_path):
    nodes, edges = LOOP
    nodes = [*nodes, node("c", "t.collect"), node("fc", "t.fast_collect"), node("w", "t.wavy")]
    edges = [
        *edges, edge("sum.y", "c.held", resample="mean"), edge("sum.y", "c.skipped"), edge("w.value", "fc.held"),
        edge("w.value", "fc.many", resample="linear"),
    ]  # fmt: skip
    planned = plan(nodes, edges)
    whole = Session(planned, ticks=40, block=9).run()
    begun = Session(planned, ticks=40, block=stop)
    next(iter(begun))
    resumed = Session.restore(begun.checkpoint(tmp_path), planned)
    resumed.block = 5
    assert resumed.run().result_hash == whole.result_hash


def ring(rng):
    """Nodes of both rates in a ring with a delay or several, driven from outside."""
    size = rng.randint(2, 5)
    audio, faster = rng.choice((({}, "t.fast_add"), ({"fs": 900, "B": 16}, "t.add"), ({"fs": 44_100}, "t.fast_add")))
    kinds = [rng.choice(("t.add", "t.fast_add")) for _ in range(size)]
    kinds[0], kinds[1] = "t.add", "t.fast_add"
    nodes = [node(f"n{number}", kind, gain=0.6) for number, kind in enumerate(kinds)]
    nodes += [node("drive", rng.choice(("t.sometimes", "t.fast_sometimes", "t.ramp", "t.fast_wavy")))]
    late = rng.randrange(size)
    edges = []
    for number in range(size):
        source, target = kinds[number], kinds[(number + 1) % size]
        link = edge(f"n{number}.sum", f"n{(number + 1) % size}.a")
        if source != target and rng.random() < 0.7:
            link["resample"] = rng.choice(("hold", "linear") if target == faster else ("last", "mean"))
        if number == late or rng.random() < 0.3:
            link |= {"delay": 1, "init": rng.choice((0, 1.5))}
        edges.append(link)
    edges.append(edge("drive.value", f"n{rng.randrange(size)}.b"))
    routes = [{"src": "n0.sum", "dst": "n1.gain", "depth": 0.01, "transform": {"smooth_ms": 20}}]
    return plan(nodes, edges, routes, **audio)


@pytest.mark.parametrize("seed", range(12))
def test_rings_across_rates_do_not_depend_on_blocks_and_resume(seed, tmp_path):
    planned = ring(Random(seed))
    assert planned.resampled
    whole = Session(planned, ticks=40, block=1).run()
    for block in (7, 64):
        assert Session(planned, ticks=40, block=block).run().result_hash == whole.result_hash
    begun = Session(planned, ticks=40, block=1 + 3 * seed)
    next(iter(begun))
    resumed = Session.restore(begun.checkpoint(tmp_path), planned)
    resumed.block = 9
    assert resumed.run().result_hash == whole.result_hash


def test_the_points_of_a_sweep_across_rates_are_their_runs():
    nodes = [*LOOP[0], node("h", "t.hiss"), node("m", "t.add"), node("f", "t.fast_add")]
    edges = [*LOOP[1], edge("h.first", "m.a", resample="mean"), edge("m.sum", "f.a", resample="linear")]
    sweep = Sweep(
        plan(nodes, edges, B=4, fs=1000).spec, [Axis("add.gain", (0.1, 0.4)), Axis("seed", (1, 2))], ticks=30, block=7,
        registry=KINDS,
    )  # fmt: skip
    outcomes = sweep.run()
    assert len(sweep.parts) == 1
    for outcome in outcomes:
        assert outcome.result.result_hash == sweep.session(outcome.point.index).run().result_hash


def test_a_gradient_passes_through_resamplers():
    """What comes out is linear in the slope of the ramp, so that the loss is a parabola around that of the target."""
    nodes = [node("r", "t.ramp", slope=0.5), node("sum", "t.fast_accumulate"), node("m", "t.add")]
    edges = [edge("r.value", "sum.x", resample="linear"), edge("sum.y", "m.a", resample="mean")]
    spec = plan(nodes, edges).spec
    aim = dict(said(Plan.of(spec.replace({"r.slope": 0.8}), KINDS), "m.sum", 20))
    loss = squared_error("m.sum", [aim.get(tick, 0.0) for tick in range(20)])
    at = LossGradient(Plan.of(spec, KINDS), ["r.slope"], loss, ticks=20)
    found = at({"r.slope": 0.5})
    # c·(slope − 0.8)²
    assert found.gradient["r.slope"] == pytest.approx(2 * found.loss / (0.5 - 0.8), rel=1e-4)
    # Windows cut the way into what the resamplers remember.
    cut = LossGradient(Plan.of(spec, KINDS), ["r.slope"], loss, ticks=20, window=7)({"r.slope": 0.5})
    assert found.gradient["r.slope"] < cut.gradient["r.slope"] < 0


def test_the_compiled_tier_leaves_slower_nodes_to_the_interpreter(monkeypatch):
    monkeypatch.setattr(compiled_region, "compiled", lambda trace: trace.graph)
    nodes = [*LOOP[0], node("fast", "t.fast_ramp"), node("f", "t.fast_add"), node("g", "t.fast_add")]
    edges = [*LOOP[1], edge("fast.value", "f.a"), edge("r.value", "f.b", resample="linear"), edge("f.sum", "g.a")]
    planned = plan(nodes, edges)
    session = Session(planned, ticks=40, block=11, tier="compiled")
    assert session._program.compiled.interpreted["r"] == "its rate is not the clock's"
    assert {"fast", "f", "g"} <= {
        name for place in session._program.compiled.regions for name in session._program.compiled.stages[place].nodes
    }
    eager = Session(planned, ticks=40, block=11, tier="eager").run()
    assert session.run().result_hash == eager.result_hash


# The check.


def problems(nodes, *edges, **audio):
    document = {"nodes": nodes, "edges": list(edges), "audio": audio}
    return [(problem.place, problem.message, problem.mend) for problem in check(document, KINDS)]


@pytest.mark.parametrize(
    ("source", "target", "resample", "words", "mend"),
    [
        ("s.value", "fc.held", "spline", "is unknown", '"hold" or "linear"'),
        ("s.value", "fc.held", "mean", "from a slower rate to a faster one", '"hold" or "linear"'),
        ("f.value", "c.held", "linear", "from a faster rate to a slower one", '"last" or "mean"'),
        ("s.value", "c.held", "hold", "both ends have the same rate", "Remove"),
        ("f.value", "fc.held", "last", "both ends have the same rate", "Remove"),
        ("m.beat", "fn.fire", "hold", "cannot take a trigger", '"any"'),
    ],
)
def test_a_resampler_that_cannot_be_is_refused_with_its_mend(source, target, resample, words, mend):
    nodes = [
        node("s", "t.ramp"), node("f", "t.fast_ramp"), node("c", "t.collect"), node("fc", "t.fast_collect"),
        node("m", "t.metronome"), node("fn", "t.fast_counter"),
    ]  # fmt: skip
    ((place, message, said_mend),) = problems(nodes, edge(source, target, resample=resample))
    assert place == "edges[0].resample"
    assert source in message
    assert target in message
    assert words in message
    assert mend in said_mend


def test_blocks_of_samples_do_not_cross_rates():
    class SlowWave(TensorNode):
        kind, title, category, summary = "t.slow_wave", "Slow wave", "test", "Blocks at the control rate."
        outputs = (Port("wave", "signal", (256,)),)

        def step(self, state, inputs, params, ctx):
            return state, {"wave": torch.zeros(*ctx.batch, 256)}

    kinds = Registry([*KINDS.kinds().values(), SlowWave])
    nodes = [node("w", "t.slow_wave"), node("amp", "t.amplifier")]
    (found,) = check({"nodes": nodes, "edges": [edge("w.wave", "amp.wave")]}, kinds)
    assert found.place == "edges[0]"
    assert "blocks of samples" in found.message


@pytest.mark.parametrize(
    ("audio", "place"), [({"fs": 0}, "audio.fs"), ({"B": 10**9}, "audio.B"), ({"b": 1}, "audio.b")]
)
def test_audio_settings_out_of_range_are_refused(audio, place):
    assert [found[0] for found in problems([node("a", "t.ramp")], **audio)] == [place]


def test_resamplers_are_shown():
    nodes, edges = LOOP
    planned = plan([*nodes, node("x", "t.ramp")], edges, [{"src": "sum.y", "dst": "x.slope"}])
    assert [str(link) for link in planned.resampled] == [
        "sum.y -[d, mean]-> add.b", "add.sum -[linear]-> sum.x", "sum.y =[last]=> x.slope",
    ]  # fmt: skip


def test_the_command_line_prints_resamplers(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Registry, "default", classmethod(lambda cls: KINDS))
    nodes, edges = LOOP
    preset = {
        "id": "loop", "version": 1, "title": "Loop", "category": "test", "summary": "A loop.",
        "graph": {"nodes": nodes, "edges": edges, "audio": {"fs": 32_000}}, "limits": {"ticks": 7},
    }  # fmt: skip
    path = tmp_path / "loop.json"
    path.write_text(json.dumps(preset))
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "no problems", "resampled: sum.y -[d, mean]-> add.b", "resampled: add.sum -[linear]-> sum.x",
    ]  # fmt: skip


def test_a_slower_node_costs_its_share_of_a_tick():
    fast, slow = plan([node("a", "t.fast_ramp")]), plan([node("b", "t.ramp")])
    both = plan([node("a", "t.fast_ramp"), node("b", "t.ramp")]).estimate.flops_per_tick
    expected = fast.estimate.flops_per_tick + slow.estimate.flops_per_tick * float(RATIO)
    assert both == pytest.approx(expected)
