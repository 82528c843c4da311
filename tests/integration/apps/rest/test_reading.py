"""What can be read besides the things themselves: attempts, checkpoints, checks, usage."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.projects.models import Graph
from apps.runs import services
from apps.runs.failure import Failure
from apps.runs.models import Run
from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan

pytestmark = pytest.mark.django_db

SPEC: dict[str, Any] = {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": 16}}], "edges": []}


def test_attempts_and_checkpoints_of_a_run(ann: Any) -> None:
    run = ann.submit()
    with scope(ann.workspace.id):
        first = services.claim(run.pk, "secret-host:1")
    services.record_checkpoint(first, "a" * 64, 5, 100)
    services.record_checkpoint(first, "b" * 64, 9, 200)
    services.hand_over(first, Failure("worker_lost", "gone", "wait"))
    with scope(ann.workspace.id):
        services.claim(run.pk, "secret-host:2")
    answer = ann.get(f"/runs/{run.pk}/attempts/")
    newest, oldest = answer.json()["results"]
    assert (newest["number"], newest["state"], newest["finished_at"]) == (2, "running", None)
    assert (oldest["number"], oldest["state"], oldest["reached"]) == (1, "lost", 9)
    assert "secret-host" not in answer.content.decode(), "where workers run is the operator's"
    assert [one["number"] for one in ann.get(f"/runs/{run.pk}/attempts/?state=lost").json()["results"]] == [1]
    kept = ann.get(f"/runs/{run.pk}/checkpoints/").json()["results"]
    assert [(one["content"], one["attempt"], one["tick"], one["size"]) for one in kept] == [
        ("b" * 64, 1, 9, 200), ("a" * 64, 1, 5, 100),
    ]  # fmt: skip


def test_a_check_says_what_a_run_would_take_and_keeps_nothing(ann: Any) -> None:
    with scope(ann.workspace.id):
        before = Graph.objects.count(), Run.objects.count(), AuditEvent.objects.count()
    found = ann.post("/graphs/check/", {"spec": SPEC, "ticks": 250}).json()
    plan = Plan.of(GraphSpec.parse(SPEC))
    assert (found["ok"], found["problems"]) == (True, [])
    assert found["estimate"] == {
        "content_hash": plan.spec.content_hash,
        "nodes": 1,
        "ticks": 250,
        "memory_bytes": plan.estimate.memory_bytes,
        "flops_per_tick": plan.estimate.flops_per_tick,
        "flops": 250 * plan.estimate.flops_per_tick,
        "simulated_s": 2.5,  # 100 ticks a second
        "expected_s": None,
    }
    with scope(ann.workspace.id):
        assert (Graph.objects.count(), Run.objects.count(), AuditEvent.objects.count()) == before


def test_the_time_a_run_takes_is_expected_from_those_before(ann: Any, bob: Any) -> None:
    """Twice the work of the median run, which took 3 s."""
    for tenant, seconds in ((ann, 1), (ann, 3), (ann, 50), (bob, 1000)):
        run = tenant.submit(ticks=100)
        with scope(tenant.workspace.id):
            attempt = services.claim(run.pk, "w")
            begin = timezone.now() - timedelta(seconds=seconds)
            Run.objects.filter(pk=run.pk).update(started_at=begin)
            services.finish(attempt, "succeeded", result={}, result_hash="h")
    expected = ann.post("/graphs/check/", {"spec": SPEC, "ticks": 200}).json()["estimate"]["expected_s"]
    assert expected == pytest.approx(6.0, rel=0.2)


def test_everything_for_which_a_run_would_be_refused_is_said(ann: Any, settings: Any) -> None:
    bad = {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"N": -1, "couplin": 1}}], "edges": []}
    found = ann.post("/graphs/check/", {"spec": bad}).json()
    assert (found["ok"], found["estimate"]) == (False, None)
    assert {problem["place"] for problem in found["problems"]} == {"nodes.osc.params.N", "nodes.osc.params.couplin"}
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"memory": 1, "flops": 1.0})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    found = ann.post("/graphs/check/", {"spec": SPEC, "ticks": 0}).json()
    assert not found["ok"]
    assert found["estimate"]["nodes"] == 1
    assert {problem["place"] for problem in found["problems"]} == {"graph", "ticks"}
    refused = ann.post("/runs/", {"graph": str(ann.graph.pk), "ticks": 0})
    assert refused.json()["problems"] == found["problems"], "the same words as when it is submitted"


def test_usage_is_what_quotas_count(ann: Any, bob: Any, settings: Any) -> None:
    bob.submit()
    runs = [ann.submit(), ann.submit()]
    measures = {one["name"]: one for one in ann.get("/usage/").json()["measures"]}
    quotas = settings.ATTRACTOR.quotas
    assert (measures["active_runs"]["used"], measures["active_runs"]["allowed"]) == (2, quotas.active_runs)
    assert measures["memory"]["used"] == sum(run.memory_bytes for run in runs)
    assert measures["memory"]["allowed"] == quotas.memory
    assert measures["flops"]["used"] == pytest.approx(sum(run.flops for run in runs))
    assert measures["compute"]["used"] == sum(run.max_seconds for run in runs)
    assert {name for name, one in measures.items() if one["period"] == "month"} == {"compute"}
    for run in runs:
        ann.post(f"/runs/{run.pk}/cancel/", {})
    assert {one["used"] for one in ann.get("/usage/").json()["measures"]} == {0}


def test_a_workspace_says_what_one_may_do_there(ann: Any) -> None:
    found = ann.get("/").json()
    assert (found["slug"], found["role"]) == (ann.workspace.slug, "owner")
    assert {"graph.write", "workspace.manage"} <= set(found["may"])
