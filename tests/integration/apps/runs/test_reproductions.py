"""Manifests, what stands in the way of a reproduction, and its verdict; the computing itself is the workers'."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.db import Error, connection, transaction
from django.utils import timezone

from apps.ops.preconditions import ANY
from apps.projects.services import edit_graph
from apps.runs import selectors, services, sweeps, transitions
from apps.runs.models import Reproduction, Retention, RunSegment, RunTrail
from apps.runs.points import DonePoint, hash_of, record_points
from apps.runs.reproductions import reproduce
from apps.runs.sweeping import sweep
from apps.runs.verdicts import KeptTrail
from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan, Session
from attractor.control import ControlChange
from attractor.trail import Trail

TICKS = 60
EMPTY = {"columns": [], "ticks": TICKS, "stride": 1, "ends": {}}


def computed(spec: dict[str, Any], controls: Any = (), seed: int = 7) -> Session:
    session = Session(Plan.of(GraphSpec.parse(spec)), seed=seed, ticks=TICKS, controls=controls, trail=True)
    session.run()
    return session


def end(tenant: Any, run: Any, session: Session, **manifest: Any) -> None:
    """What a worker writes that has computed the run."""
    trail = session.finished_trail()
    result = session.result().as_dict()
    with scope(tenant.workspace.id):
        services.finish(
            services.claim(run.pk, "w"), "succeeded", tick=TICKS, result=result, result_hash=result["result_hash"],
            manifest={**session.manifest(), **manifest}, trail=KeptTrail(trail.describe(), trail.packed()),
        )  # fmt: skip


def ended(tenant: Any, session: Session, **manifest: Any) -> Any:
    run = tenant.submit(ticks=TICKS)
    end(tenant, run, session, **manifest)
    return selectors.run(tenant.workspace, run.pk)


def verdict(tenant: Any, run: Any) -> dict[str, Any]:
    answer = tenant.get(f"/runs/{run.pk}/verdict/")
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.fixture
def spec(ann: Any) -> dict[str, Any]:
    with scope(ann.workspace.id):
        return ann.graph.versions.get().spec


def test_a_manifest_grows_with_the_run(ann: Any, spec: dict[str, Any]) -> None:
    run = ann.submit(ticks=TICKS)
    waiting = ann.get(f"/runs/{run.pk}/manifest/").json()
    assert (waiting["seed"], waiting["ticks"], waiting["tier"], waiting["control_log"]) == (7, TICKS, None, [])
    session = Session(Plan.of(GraphSpec.parse(spec)), seed=7, ticks=TICKS)
    with scope(ann.workspace.id):
        attempt = services.claim(run.pk, "w")
        services.record_manifest(attempt, session.manifest())
        services.command(ann.user, run, "control", {"target": "osc.coupling", "value": 0.5})
        services.apply_command(attempt, 1, 20)
    running = ann.get(f"/runs/{run.pk}/manifest/").json()
    assert running["versions"] == session.manifest()["versions"]
    assert running["kinds"] == {"osc.array": 1}
    assert running["control_log"] == [{"tick": 20, "target": "osc.coupling", "value": 0.5}]
    with scope(ann.workspace.id):
        services.finish(attempt, "cancelled")
    over = ann.get(f"/runs/{run.pk}/manifest/").json()
    assert over == running | {"state": "cancelled"}


def test_the_same_again_is_equal(ann: Any, spec: dict[str, Any]) -> None:
    changes = [ControlChange(20, "osc.coupling", 0.5)]
    first = ended(ann, computed(spec, changes))
    assert ann.get(f"/runs/{first.pk}/reproducibility/").json() == {
        "possible": True, "faults": [], "changed": [], "note": "",
    }  # fmt: skip
    answer = ann.post(f"/runs/{first.pk}/reproduce/", {})
    assert answer.status_code == 201, answer.content
    again = selectors.run(ann.workspace, answer.json()["id"])
    assert (again.origin_id, again.graph_version_id) == (first.pk, first.graph_version_id)
    assert again.recording == first.recording != []
    assert (again.seed, again.ticks, again.max_seconds) == (first.seed, first.ticks, first.max_seconds)
    assert verdict(ann, again)["verdict"] == "waiting"
    end(ann, again, computed(spec, changes))
    said = verdict(ann, again)
    assert (said["verdict"], said["first"], said["changed"]) == ("equal", None, [])
    assert said["of"] == str(first.pk)
    assert said["message"] == "Equal: the same result hash, and the same values on the way."
    with scope(ann.workspace.id):
        (told,) = [one for one in selectors.events_after(again, 0) if one.kind == "log"]
    assert told.payload["message"].startswith("Equal")


@pytest.mark.parametrize("tick", [0, 1, 33, TICKS - 1])
def test_one_that_parts_at_a_tick_names_it_and_the_node(ann: Any, spec: dict[str, Any], tick: int) -> None:
    first = ended(ann, computed(spec))
    again = reproduce(ann.user, first)
    end(ann, again, computed(spec, [ControlChange(tick, "osc.coupling", 0.9)]))
    said = verdict(ann, again)
    assert said["verdict"] == "different"
    assert (said["first"]["tick"], said["first"]["since"]) == (tick, tick - 1)
    assert said["first"]["places"][0].startswith("osc.")
    assert f"in tick {tick}. Nothing that was recorded explains it" in said["message"]


def test_one_digest_that_was_altered_is_found_though_the_ends_are_alike(ann: Any, spec: dict[str, Any]) -> None:
    first = ended(ann, computed(spec))
    altered = computed(spec)
    assert altered.trail is not None
    column = altered.trail.columns.index("osc.sync")
    altered.trail.rows[41, column] ^= np.uint32(1)
    again = reproduce(ann.user, first)
    end(ann, again, altered)
    said = verdict(ann, again)
    assert said["expected"] == said["result_hash"]
    assert (said["verdict"], said["first"]["tick"], said["first"]["places"]) == ("different", 41, ["osc.sync"])


def test_what_changed_since_is_warned_of_and_named_with_the_verdict(ann: Any, spec: dict[str, Any]) -> None:
    session = computed(spec)
    then = {**session.manifest()["versions"], "torch": "1.0"}
    first = ended(ann, session, versions=then, device="cpu vax", tier="kernels", kinds={"osc.array": 0})
    warned = {one["what"]: one for one in ann.get(f"/runs/{first.pk}/reproducibility/").json()["changed"]}
    assert warned.keys() == {"device", "versions.torch", "kinds.osc.array"}
    assert warned["versions.torch"]["then"] == "1.0"
    again = reproduce(ann.user, first)
    end(ann, again, computed(spec, [ControlChange(5, "osc.coupling", 0.9)]))
    said = verdict(ann, again)
    assert {one["what"] for one in said["changed"]} == warned.keys() | {"tier"}
    assert "no fault by itself" in said["message"]


def refused(tenant: Any, run: Any) -> dict[str, Any]:
    answer = tenant.post(f"/runs/{run.pk}/reproduce/", {})
    assert answer.status_code == 409, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    prospect = tenant.get(f"/runs/{run.pk}/reproducibility/").json()
    assert not prospect["possible"]
    (problem,) = answer.json()["problems"]
    assert prospect["faults"] == [problem]
    with scope(tenant.workspace.id):
        assert not Reproduction.objects.exists()
    return problem


@pytest.mark.parametrize("state", ["queued", "running", "cancelled"])
def test_a_run_without_a_result_is_not_reproduced(ann: Any, state: str) -> None:
    run = ann.submit(ticks=TICKS)
    with scope(ann.workspace.id):
        if state == "running":
            services.claim(run.pk, "w")
        elif state == "cancelled":
            services.command(ann.user, run, "cancel")
    problem = refused(ann, run)
    assert problem["place"] == "run"
    assert ("Wait" if state != "cancelled" else "Submit") in problem["mend"]


def test_a_run_whose_graph_is_archived_is_not_reproduced(ann: Any, spec: dict[str, Any]) -> None:
    run = ended(ann, computed(spec))
    edit_graph(ann.user, ann.workspace, ann.graph.pk, ANY, archived=True)
    assert "archived" in refused(ann, run)["message"]


def test_a_run_whose_kinds_are_gone_is_not_reproduced(
    ann: Any, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from attractor import Registry

    run = ended(ann, computed(spec))
    empty = Registry([])
    monkeypatch.setattr(Registry, "default", classmethod(lambda cls: empty))
    problem = refused(ann, run)
    assert problem["place"].startswith("graph.nodes")
    assert "install" in problem["mend"]


def test_a_run_whose_weights_are_gone_or_others_is_not_reproduced(ann: Any, spec: dict[str, Any]) -> None:
    gone = {"detector": {"weights": "Nothing@3", "sha256": "0" * 64}}
    problem = refused(ann, ended(ann, computed(spec), weights=gone))
    assert (problem["place"], "gone" in problem["message"]) == ("weights.detector", True)
    others = {"detector": {"weights": "LogicGateDetector@1", "sha256": "0" * 64}}
    problem = refused(ann, ended(ann, computed(spec), weights=others))
    assert "others now" in problem["message"]
    assert "0" * 64 in problem["mend"]


def test_a_run_without_a_manifest_is_not_reproduced(ann: Any) -> None:
    run = ann.submit(ticks=TICKS)
    with scope(ann.workspace.id):
        services.finish(services.claim(run.pk, "w"), "succeeded", result={}, result_hash="h")
    assert refused(ann, run)["place"] == "manifest"


def test_a_reproduction_is_told_nothing_that_the_other_was_not(ann: Any, spec: dict[str, Any]) -> None:
    again = reproduce(ann.user, ended(ann, computed(spec)))
    answer = ann.post(f"/runs/{again.pk}/controls/", {"target": "osc.coupling", "value": 0.5})
    assert answer.status_code == 422
    assert "reproduces another" in answer.json()["problems"][0]["message"]
    assert ann.post(f"/runs/{again.pk}/pause/", {}).status_code == 202


def test_without_a_trail_a_difference_has_no_place_and_says_so(ann: Any, spec: dict[str, Any]) -> None:
    first = ended(ann, computed(spec))
    again = reproduce(ann.user, first)
    with scope(ann.workspace.id):
        RunTrail.objects.all().delete()
    end(ann, again, computed(spec, seed=8))
    said = verdict(ann, again)
    assert (said["verdict"], said["first"]) == ("different", None)
    assert "has no trail" in said["message"]


def test_trails_without_rows_in_common_do_not_hinder_the_end(ann: Any, spec: dict[str, Any]) -> None:
    """As after another version of a kind, which has another port: the hash decides."""
    first = ended(ann, computed(spec))
    same, other, broken = (reproduce(ann.user, first) for _ in range(3))

    def as_of_another_version(seed: int = 7) -> Session:
        session = computed(spec, seed=seed)
        kept = session.trail
        assert kept is not None
        session.trail = Trail(["osc.new", *kept.columns[1:]], kept.ticks, kept.stride, kept.rows, kept.ends)
        return session

    end(ann, same, as_of_another_version())
    end(ann, other, as_of_another_version(seed=8))
    with scope(ann.workspace.id):
        RunTrail.objects.filter(run=first).delete()
        RunTrail.objects.create(workspace=ann.workspace, run=first, description=EMPTY, digests=b"nothing")
    end(ann, broken, computed(spec))
    said = [verdict(ann, one) for one in (same, other, broken)]
    assert [(one["verdict"], one["first"]) for one in said] == [("equal", None), ("different", None), ("equal", None)]
    assert said[0]["message"].startswith("Equal: the same result hash. What was said on the way was not compared")


def test_only_what_was_compared_is_called_equal(ann: Any, spec: dict[str, Any]) -> None:
    """Trails with a row for every seventh tick say nothing of the others."""

    def rarely() -> Session:
        session = Session(Plan.of(GraphSpec.parse(spec)), seed=7, ticks=TICKS, trail=True)
        assert session.trail is not None
        session.trail = Trail(session.trail.columns, TICKS, 7)
        session.run()
        return session

    first = ended(ann, rarely())
    again = reproduce(ann.user, first)
    end(ann, again, rarely())
    assert "in every tick of which the trails keep a digest" in verdict(ann, again)["message"]


def test_a_run_is_reproduced_although_less_time_is_allowed_now(ann: Any, spec: dict[str, Any], settings: Any) -> None:
    first = ended(ann, computed(spec))
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"run_seconds": first.max_seconds - 1})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    assert ann.get(f"/runs/{first.pk}/reproducibility/").json()["possible"]
    assert reproduce(ann.user, first).max_seconds == first.max_seconds - 1


def test_a_reproduction_that_does_not_succeed_is_not_compared(ann: Any, spec: dict[str, Any]) -> None:
    again = reproduce(ann.user, ended(ann, computed(spec)))
    services.command(ann.user, again, "cancel")
    said = verdict(ann, again)
    assert (said["state"], said["verdict"]) == ("cancelled", "waiting")
    assert "was cancelled" in said["message"]


def test_a_sweep_names_the_first_point_that_differs(ann: Any) -> None:
    design = {"axes": [{"target": "osc.coupling", "values": [0.1, 0.2, 0.3]}], "sampling": "grid"}

    def swept(run: Any, hashes: list[str]) -> None:
        with scope(ann.workspace.id):
            attempt = services.claim(run.pk, "w")
            done = [DonePoint(i, {"osc.coupling": 0.1}, 1, result_hash=text) for i, text in enumerate(hashes)]
            record_points(attempt, done)
            manifest = {"tier": "eager", "control_log": []}
            services.finish(attempt, "succeeded", result={}, result_hash="".join(hashes), manifest=manifest)

    first = sweeps.submit_sweep(ann.user, ann.workspace, ann.graph, design, 1, 10)
    swept(first, ["sha256:a", "sha256:b", "sha256:c"])
    first = selectors.run(ann.workspace, first.pk)
    same, other = reproduce(ann.user, first), reproduce(ann.user, first)
    assert (same.kind, same.design, same.points_total) == ("sweep", first.design, 3)
    swept(same, ["sha256:a", "sha256:b", "sha256:c"])
    swept(other, ["sha256:a", "sha256:x", "sha256:y"])
    assert verdict(ann, same)["verdict"] == "equal"
    assert verdict(ann, other)["first"]["point"] == 1


def test_points_that_failed_alike_are_equal_whatever_else_was_said_of_them(ann: Any) -> None:
    """The hash of a sweep takes up code, node and tick of an error; its words may have a path or an address in them."""
    design = {"axes": [{"target": "osc.coupling", "values": [0.1]}], "sampling": "grid"}

    def swept(run: Any, message: str, tick: int = 4) -> None:
        error = {"code": "node_failed", "node": "osc", "tick": tick, "message": message, "mend": ""}
        done = DonePoint(0, {"osc.coupling": 0.1}, 1, error=error)
        with scope(ann.workspace.id):
            attempt = services.claim(run.pk, "w")
            record_points(attempt, [done])
            manifest = {"tier": "eager", "control_log": []}
            said = hash_of({0: done.identity})
            services.finish(attempt, "succeeded", result={}, result_hash=said, manifest=manifest)

    first = sweeps.submit_sweep(ann.user, ann.workspace, ann.graph, design, 1, 10)
    swept(first, "object at 0x1")
    first = selectors.run(ann.workspace, first.pk)
    same, other = reproduce(ann.user, first), reproduce(ann.user, first)
    swept(same, "object at 0x2")
    swept(other, "object at 0x1", tick=5)
    assert verdict(ann, same)["message"] == "Equal: the same result hash, and the same at every point."
    assert (verdict(ann, other)["verdict"], verdict(ann, other)["first"]["point"]) == ("different", 0)


def test_a_run_that_reproduces_none_has_no_verdict(ann: Any, spec: dict[str, Any]) -> None:
    assert ann.get(f"/runs/{ended(ann, computed(spec)).pk}/verdict/").status_code == 404


def test_the_verdict_outlives_the_run_that_is_reproduced(ann: Any, spec: dict[str, Any]) -> None:
    first = ended(ann, computed(spec))
    same, other = reproduce(ann.user, first), reproduce(ann.user, first)
    with scope(ann.workspace.id):
        first.delete()
    end(ann, same, computed(spec))
    end(ann, other, computed(spec, seed=8))
    assert [verdict(ann, one)["verdict"] for one in (same, other)] == ["equal", "different"]
    assert verdict(ann, same)["of"] is None
    assert "was not compared" in verdict(ann, same)["message"]


def kept_for(tenant: Any, days: int | None) -> None:
    with scope(tenant.workspace.id):
        Retention.objects.all().delete()
        Retention.objects.create(workspace_id=tenant.workspace.pk, artifact_days=days)


def ended_long_ago(tenant: Any, session: Session, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run that ended thirty days ago."""
    then = timezone.now() - timedelta(days=30)
    with monkeypatch.context() as patch:
        patch.setattr(transitions, "timezone", SimpleNamespace(now=lambda: then))
        return ended(tenant, session)


def storage_used(tenant: Any) -> float:
    return float(next(one["used"] for one in tenant.get("/usage/").json()["measures"] if one["name"] == "storage"))


def test_a_trail_counts_as_storage(ann: Any, spec: dict[str, Any]) -> None:
    assert storage_used(ann) == 0
    run = ended(ann, computed(spec))
    with scope(ann.workspace.id), connection.cursor() as cursor:
        # PostgreSQL's own word for what it holds.
        cursor.execute("SELECT octet_length(digests), octet_length(description::text) FROM runs_runtrail")
        ((digests, description),) = cursor.fetchall()
    assert digests > 0
    with scope(ann.workspace.id):
        segments = sum(RunSegment.objects.values_list("size", flat=True))
    assert storage_used(ann) == digests + description + segments
    with scope(ann.workspace.id):
        run.delete()
        assert not RunTrail.objects.exists()
    assert storage_used(ann) == 0


@pytest.mark.parametrize(("days", "usual", "kept"), [(None, 1, True), (40, 1, True), (20, None, False), (0, 20, False)])
def test_a_trail_goes_with_the_artifacts_of_its_age_and_its_verdict_says_so(
    ann: Any, spec: dict[str, Any], settings: Any, monkeypatch: pytest.MonkeyPatch,
    days: int | None, usual: int | None, kept: bool,
) -> None:  # fmt: skip
    runs = settings.ATTRACTOR.runs.model_copy(update={"keep_days": usual})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"runs": runs})
    if days != 0:
        kept_for(ann, days)
    first = ended_long_ago(ann, computed(spec), monkeypatch)
    same, other = reproduce(ann.user, first), reproduce(ann.user, first)
    sweep()
    sweep()
    with scope(ann.workspace.id):
        row = RunTrail.objects.get(run=first)
        assert AuditEvent.objects.filter(action="trail.expire").count() == (not kept)
    assert (row.gone, bytes(row.digests) != b"") == ("" if kept else "expired", kept)
    note = ann.get(f"/runs/{first.pk}/reproducibility/").json()["note"]
    end(ann, same, computed(spec))
    end(ann, other, computed(spec, seed=8))
    equal, different = verdict(ann, same), verdict(ann, other)
    assert (equal["verdict"], different["verdict"]) == ("equal", "different")
    if kept:
        assert note == ""
        assert equal["message"] == "Equal: the same result hash, and the same values on the way."
        assert different["first"]["tick"] == 0
    else:
        assert "Its trail was deleted when its time was over" in note
        deleted = "the trail of the run that it reproduces was deleted when its time was over"
        assert equal["message"].endswith(f"was not compared, because {deleted}.")
        assert f"where it began is not known, because {deleted}." in different["message"]
        assert different["first"] is None


def test_where_the_storage_is_used_up_a_run_ends_without_a_trail_and_says_so(
    ann: Any, spec: dict[str, Any], settings: Any
) -> None:
    first = ann.submit(ticks=TICKS, record=[])
    there = settings.ATTRACTOR
    quotas = there.quotas.model_copy(update={"storage": 10})
    settings.ATTRACTOR = there.model_copy(update={"quotas": quotas})
    end(ann, first, computed(spec))
    first = selectors.run(ann.workspace, first.pk)
    assert first.state == "succeeded"
    assert storage_used(ann) == 0
    with scope(ann.workspace.id):
        (told,) = [one for one in selectors.events_after(first, 0) if one.kind == "log"]
    assert "no trail of the run is kept" in told.payload["message"]
    again = reproduce(ann.user, first)
    settings.ATTRACTOR = there
    end(ann, again, computed(spec))
    said = verdict(ann, again)
    assert said["verdict"] == "equal"
    assert "was not kept: the storage was used up" in said["message"]


def test_a_reproduction_whose_own_trail_is_not_kept_is_compared_all_the_same(
    ann: Any, spec: dict[str, Any], settings: Any
) -> None:
    first = ended(ann, computed(spec))
    again = reproduce(ann.user, first)
    quotas = settings.ATTRACTOR.quotas.model_copy(update={"storage": 10})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})
    end(ann, again, computed(spec, [ControlChange(33, "osc.coupling", 0.9)]))
    assert verdict(ann, again)["first"]["tick"] == 33


def test_a_trail_is_never_changed(ann: Any, spec: dict[str, Any]) -> None:
    run = ended(ann, computed(spec))
    for change in ({"digests": b""}, {"gone": "expired"}):
        with scope(ann.workspace.id), pytest.raises(Error), transaction.atomic():
            RunTrail.objects.filter(run=run).update(**change)
