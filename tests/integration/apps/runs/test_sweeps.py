"""Sweeps and fits as rows: what is refused before anything is queued, what workers write, what is repeated, applied."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from apps.ops.refusal import Invalid
from apps.projects.selectors import latest_version
from apps.projects.services import add_version
from apps.runs import designs, fits, points, services, sweeps
from apps.runs.failure import Failure
from apps.runs.models import Run, RunAttempt, RunEvent, RunPoint
from apps.runs.points import DonePoint
from apps.runs.refusals import Fenced, GraphChanged, NothingToApply, NothingToRepeat
from apps.workspaces.models import AuditEvent, Role
from apps.workspaces.scope import scope
from attractor import GraphRejected, GraphSpec, Plan

pytestmark = pytest.mark.django_db

COUPLING = {"target": "osc.coupling", "min": 0.0, "max": 1.0, "steps": 4}
LOSS = {"port": "osc.sync", "target": 0.5, "start": 0}


def sweep(tenant: Any, *axes: dict[str, Any], ticks: int = 10, seed: int | None = 3, **design: Any) -> Run:
    document = {"axes": list(axes) or [COUPLING], "sampling": "grid", **design}
    return sweeps.submit_sweep(tenant.user, tenant.workspace, tenant.graph, document, seed, ticks)


def fit(tenant: Any, **design: Any) -> Run:
    document = {"params": [{"target": "osc.coupling"}], "loss": LOSS, "iterations": 5, "rate": 0.02, **design}
    return fits.submit_fit(tenant.user, tenant.workspace, tenant.graph, document, 3, 10)


def done(index: int, **more: Any) -> DonePoint:
    return DonePoint(index, {"osc.coupling": index / 3}, 3, {"osc.sync": 0.5}, f"sha256:{index}", **more)


FAILED = {"code": "diverged", "node": "osc", "tick": 4, "message": "It left.", "mend": "Stay."}


def rows(run: Run) -> list[RunPoint]:
    with scope(run.workspace_id):
        return list(points.points(run))


def places(refused: Any) -> set[str]:
    raised = refused.value
    return {one.place for one in (raised.problems if isinstance(raised, GraphRejected) else raised.faults)}


def test_a_sweep_is_a_queued_run_with_the_cost_of_all_its_points(ann: Any) -> None:
    run = sweep(ann, COUPLING, {"target": "seed", "values": [1, 2, 3]})
    assert (run.kind, run.state, run.points_total, run.points_done, run.ticks) == ("sweep", "queued", 12, 0, 10)
    with scope(ann.workspace.id):
        estimate = Plan.of(GraphSpec.parse(latest_version(ann.graph).spec)).estimate
    assert run.flops == pytest.approx(12 * 10 * estimate.flops_per_tick)
    # The scalar outputs of the graph, since no metric is named.
    assert run.design["metrics"] == [{"port": "osc.sync", "reduce": "last", "start": 0}]


def test_an_axis_that_changes_the_size_is_estimated_at_its_largest(ann: Any) -> None:
    run = sweep(ann, {"target": "osc.N", "values": [16, 64]})
    with scope(ann.workspace.id):
        spec = GraphSpec.parse(latest_version(ann.graph).spec)
    largest = Plan.of(spec.replace({"osc.N": 64})).estimate
    assert run.memory_bytes >= largest.memory_bytes
    assert run.flops >= 10 * largest.flops_per_tick


@pytest.mark.parametrize(
    "design",
    [
        {"axes": [{"target": "osc.coupling", "min": 0.0, "max": 1.0, "steps": 10**9}]},
        {"axes": [{**COUPLING, "steps": 1000}, {"target": "seed", "min": 0, "max": 10**6, "steps": 10**6}]},
        {"axes": [{"target": "osc.coupling", "min": 0.0, "max": 1.0}], "sampling": "sobol", "points": 10**9},
    ],
)
def test_a_thousand_million_points_are_refused_before_anything_is_made(
    ann: Any, design: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(*_: Any) -> None:
        raise AssertionError("points were made")

    monkeypatch.setattr(designs, "sampled", make)
    with pytest.raises(Invalid, match=r"1,000,000,000 points; 100,000 are allowed"):
        sweep(ann, **design)
    with scope(ann.workspace.id):
        assert not Run.objects.exists()


def test_every_fault_of_a_design_is_named(ann: Any) -> None:
    with pytest.raises(GraphRejected) as refused:
        sweep(ann, {"target": "osc.nothing", "values": [1]}, {"target": "osc.coupling", "values": [-5.0, 0.1, "x"]})
    assert places(refused) == {"axes[0]", "axes[1].values[0]", "axes[1].values[2]"}
    with pytest.raises(GraphRejected) as refused:
        sweep(ann, metrics=[{"port": "osc.x", "reduce": "last", "start": 0}])
    assert places(refused) == {"metrics[0].port"}
    with pytest.raises(Invalid) as invalid:
        sweep(ann, ticks=0)
    assert places(invalid) == {"ticks"}
    with scope(ann.workspace.id):
        assert not Run.objects.exists()


def test_the_work_of_all_points_counts_against_the_quota(ann: Any, settings: Any) -> None:
    one = ann.submit(ticks=10)
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"flops": one.flops * 5.5})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    assert sweep(ann).points_total == 4
    with pytest.raises(Invalid, match="floating-point operations"):
        sweep(ann, {**COUPLING, "steps": 6})


def test_points_are_written_once_told_in_one_event_and_only_by_who_holds_the_run(ann: Any) -> None:
    run = sweep(ann)
    with scope(ann.workspace.id):
        attempt = services.claim(run.pk, "w")
        before = Run.objects.get(pk=run.pk).last_event
        (event,) = points.record_points(attempt, [done(0), done(2, error=FAILED)], after=before)
        # A second try, by somebody who did not hear of the success of the first.
        assert points.record_points(attempt, [done(0), done(2, error=FAILED)], after=before) == [event]
        held = Run.objects.get(pk=run.pk)
        assert (held.points_done, held.points_failed) == (1, 1)
        assert RunAttempt.objects.get(pk=attempt.pk).reached == 2
    assert [(row.index, row.state, row.error) for row in rows(run)] == [(0, "succeeded", None), (2, "failed", FAILED)]
    assert (event.kind, event.payload["done"], event.payload["failed"], event.payload["total"]) == ("points", 1, 1, 4)
    assert [one.get("metrics") for one in event.payload["points"]] == [{"osc.sync": 0.5}, None]
    with scope(ann.workspace.id):
        services.hand_over(attempt, Failure("child_killed", "It died.", "Again."))
        held = Run.objects.get(pk=run.pk)
        # Half of the points are done, so the run stands at half of its length.
        assert (held.state, held.tick, held.progress) == ("queued", 5, 0.5)
        with pytest.raises(Fenced):
            points.record_points(attempt, [done(1)])
    assert len(rows(run)) == 2


def test_the_database_holds_points_and_designs_to_what_they_are(ann: Any) -> None:
    run = sweep(ann)
    with scope(ann.workspace.id):
        points.record_points(services.claim(run.pk, "w"), [done(0)])
        for changes in ({"kind": "single"}, {"design": None}, {"points_done": 5}, {"design": {"axes": []}}):
            with pytest.raises(IntegrityError), transaction.atomic():
                Run.objects.filter(pk=run.pk).update(**changes)
        with pytest.raises(IntegrityError), transaction.atomic():
            RunPoint.objects.create(
                workspace_id=ann.workspace.id, run=run, index=0, state="succeeded", params={}, seed=1
            )
        with pytest.raises(IntegrityError), transaction.atomic():
            RunPoint.objects.create(workspace_id=ann.workspace.id, run=run, index=1, state="failed", params={}, seed=1)


def test_the_points_that_failed_are_repeated_alone(ann: Any) -> None:
    first = sweep(ann)
    with pytest.raises(NothingToRepeat, match="queued"):
        sweeps.rerun_failed(ann.user, first)
    with scope(ann.workspace.id):
        attempt = services.claim(first.pk, "w")
        points.record_points(attempt, [done(0), done(1, error=FAILED), done(3)])
        services.finish(attempt, "cancelled")
    first = ann.look(first)
    again = sweeps.rerun_failed(ann.user, first)
    assert (again.origin, again.design, again.seed, again.ticks) == (first, first.design, first.seed, first.ticks)
    assert (again.points_total, again.points_done, again.points_failed) == (4, 2, 0)
    # Point 1 failed and point 2 was never computed: the other two are carried over, and not paid for again.
    assert [(row.index, row.carried) for row in rows(again)] == [(0, True), (3, True)]
    assert again.flops == pytest.approx(first.flops / 2)
    with scope(ann.workspace.id):
        attempt = services.claim(again.pk, "w")
        points.record_points(attempt, [done(1), done(2)])
        services.finish(attempt, "succeeded", result={}, result_hash="h")
        whole = points.hash_of({index: done(index).identity for index in range(4)})
        assert points.hash_of(points.identities(again)) == whole
    with pytest.raises(NothingToRepeat, match="All points succeeded"):
        sweeps.rerun_failed(ann.user, ann.look(again))
    with pytest.raises(NothingToRepeat, match="no sweep"):
        sweeps.rerun_failed(ann.user, ann.submit())
    with scope(ann.workspace.id):
        Run.objects.get(pk=first.pk).delete()
        assert Run.objects.get(pk=again.pk).origin_id is None


def test_sweeps_and_fits_have_limits_of_time(ann: Any, settings: Any) -> None:
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"run_seconds": 900})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    assert (sweep(ann).max_seconds, fit(ann).max_seconds) == (900, 900)
    swept = {"graph": str(ann.graph.pk), "axes": [COUPLING], "ticks": 10}
    fitted = {"graph": str(ann.graph.pk), "params": [{"target": "osc.coupling"}], "loss": LOSS, "ticks": 10}
    for path, body in (("/sweeps/", swept), ("/fits/", fitted)):
        made = ann.post(path, {**body, "max_seconds": 30})
        assert (made.status_code, made.json()["max_seconds"]) == (201, 30), made.content
        for wrong in (0, 901):
            refused = ann.post(path, {**body, "max_seconds": wrong})
            assert refused.status_code == 422
            assert [fault["place"] for fault in refused.json()["problems"]] == ["max_seconds"]


def test_a_sweep_that_ran_out_of_time_is_repeated_with_more(ann: Any, settings: Any) -> None:
    document = {"axes": [COUPLING], "sampling": "grid"}
    first = sweeps.submit_sweep(ann.user, ann.workspace, ann.graph, document, 3, 10, 40)
    with scope(ann.workspace.id):
        attempt = services.claim(first.pk, "w")
        points.record_points(attempt, [done(0)])
        services.finish(attempt, "failed", error=Failure("out_of_time", "Late.", "More."))
    again = ann.post(f"/runs/{first.pk}/rerun/", {}).json()
    more = ann.post(f"/runs/{first.pk}/rerun/", {"max_seconds": 80}).json()
    assert (again["max_seconds"], more["max_seconds"]) == (40, 80)
    assert [row.index for row in rows(ann.look(Run(pk=more["id"], workspace_id=ann.workspace.id)))] == [0]
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"run_seconds": 20})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    assert ann.post(f"/runs/{first.pk}/rerun/", {}).json()["max_seconds"] == 20


def test_a_viewer_may_neither_sweep_nor_fit_nor_apply(ann: Any, member_of: Any) -> None:
    viewer = member_of(ann, Role.VIEWER)
    over = fit(ann)
    for attempt in (
        lambda: sweeps.submit_sweep(viewer, ann.workspace, ann.graph, {"axes": [COUPLING], "sampling": "grid"}),
        lambda: fits.submit_fit(viewer, ann.workspace, ann.graph, {"iterations": 1}),
        lambda: sweeps.rerun_failed(viewer, over),
        lambda: fits.apply_fit(viewer, over),
    ):
        with pytest.raises(PermissionDenied):
            attempt()


def test_a_sweep_takes_no_live_control(ann: Any) -> None:
    run = sweep(ann)
    with pytest.raises(Invalid, match="takes no live control"):
        services.command(ann.user, run, "control", {"target": "osc.coupling", "value": 0.3})
    services.command(ann.user, run, "cancel")
    assert ann.look(run).state == "cancelled"


@pytest.mark.parametrize(
    ("design", "where"),
    [
        ({"params": [{"target": "osc.N"}]}, {"osc.N"}),
        ({"params": [{"target": "osc.coupling", "min": 0.9, "max": 1.0}]}, {"osc.coupling"}),
        ({"loss": {**LOSS, "port": "osc.nothing"}}, {"loss.port"}),
        ({"loss": {**LOSS, "target": [1.0, 2.0]}}, {"loss.target"}),
        ({"loss": {**LOSS, "target": [[1.0], [2.0, 3.0]]}}, {"loss.target"}),
        ({"loss": {**LOSS, "target": {"a": 1}}}, {"loss.target"}),
        ({"loss": {**LOSS, "target": 1e300}}, {"loss.target"}),
        ({"loss": {**LOSS, "start": 10}}, {"loss.start"}),
        ({"iterations": 10**9}, {"iterations"}),
    ],
)
def test_a_fit_that_cannot_be_is_refused(ann: Any, design: dict[str, Any], where: set[str]) -> None:
    with pytest.raises((GraphRejected, Invalid)) as refused:
        fit(ann, **design)
    assert places(refused) == where


def finished_fit(tenant: Any, coupling: float = 0.25) -> Run:
    run = fit(tenant)
    with scope(tenant.workspace.id):
        found = {"fit": {"params": {"osc.coupling": coupling}, "loss": 0.1, "iteration": 2}}
        return services.finish(services.claim(run.pk, "w"), "succeeded", result=found, result_hash="h")


def test_fitted_values_become_the_next_version_of_the_graph(ann: Any) -> None:
    run = finished_fit(ann)
    version = fits.apply_fit(ann.user, run)
    assert version.number == 2
    with scope(ann.workspace.id):
        before = GraphSpec.parse(run.graph_version.spec)
        assert GraphSpec.parse(version.spec) == before.replace({"osc.coupling": 0.25})
        assert AuditEvent.objects.get(action="run.apply").data["params"] == {"osc.coupling": 0.25}
    # A second time makes nothing new.
    assert fits.apply_fit(ann.user, run) == version


def test_a_graph_that_changed_since_is_not_overwritten_unless_told(ann: Any) -> None:
    run = finished_fit(ann)
    with scope(ann.workspace.id):
        changed = json.loads(json.dumps(latest_version(ann.graph).spec))
    changed["nodes"][0]["params"]["noise"] = 0.125
    add_version(ann.user, ann.workspace, ann.graph, changed)
    with pytest.raises(GraphChanged, match="at version 2; version 1 was fitted"):
        fits.apply_fit(ann.user, run)
    version = fits.apply_fit(ann.user, run, onto_newest=True)
    params = version.spec["nodes"][0]["params"]
    assert (version.number, params["noise"], params["coupling"]) == (3, 0.125, 0.25)


def test_only_a_fit_that_succeeded_is_applied(ann: Any) -> None:
    for run in (fit(ann), ann.submit()):
        with pytest.raises(NothingToApply):
            fits.apply_fit(ann.user, run)


# --- REST ------------------------------------------------------------------------------------------------


def new_sweep(tenant: Any, **more: Any) -> dict[str, Any]:
    return {"graph": str(tenant.graph.pk), "axes": [COUPLING], "ticks": 10, "seed": 3, **more}


def test_a_sweep_by_rest_is_made_once_for_a_key_and_listed_among_the_runs(ann: Any) -> None:
    send = {"data": new_sweep(ann), "content_type": "application/json", "headers": {"Idempotency-Key": "k"}}
    first, second = (ann.client.post(f"{ann.root}/sweeps/", **send) for _ in range(2))
    assert first.status_code == second.status_code == 201
    run = first.json()
    assert run["id"] == second.json()["id"]
    assert (run["kind"], run["points_total"], run["design"]["sampling"], run["origin"]) == ("sweep", 4, "grid", None)
    (listed,) = ann.get("/runs/").json()["results"]
    assert (listed["kind"], listed["points_total"]) == ("sweep", 4)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"axes": []}, "axes"),
        ({"axes": [{"target": "osc.coupling"}]}, "axes"),
        ({"axes": [{"target": "osc.coupling", "values": [1], "min": 0, "max": 1}]}, "axes"),
        ({"axes": [{"target": "osc.coupling", "min": 0}]}, "axes"),
        ({"axes": [COUPLING], "sampling": "latin"}, "sampling"),
        ({"wrong": 1}, "wrong"),
        ({"points": 0}, "points"),
    ],
)
def test_a_malformed_sweep_says_what_is_wrong_with_it(ann: Any, change: dict[str, Any], place: str) -> None:
    answer = ann.post("/sweeps/", new_sweep(ann, **change))
    assert answer.status_code == 400
    assert all(problem["place"].startswith(place) for problem in answer.json()["problems"])


def test_ten_to_the_nine_points_are_422_by_rest(ann: Any) -> None:
    answer = ann.post("/sweeps/", new_sweep(ann, axes=[{**COUPLING, "steps": 10**9}]))
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["place"] == "axes"


def test_points_come_in_pages_and_by_state(ann: Any) -> None:
    run = sweep(ann, {**COUPLING, "steps": 40})
    with scope(ann.workspace.id):
        attempt = services.claim(run.pk, "w")
        points.record_points(attempt, [done(k, error=FAILED if k % 8 == 0 else None) for k in range(40)])
    found, path = [], f"/runs/{run.pk}/points/?page_size=15"
    while path:
        page = ann.get(path).json()
        found += [point["index"] for point in page["results"]]
        path = page["next"] and page["next"].split(ann.root)[1]
    assert found == list(range(40))
    failed = ann.get(f"/runs/{run.pk}/points/?state=failed").json()["results"]
    assert [(point["index"], point["error"]["node"]) for point in failed] == [(k, "osc") for k in range(0, 40, 8)]
    assert ann.get(f"/runs/{run.pk}/points/?state=odd").status_code == 400


def test_events_of_points_are_numbered_like_the_others(ann: Any) -> None:
    run = sweep(ann)
    with scope(ann.workspace.id):
        points.record_points(services.claim(run.pk, "w"), [done(0)])
        assert list(RunEvent.objects.filter(run=run).values_list("seq", "kind")) == [
            (1, "status"), (2, "status"), (3, "points"),
        ]  # fmt: skip


def test_seeds_are_swept_over_a_range_by_the_api(ann: Any) -> None:
    """JSON knows one kind of number, and seeds are whole ones."""
    axes = [
        {"target": "seed", "min": 0, "max": 4, "steps": 3},
        {"target": "osc.coupling", "min": 0, "max": 1, "steps": 2},
    ]
    answer = ann.post("/sweeps/", new_sweep(ann, axes=axes))
    assert answer.status_code == 201, answer.content
    row = ann.look(Run(pk=answer.json()["id"]))
    assert row.points_total == 6
    ends = [(axis["min"], axis["max"]) for axis in row.design["axes"]]
    assert [[type(end) for end in one] for one in ends] == [[int, int], [float, float]]
    refused = ann.post("/sweeps/", new_sweep(ann, axes=[{"target": "seed", "min": 0.5, "max": 4, "steps": 3}]))
    assert "0.5 is no seed" in refused.json()["problems"][0]["message"]
    assert ann.post("/sweeps/", new_sweep(ann, axes=[{**axes[0], "max": 10**400}])).status_code in (400, 422)
