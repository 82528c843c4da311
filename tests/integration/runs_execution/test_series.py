"""Sweeps and fits from the queue to their end, with a real worker: every point is its single run, whatever dies."""

import math
import time
from typing import Any

import pytest
from run_processes import Tenant, kill, started_worker

from apps.projects.selectors import latest_version
from apps.runs import fits, points, selectors, sweeps
from apps.runs.models import Run, RunAttempt, RunPoint
from apps.workspaces.scope import scope
from attractor import GraphSpec, NodeFailed, Plan, Session, squared_error
from attractor.fitting import fit

COUPLINGS = {"target": "osc.coupling", "values": [0.05, 0.1, 0.4]}
SEEDS = {"target": "seed", "values": [1, 2**40]}


def sweep(tenant: Tenant, graph: Any, *axes: dict[str, Any], ticks: int = 200, **design: Any) -> Run:
    document = {"axes": list(axes), "sampling": "grid", **design}
    return sweeps.submit_sweep(tenant.user, tenant.workspace, graph, document, 5, ticks)


def ended(tenant: Tenant, run: Run) -> Any:
    return lambda: tenant.look(run).is_final


def points_of(tenant: Tenant, run: Run) -> list[RunPoint]:
    with scope(tenant.workspace.id):
        return list(points.points(run))


def spec_of(tenant: Tenant, graph: Any) -> GraphSpec:
    with scope(tenant.workspace.id):
        return GraphSpec.parse(latest_version(graph).spec)


def alone(tenant: Tenant, graph: Any, point: RunPoint, ticks: int) -> Session:
    """The single run of a point, which none of the service has to do with."""
    return Session(Plan.of(spec_of(tenant, graph).replace(point.params)), point.seed, ticks)


def test_every_point_is_its_single_run(tenant, shared_worker, eventually):
    metrics = [{"port": "osc.sync", "reduce": "last", "start": 0}, {"port": "osc.sync", "reduce": "mean", "start": 50}]
    run = sweep(tenant, tenant.graph, COUPLINGS, SEEDS, metrics=metrics)
    eventually(ended(tenant, run), "the sweep to end")
    row = tenant.look(run)
    assert (row.state, row.points_done, row.points_failed) == ("succeeded", 6, 0), row.error
    assert (row.tick, row.progress) == (200, 1.0)
    found = points_of(tenant, run)
    assert [(point.params["osc.coupling"], point.seed) for point in found] == [
        (coupling, seed) for coupling in COUPLINGS["values"] for seed in SEEDS["values"]
    ]
    for point in found:
        session = alone(tenant, tenant.graph, point, 200)
        session.subscribe("osc", "sync")
        said = [value for report in session for frame in report.frames for value in frame.data.tolist()]
        assert point.result_hash == session.result().result_hash
        assert point.metrics["osc.sync"] == said[-1]
        late = said[50:]
        assert point.metrics["mean of osc.sync from tick 50"] == pytest.approx(math.fsum(late) / len(late), rel=1e-12)
    assert len({point.result_hash for point in found}) == 6
    assert row.result_hash == points.hash_of({point.index: f"{point.index} {point.result_hash}\n" for point in found})
    told = [one for event in tenant.events(run) if event.kind == "points" for one in event.payload["points"]]
    assert {one["index"]: one["metrics"] for one in told} == {point.index: point.metrics for point in found}
    assert [event.seq for event in tenant.events(run)] == list(range(1, row.last_event + 1))


def test_the_response_of_a_graph_in_closed_form(tenant, shared_worker, eventually):
    """A controller with nothing but a gain says its error times the gain."""
    spec = {
        "nodes": [
            {"id": "level", "kind": "gen.value", "params": {"value": 0.0}},
            {"id": "pid", "kind": "ctl.pid", "params": {"Kp": 2.0, "Ki": 0.0, "Kd": 0.0}},
        ],
        "edges": [{"src": "level.value", "dst": "pid.measurement"}],
    }
    graph = tenant.graph_of_spec("controller", spec)
    run = sweep(
        tenant, graph, {"target": "level.value", "min": -0.4, "max": 0.4}, {"target": "pid.Kp", "min": 0.1, "max": 1.0},
        sampling="sobol", points=64, ticks=5,
    )  # fmt: skip
    eventually(ended(tenant, run), "the sweep to end")
    assert tenant.look(run).state == "succeeded", tenant.look(run).error
    for point in points_of(tenant, run):
        error = 0.0 - point.params["level.value"]
        assert point.metrics["pid.error"] == pytest.approx(error, rel=1e-6)
        assert point.metrics["pid.control"] == pytest.approx(point.params["pid.Kp"] * error, rel=1e-5, abs=1e-7)


def test_points_that_fail_do_not_stop_the_sweep_and_are_repeated_alone(tenant, shared_worker, eventually):
    wild = tenant.graph_of(cell="chua", speed=20.0)
    run = sweep(tenant, wild, {"target": "osc.coupling", "values": [0.1, 5.0]}, SEEDS, ticks=300)
    eventually(ended(tenant, run), "the sweep to end")
    row = tenant.look(run)
    assert (row.state, row.points_done, row.points_failed) == ("succeeded", 2, 2)
    assert row.result["points"] == {"total": 4, "succeeded": 2, "failed": 2}
    failed = [point for point in points_of(tenant, run) if point.state == "failed"]
    assert [point.index for point in failed] == [2, 3]
    for point in failed:
        with pytest.raises(NodeFailed, match=r"failed at tick") as alone_failed:
            alone(tenant, wild, point, 300).run()
        assert (point.error["node"], point.error["tick"]) == (alone_failed.value.node, alone_failed.value.tick)
        assert point.error["code"] == "diverged"
        assert point.error["mend"]
    again = sweeps.rerun_failed(tenant.user, row)
    eventually(ended(tenant, again), "the repetition to end")
    second = tenant.look(again)
    assert (second.state, second.origin_id, second.points_done, second.points_failed) == ("succeeded", run.pk, 2, 2)
    assert [point.carried for point in points_of(tenant, again)] == [True, True, False, False]
    # What fails by the graph's own law fails again, and the whole has the same identity.
    assert second.result_hash == row.result_hash


def test_cancel_and_pause_hold_a_sweep_between_two_blocks(tenant, shared_worker, eventually):
    run = sweep(tenant, tenant.graph, {"target": "seed", "min": 0, "max": 39, "steps": 40}, ticks=400)
    eventually(lambda: tenant.look(run).points_done >= 1, "a point")
    tenant.command(run, "pause")
    eventually(lambda: tenant.look(run).paused, "the pause")
    time.sleep(1.2)  # what was done before the pause may still be written
    held = tenant.look(run).progress
    time.sleep(1.2)
    assert tenant.look(run).progress == held < 1.0
    tenant.command(run, "resume")
    eventually(lambda: tenant.look(run).progress > held, "the sweep to go on")
    tenant.command(run, "cancel")
    eventually(ended(tenant, run), "the sweep to end")
    row = tenant.look(run)
    assert row.state == "cancelled"
    assert 1 <= row.points_done < 40
    # What was computed is kept.
    assert len(points_of(tenant, run)) == row.points_done


@pytest.fixture
def lone_worker(testbed, tmp_path):
    """A worker without spare children: the one it has is the one that computes."""
    with started_worker(tmp_path / "worker", spares=0) as running:
        yield running


@pytest.mark.slow
def test_a_sweep_whose_process_is_killed_goes_on_with_what_is_left(tenant, lone_worker, eventually):
    run = sweep(tenant, tenant.graph, {"target": "seed", "min": 0, "max": 29, "steps": 30}, ticks=400)
    eventually(lambda: tenant.look(run).points_done >= 2, "some points")
    (child,) = lone_worker.children
    kill(child.pid)
    before = {point.index: (point.pk, point.finished_at) for point in points_of(tenant, run)}
    eventually(ended(tenant, run), "the sweep to end")
    row = tenant.look(run)
    assert (row.state, row.points_done) == ("succeeded", 30), row.error
    after = points_of(tenant, run)
    # Rows that were there are the same rows: nothing that was done is done twice.
    assert before.items() <= {point.index: (point.pk, point.finished_at) for point in after}.items()
    undisturbed = {p.index: f"{p.index} {alone(tenant, tenant.graph, p, 400).run().result_hash}\n" for p in after}
    assert row.result_hash == points.hash_of(undisturbed)
    with scope(tenant.workspace.id):
        assert list(RunAttempt.objects.filter(run=run).order_by("number").values_list("state", flat=True)) == [
            "lost", "succeeded",
        ]  # fmt: skip


LOSS = {"port": "level.value", "target": 0.7, "start": 0}


def submit_fit(tenant: Tenant, graph: Any, ticks: int = 20, **design: Any) -> Run:
    document = {"params": [{"target": "level.value"}], "loss": LOSS, "iterations": 60, "rate": 0.05, **design}
    return fits.submit_fit(tenant.user, tenant.workspace, graph, document, 3, ticks)


def level(tenant: Tenant) -> Any:
    return tenant.graph_of_spec(
        "level", {"nodes": [{"id": "level", "kind": "gen.value", "params": {"value": 0.1}}], "edges": []}
    )


def test_a_fit_finds_the_minimum_and_its_values_go_into_the_graph(tenant, shared_worker, eventually):
    """(value − 0.7)² is smallest at 0.7."""
    graph = level(tenant)
    run = submit_fit(tenant, graph, params=[{"target": "level.value", "min": 0.0, "max": 1.0}])
    eventually(ended(tenant, run), "the fit to end")
    row = tenant.look(run)
    assert (row.state, row.points_done, row.tick) == ("succeeded", 60, 20), row.error
    assert row.result["fit"]["params"]["level.value"] == pytest.approx(0.7, abs=0.01)
    history = points_of(tenant, run)
    for point in history:
        expected = (point.params["level.value"] - 0.7) ** 2
        assert point.metrics["loss"] == pytest.approx(expected, rel=1e-4, abs=1e-10)
    best = history[row.result["fit"]["iteration"]]
    assert best.metrics["loss"] == min(point.metrics["loss"] for point in history) == row.result["fit"]["loss"]
    version = fits.apply_fit(tenant.user, selectors.run(tenant.workspace, run.pk))
    assert version.number == 2
    assert version.spec["nodes"][0]["params"] == {"value": best.params["level.value"]}


@pytest.mark.slow
def test_a_fit_whose_process_is_killed_has_the_end_of_one_that_was_never_disturbed(tenant, lone_worker, eventually):
    design = {"params": [{"target": "osc.coupling"}], "loss": {"port": "osc.sync", "target": 0.9, "start": 0}}
    run = submit_fit(tenant, tenant.graph, ticks=100, iterations=45, window=25, **design)
    eventually(lambda: tenant.look(run).points_done >= 3, "some iterations")
    (child,) = lone_worker.children
    kill(child.pid)
    before = [point.pk for point in points_of(tenant, run)]
    eventually(ended(tenant, run), "the fit to end")
    row = tenant.look(run)
    assert (row.state, row.points_done) == ("succeeded", 45), row.error
    after = points_of(tenant, run)
    assert [point.pk for point in after][: len(before)] == before
    aim = squared_error("osc.sync", 0.9)
    whole = fit(spec_of(tenant, tenant.graph), ["osc.coupling"], aim, ticks=100, steps=45, rate=0.05, window=25, seed=3)
    assert [point.params for point in after] == [one.params for one in whole.history]
    assert [point.metrics["loss"] for point in after] == [one.loss for one in whole.history]
    assert row.result["fit"]["params"] == whole.params


def test_a_fit_that_cannot_go_on_fails_with_its_reason(tenant, shared_worker, eventually):
    """The array leaves its guard with the values that the fit begins with."""
    wild = tenant.graph_of(cell="chua", coupling=5.0, speed=20.0)
    design = {"params": [{"target": "osc.coupling"}], "loss": {"port": "osc.sync", "target": 0.9, "start": 0}}
    run = submit_fit(tenant, wild, ticks=300, iterations=5, **design)
    eventually(ended(tenant, run), "the fit to end")
    row = tenant.look(run)
    assert row.state == "failed"
    assert (row.error["code"], row.error["node"]) == ("diverged", "osc")
