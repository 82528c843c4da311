"""Sweeps: point b is the single run of b, whatever runs beside it, and also when others fail."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from sample_nodes import REGISTRY, edge, node

from attractor import AttractorError, GraphRejected, GraphSpec, NodeFailed
from attractor.compiled import compiled_region
from attractor.ensemble import Ensemble
from attractor.metric import Metric
from attractor.node import TensorNode
from attractor.parameter import Parameter
from attractor.plan import Plan
from attractor.port import Port
from attractor.program import Program
from attractor.registry import Registry
from attractor.sweep import Sweep
from attractor.sweep_axis import Axis

GRAPH = GraphSpec.parse(
    {
        "nodes": [
            node("n", "t.noise", N=5), node("s", "t.scale"), node("mix", "t.add", gain=0.5), node("sum", "t.fuse"),
            node("t", "t.sometimes"), node("r", "t.ramp", slope=0.01), node("show", "t.show"),
        ],
        "edges": [
            edge("n.x", "s.x"), edge("s.y", "mix.a", reduce="rms"), edge("mix.sum", "sum.x"),
            edge("sum.y", "mix.b", delay=1, init=0.125), edge("s.y", "show.x"), edge("t.value", "show.series"),
        ],
        "routes": [
            {"src": "t.value", "dst": "s.factor", "depth": 0.01, "transform": {"smooth_ms": 30}},
            {"src": "r.value", "dst": "mix.gain", "mode": "scale", "transform": {"curve": "s"}},
        ],
    }
)  # fmt: skip
FACTORS = Axis("s.factor", (0.1, 0.2, 0.7, 1.3))
LIMITS = Axis("sum.limit", (1.1, 90.0, 77.7))


def swept(axes, **more):
    return Sweep(GRAPH, axes, registry=REGISTRY, **{"ticks": 40, "seed": 4, **more})


def is_the_single_run(sweep, outcome):
    """Compare a point with its single run; returns whether both came to the end."""
    session = sweep.session(outcome.point.index)
    if outcome.failure is None:
        assert replace(session.run(), tier_reason=outcome.result.tier_reason) == outcome.result
        return True
    with pytest.raises(NodeFailed) as failed:
        session.run()
    alone, swept = failed.value, outcome.failure
    assert (alone.node, alone.tick, str(alone)) == (swept.node, swept.tick, str(swept))
    return False


@pytest.mark.parametrize(("memory", "block"), [(1, 32), (1_000_000, 7), (1 << 30, 32)])
def test_every_point_is_its_single_run(memory, block):
    sweep = swept([FACTORS, LIMITS, Axis("seed", (3, 2**40))], memory_bytes=memory, block=block)
    outcomes = sweep.run()
    alive = [is_the_single_run(sweep, outcome) for outcome in outcomes]
    # Some of the points with the low limit give way, each at a tick of its own.
    assert 0 < alive.count(False) <= 8
    assert len({outcome.failure.tick for outcome in outcomes if outcome.failure}) > 1
    assert len({outcome.result.result_hash for outcome in outcomes if outcome.result}) == alive.count(True)
    widths = [len(part.points) for part in sweep.parts]
    assert sum(widths) == 24
    assert (max(widths) == 1) == (memory == 1)
    assert (max(widths) == 24) == (memory == 1 << 30)
    assert ("by the plan's estimate" in sweep.parts[0].reason) == (max(widths) < 24)


def test_a_grid_has_every_combination_and_a_list_the_kth_values_together():
    grid = swept([Axis("s.factor", (0.1, 0.2)), Axis("seed", (5, 6, 7))])
    points = [outcome.point for outcome in grid.outcomes]
    assert [(point.changes["s.factor"], point.seed) for point in points] == [
        (0.1, 5), (0.1, 6), (0.1, 7), (0.2, 5), (0.2, 6), (0.2, 7),
    ]  # fmt: skip
    together = swept([Axis("s.factor", (0.1, 0.2)), Axis("mix.gain", (0, 0.25))], mode="list")
    assert [dict(outcome.point.changes) for outcome in together.outcomes] == [
        {"s.factor": 0.1, "mix.gain": 0.0}, {"s.factor": 0.2, "mix.gain": 0.25},
    ]  # fmt: skip
    assert {outcome.point.seed for outcome in together.outcomes} == {4}
    assert all(is_the_single_run(together, outcome) for outcome in together.run())


def test_whole_numbers_and_sizes_have_programs_of_their_own():
    sweep = swept([Axis("sum.steps", (1, 2)), Axis("n.N", (3, 5)), Axis("s.factor", (0.1, 0.2, 0.3))])
    assert all(is_the_single_run(sweep, outcome) for outcome in sweep.run())
    assert [len(part.points) for part in sweep.parts] == [3, 3, 3, 3]


def test_every_fault_of_the_axes_is_said_at_once():
    axes = [
        Axis("s.factor", (1.0, "much", float("nan"))), Axis("mix.volume", (1,)), Axis("seed", (1, -1, True)),
        Axis("mix.gain", ()), Axis("s.factor", (2.0, 2.5, 3.0)), Axis("nobody.gain", (1,)),
    ]  # fmt: skip
    with pytest.raises(GraphRejected) as rejected:
        swept(axes, mode="list")
    assert [problem.place for problem in rejected.value.problems] == [
        "axes[0].values[1]", "axes[0].values[2]", "axes[1]", "axes[2].values[1]", "axes[2].values[2]", "axes[3]",
        "axes[4]", "axes[5]", "axes",
    ]  # fmt: skip
    for axes in ([], [Axis("seed", tuple(range(1000))), Axis("s.factor", tuple(range(101)))]):
        with pytest.raises(GraphRejected):
            swept(axes)
    for nonsense in ({"ticks": 0}, {"block": 0}, {"memory_bytes": 0}, {"tier": "fast"}):
        with pytest.raises(ValueError, match=r"at least 1|no tier"):
            swept([FACTORS], **nonsense)


def test_points_that_cannot_begin_or_are_not_legal_fail_alone():
    sweep = swept([Axis("sum.limit", (0.001, 50.0, 0.5)), Axis("sum.rate", (-0.5, 0.9))])
    outcomes = sweep.run()
    said = ["cannot begin" if o.failure is None else type(o.failure).__name__ for o in outcomes]
    assert said == ["NodeFailed", "GraphRejected", "cannot begin", "cannot begin", "NodeFailed", "GraphRejected"]
    for index in (1, 5):
        with pytest.raises(GraphRejected) as rejected:
            sweep.session(index)
        assert rejected.value.problems == outcomes[index].failure.problems
    with pytest.raises(NodeFailed, match="too low to begin") as failed:
        sweep.session(0)
    assert str(failed.value) == str(outcomes[0].failure)
    assert is_the_single_run(sweep, outcomes[2])
    assert not is_the_single_run(sweep, outcomes[4])


def test_runs_of_different_seeds_do_not_share_constants_that_a_node_draws():
    graph = GraphSpec.parse(
        {"nodes": [node("n", "t.noise", N=5), node("w", "t.weights")], "edges": [edge("n.x", "w.x")]}
    )
    sweep = Sweep(graph, [Axis("seed", (1, 2, 1, 3))], ticks=20, registry=REGISTRY)
    assert all(is_the_single_run(sweep, outcome) for outcome in sweep.run())
    assert [part.points for part in sweep.parts] == [(0, 2), (1,), (3,)]
    assert "'w' draws its constants" in sweep.parts[0].reason


def test_a_graph_with_a_node_in_python_runs_point_by_point_and_says_why():
    graph = GraphSpec.parse(
        {"nodes": [node("r", "t.ramp"), node("c", "t.collect")], "edges": [edge("r.value", "c.held")]}
    )
    sweep = Sweep(graph, [Axis("r.slope", (0.5, 1.0))], ticks=20, registry=REGISTRY)
    assert all(is_the_single_run(sweep, outcome) for outcome in sweep.run())
    assert [part.points for part in sweep.parts] == [(0,), (1,)]
    assert "'c' (t.collect): it runs in Python" in sweep.parts[0].reason
    with pytest.raises(NodeFailed, match="cannot run as a batch"):
        Program(Plan.of(graph, REGISTRY), 0, batch=(2,))


def test_a_sweep_reports_and_can_be_cancelled_and_taken_up_again():
    sweep = swept([FACTORS], memory_bytes=1, block=20)
    for report in sweep:
        assert report.points == 4
        if report.done == 2:
            sweep.cancel()
    assert [outcome.result is not None for outcome in sweep.outcomes] == [True, True, False, False]
    again = swept([FACTORS], memory_bytes=1, block=20)
    again.outcomes[:2] = sweep.outcomes[:2]
    last = list(again)[-1]
    assert (last.progress, last.done, last.failed, last.tick) == (1.0, 4, 0, 40)
    assert [part.points for part in again.parts] == [(2,), (3,)]
    assert again.outcomes == swept([FACTORS]).run()


def test_a_node_that_mixes_the_points_of_its_batch_is_reported():
    graph = GraphSpec.parse({"nodes": [node("m", "t.mixes")]})
    with pytest.raises(AttractorError, match="none fails alone"):
        Sweep(graph, [Axis("m.gain", (1.0, 2.0))], ticks=3, registry=REGISTRY).run()


def test_a_state_that_takes_up_the_batch_later_is_refused(monkeypatch):
    monkeypatch.setattr(REGISTRY.get("t.ramp"), "initial_state", lambda self, ctx: {"sum": torch.zeros(())})
    plan = Plan.of(GraphSpec.parse({"nodes": [node("r", "t.ramp")]}), REGISTRY)
    program = Program(plan, 0, batch=(2,), base={"r": {"slope": torch.tensor([1.0, 2.0])}})
    with pytest.raises(AttractorError, match="does not keep the dimensions"):
        Ensemble(program, [0, 1]).advance(3)


@pytest.mark.parametrize("exact", [True, False])
def test_in_the_compiled_tier_points_share_a_program_only_where_they_may_round_differently(monkeypatch, exact):
    """The traced graphs themselves are carried out, and round as plain torch does; also after points have failed."""
    monkeypatch.setattr(compiled_region, "compiled", lambda trace: trace.graph)
    axes = [Axis("s.factor", (0.1, 0.7)), Axis("sum.limit", (1.1, 90.0))]
    sweep = swept(axes, tier="compiled", exact=exact)
    alive = [is_the_single_run(sweep, outcome) for outcome in sweep.run()]
    assert alive.count(True) >= 2
    assert [len(part.points) for part in sweep.parts] == ([1] * 4 if exact else [4])
    assert ("compiled" in sweep.parts[0].reason) == exact


def test_a_point_is_judged_by_its_own_values_alone():
    """dx = ½ alone would be too fine for c = 1, which no point has together."""
    wave = {"id": "w", "kind": "field.wave", "params": {"size": [16, 16], "dt": 0.5, "dx": 1.0, "c": 1.0}}
    axes = [Axis("w.dx", (1.0, 0.5)), Axis("w.c", (1.0, 0.5))]
    sweep = Sweep(GraphSpec.parse({"nodes": [wave]}), axes, mode="list", ticks=3)
    assert all(is_the_single_run(sweep, outcome) for outcome in sweep.run())


class Picky(TensorNode):
    """Cannot begin with 2, and says so at every tick otherwise."""

    kind, title, category, summary = "t.picky", "Picky", "test", "Refuses."
    outputs = (Port("y", "scalar"),)
    params = (Parameter("n", "int", 1, min=1), Parameter("x", "float", 0.0, live=True))

    def initial_state(self, ctx):
        if self.settings["n"] == 2:
            raise ctx.fail("two is too many.", "Take another number.")
        return {"y": torch.zeros(ctx.batch)}

    def step(self, state, inputs, params, ctx):
        ctx.log("again")
        return state, {"y": state["y"] + torch.as_tensor(params["x"])}


def test_points_that_cannot_make_a_first_state_fail_alone():
    spec = GraphSpec.parse({"nodes": [{"id": "p", "kind": "t.picky"}]})
    axes = [Axis("p.n", (1, 2, 3)), Axis("p.x", (0.5, 1.5))]
    sweep = Sweep(spec, axes, ticks=4, registry=Registry([Picky]))
    assert [outcome.failure is None for outcome in sweep.run()] == [True, True, False, False, True, True]
    assert all("two is too many" in str(sweep.outcomes[k].failure) for k in (2, 3))


def test_what_nodes_say_does_not_pile_up_in_a_sweep():
    spec = GraphSpec.parse({"nodes": [{"id": "p", "kind": "t.picky"}]})
    program = Program(Plan.of(spec, Registry([Picky])), 0, batch=(2,), base={"p": {"x": torch.tensor([1.0, 2.0])}})
    Ensemble(program, [0, 1]).advance(5)
    assert program.events() == []


MEASURED = (
    Metric("mix.sum"), Metric("mix.sum", "mean"), Metric("t.value", "mean", 7), Metric("mix.sum", "min", 3),
    Metric("mix.sum", "max"),
)  # fmt: skip


@pytest.mark.parametrize("block", [1, 7, 32])
def test_metrics_are_those_of_what_the_single_run_says_however_it_is_cut(block):
    sweep = swept([FACTORS, LIMITS], metrics=MEASURED, block=block)
    outcomes = sweep.run()
    assert any(outcome.failure for outcome in outcomes)
    for outcome in outcomes:
        if outcome.failure:
            assert not outcome.metrics
            continue
        session = sweep.session(outcome.point.index)
        session.subscribe("mix", "sum")
        session.subscribe("t", "value")
        said = {"sum": [], "value": []}
        for report in session:
            for frame in report.frames:
                said[frame.port] += list(zip(frame.ticks, frame.data.tolist(), strict=True))
        total = [value for _, value in said["sum"]]
        late = [value for tick, value in said["value"] if tick >= 7]
        assert outcome.metrics["mix.sum"] == total[-1]
        assert outcome.metrics["mean of mix.sum"] == pytest.approx(math.fsum(total) / 40, rel=1e-12)
        assert outcome.metrics["mean of t.value from tick 7"] == pytest.approx(math.fsum(late) / len(late), rel=1e-12)
        assert outcome.metrics["min of mix.sum from tick 3"] == min(total[3:])
        assert outcome.metrics["max of mix.sum"] == max(total)
    # To the last bit: the same numbers wherever the blocks begin.
    whole = swept([FACTORS, LIMITS], metrics=MEASURED, block=40).run()
    assert [outcome.metrics for outcome in outcomes] == [outcome.metrics for outcome in whole]


def test_a_port_that_says_nothing_has_no_number():
    (outcome,) = swept([Axis("s.factor", (0.5,))], metrics=[Metric("t.value", "mean", 39)], ticks=40).run()
    session = swept([Axis("s.factor", (0.5,))]).session(0)
    session.subscribe("t", "value")
    spoken = [tick for report in session for frame in report.frames for tick in frame.ticks]
    assert (outcome.metrics["mean of t.value from tick 39"] is None) == (39 not in spoken)


def test_faulty_metrics_are_refused_all_at_once():
    wrong = [Metric("n.x"), Metric("no.port"), Metric("mix.sum", "mean", 40), Metric("mix.sum"), Metric("mix.sum")]
    with pytest.raises(GraphRejected) as rejected:
        swept([FACTORS], metrics=wrong)
    places = [problem.place for problem in rejected.value.problems]
    assert places == ["metrics[0].port", "metrics[1].port", "metrics[2].start", "metrics[4]"]
