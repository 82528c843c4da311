"""What operators see of workspaces and runs, and do with them; and that nobody else sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from authenticators import Person
from django.conf import settings
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.test import Client
from django.utils import timezone

from apps.accounts.deletion import delete_account
from apps.accounts.models import User
from apps.console import looking
from apps.console import runs as run_services
from apps.console import workspaces as services
from apps.console.models import OperatorEvent
from apps.console.rights import Right
from apps.ops.refusal import Invalid
from apps.runs import services as runs
from apps.runs.models import RunAttempt
from apps.runs.refusals import RunIsOver
from apps.sharing.services import share
from apps.workspaces import deletion, plans
from apps.workspaces.models import AuditEvent, Workspace
from apps.workspaces.permissions import WorkspaceSuspended
from apps.workspaces.refusals import NotClosing
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db

WHY = "reported by its hoster"


def act(client: Client, path: str, name: str, /, **fields: Any) -> Any:
    given = {f"{name}-{key}": value for key, value in {"reason": WHY, **fields}.items()}
    return client.post(path, {"act": name, **given})


def log_of(tenant: Any) -> list[AuditEvent]:
    with scope(tenant.workspace.pk):
        return list(AuditEvent.objects.select_related("actor").order_by("at"))


def rows(sql: str, *given: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return list(cursor.fetchall())


def test_the_list_is_of_all_tenants_and_each_look_is_written(console: Client, ann: Any, bob: Any) -> None:
    page = console.get("/admin/workspaces/").content.decode()
    assert ann.workspace.slug in page
    assert bob.workspace.slug in page
    assert ann.workspace.slug not in console.get("/admin/workspaces/?q=bob@example.org").content.decode()
    looks = OperatorEvent.objects.filter(action="workspaces.list").order_by("at")
    assert [(one.operator.email, one.data) for one in looks if one.operator] == [
        ("root@example.org", {}), ("root@example.org", {"sought": "bob@example.org"})
    ]  # fmt: skip
    assert console.get(f"/admin/workspaces/{ann.workspace.pk}/").status_code == 200
    (look,) = OperatorEvent.objects.filter(action="workspace.look")
    assert look.object_id == str(ann.workspace.pk)


def test_one_workspace_shows_members_usage_and_quotas_of_it_alone(console: Client, ann: Any, bob: Any) -> None:
    ann.submit()
    page = console.get(f"/admin/workspaces/{ann.workspace.pk}/").content.decode()
    for part in (ann.user.email, "active runs", "compute seconds"):
        assert part in page
    assert bob.user.email not in page
    assert console.get("/admin/workspaces/00000000-0000-0000-0000-000000000000/").status_code == 404


def test_the_database_itself_asks_for_an_operator(ann: Any, bob: Any, root: Person) -> None:
    """Whatever the application's code says: the functions look, and nothing else leads past the policies."""
    calls = (
        "operator_workspaces(%s, '', '', '', 9, 0)", "operator_runs(%s, '', NULL, '', '', '', NULL, NULL, 9, 0)",
        "operator_audit(%s, '', NULL, '', '', '', NULL, NULL, 9, 0)",
    )  # fmt: skip
    ann.submit()
    for call in calls:
        before = OperatorEvent.objects.count()
        asked = f"SELECT * FROM {call}"  # noqa: S608 a call of ours
        assert rows(asked, root.user.pk)
        assert OperatorEvent.objects.count() == before + 1, "the look writes itself"
        for nobody in (ann.user.pk, "00000000-0000-0000-0000-000000000000"):
            with pytest.raises(ProgrammingError, match="Only an operator"), transaction.atomic():
                rows(asked, nobody)
        assert rows("SELECT count(*) FROM runs_run") == [(0,)], "nothing stays open"
    rows("SELECT set_config('app.operating', 'on', true)")
    for table in ("workspaces_workspace", "workspaces_membership", "workspaces_auditevent", "runs_run"):
        assert rows(f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608 a name of ours
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        rows("SELECT operator_enters(%s, 'x', '{}'::jsonb, '')", root.user.pk)


@pytest.mark.parametrize("field", ["is_staff", "is_active", "mfa_since"])
def test_who_was_an_operator_is_none_for_the_database_either(root: Person, field: str) -> None:
    User.objects.filter(pk=root.user.pk).update(**{field: None if field == "mfa_since" else False})
    with pytest.raises(ProgrammingError, match="Only an operator"), transaction.atomic():
        rows("SELECT * FROM operator_workspaces(%s, '', '', '', 9, 0)", root.user.pk)


def test_a_suspended_workspace_is_only_read(console: Client, ann: Any, bob: Any, events: Any) -> None:
    run = ann.submit()
    _, token = share(ann.user, run, visibility="anyone")
    assert Client().get(f"/s/{token}/").status_code == 200
    path = f"/admin/workspaces/{ann.workspace.pk}/"
    assert act(console, path, "suspend").status_code == 302
    assert events() == ["workspace.suspend"]
    entry = log_of(ann)[-1]
    assert (entry.action, entry.actor.email, entry.data["reason"]) == ("workspace.suspend", "root@example.org", WHY)
    refused = ann.post("/runs/", {"graph": str(ann.graph.pk)})
    assert (refused.status_code, refused.json()["code"]) == (403, "workspace_suspended")
    with pytest.raises(WorkspaceSuspended):
        ann.submit()
    assert ann.get("/runs/").status_code == 200
    assert Client().get(f"/s/{token}/").status_code == 404
    assert "is suspended" in ann.client.get(f"/w/{ann.workspace.slug}/").content.decode()
    assert ann.look(run).state == "queued", "what was queued goes on"
    assert bob.submit().state == "queued"

    assert act(console, path, "resume").status_code == 302
    assert events() == ["workspace.resume"]
    assert log_of(ann)[-1].action == "workspace.resume"
    assert Client().get(f"/s/{token}/").status_code == 200
    ann.submit()


def evidence(tenant: Any) -> tuple[Workspace | None, int]:
    with scope(tenant.workspace.pk):
        return Workspace.objects.filter(pk=tenant.workspace.pk).first(), AuditEvent.objects.count()


def test_its_owner_neither_deletes_nor_restores_a_suspended_one(console: Client, ann: Any, bob: Any) -> None:
    deletion.close(bob.user, bob.workspace)
    for tenant in (ann, bob):
        act(console, f"/admin/workspaces/{tenant.workspace.pk}/", "suspend")
    before = [evidence(tenant)[1] for tenant in (ann, bob)]
    page = f"/w/{ann.workspace.slug}/settings/"
    json: dict[str, Any] = {"content_type": "application/json", "headers": {"If-Match": "*"}}
    for answer in (ann.client.delete(f"{ann.root}/", **json), bob.client.post(f"{bob.root}/restore/", **json)):
        assert (answer.status_code, answer.json()["code"]) == (403, "workspace_suspended")
    assert ann.client.get(f"{page}delete/").status_code == 403
    assert ann.client.post(f"{page}delete/", {"name": ann.workspace.name}).status_code == 403
    assert bob.client.post(f"/w/{bob.workspace.slug}/settings/restore/").status_code == 403
    assert "Delete this workspace" not in ann.client.get(page).content.decode()
    assert [evidence(tenant)[1] for tenant in (ann, bob)] == before
    found = [evidence(tenant)[0] for tenant in (ann, bob)]
    assert [one is not None and one.delete_at is not None for one in found] == [False, True]


def test_a_suspended_workspace_outlives_its_last_members_account(
    console: Client, ann: Any, django_capture_on_commit_callbacks: Any
) -> None:
    path = f"/admin/workspaces/{ann.workspace.pk}/"
    act(console, path, "suspend")
    with scope(ann.workspace.pk):
        # Long enough that the days of the suspension tell.
        Workspace.objects.filter(pk=ann.workspace.pk).update(suspended_at=timezone.now() - timedelta(hours=1))
    before = evidence(ann)[1]
    with django_capture_on_commit_callbacks(execute=True):
        delete_account(ann.user)
    assert not User.objects.get(pk=ann.user.pk).is_active
    assert deletion.to_purge() == []
    assert not deletion.purge(ann.workspace.pk)
    workspace, entries = evidence(ann)
    assert workspace is not None
    assert entries > before
    with pytest.raises(IntegrityError, match="never deleted"), scope(ann.workspace.pk):
        AuditEvent.objects.all().delete()
    assert act(console, path, "end_grace", slug=ann.workspace.slug).status_code == 400
    assert deletion.to_purge() == []
    act(console, path, "resume")
    assert act(console, path, "end_grace", slug=ann.workspace.slug).status_code == 302
    assert deletion.to_purge() == [ann.workspace.pk]


def test_the_time_of_a_suspension_is_none_of_the_grace(root: Person, ann: Any) -> None:
    until = deletion.close(ann.user, ann.workspace).delete_at
    services.suspend(root.user, ann.workspace.pk, WHY)
    long_ago = timezone.now() - timedelta(days=30)
    with scope(ann.workspace.pk):
        Workspace.objects.update(suspended_at=long_ago, delete_at=until - timedelta(days=30))
    assert deletion.to_purge() == [], "its days are over, and it is suspended"
    resumed = services.resume(root.user, ann.workspace.pk, WHY)
    assert until <= resumed.delete_at < until + timedelta(minutes=1)
    deletion.restore(ann.user, ann.workspace)


def test_its_runs_are_cancelled_if_the_operator_says_so(console: Client, ann: Any, bob: Any) -> None:
    run, other = ann.submit(), bob.submit()
    act(console, f"/admin/workspaces/{ann.workspace.pk}/", "suspend", cancel_runs="on")
    assert (ann.look(run).state, bob.look(other).state) == ("cancelled", "queued")


def test_a_quota_is_changed_for_one_workspace(console: Client, ann: Any, bob: Any, events: Any) -> None:
    path = f"/admin/workspaces/{ann.workspace.pk}/"
    said = plans.quotas(bob.workspace.pk)
    assert act(console, path, "set_quota", name="active_runs", value="1").status_code == 302
    assert events() == ["quota.change"]
    entry = log_of(ann)[-1]
    assert entry.action == "quota.change"
    assert entry.data == {
        "reason": WHY, "name": "active_runs", "value": 1, "value_before": said.active_runs, "as_the_plan": False,
    }  # fmt: skip
    assert plans.quotas(ann.workspace.pk).active_runs == 1
    assert plans.quotas(ann.workspace.pk).nodes == said.nodes
    assert plans.quotas(bob.workspace.pk).active_runs == said.active_runs
    ann.submit()
    assert ann.post("/runs/", {"graph": str(ann.graph.pk)}).status_code == 429
    bob.submit(), bob.submit()
    used = {one["name"]: one for one in ann.get("/usage/").json()["measures"]}
    assert used["active_runs"]["allowed"] == 1
    assert act(console, path, "set_quota", name="active_runs", value="").status_code == 302
    assert plans.quotas(ann.workspace.pk).active_runs == said.active_runs
    ann.submit()


@pytest.mark.parametrize(("name", "value"), [("runs", 1.0), ("nodes", -1.0), ("nodes", 1.5), ("nodes", float("inf"))])
def test_a_quota_that_is_none_is_refused(root: Person, ann: Any, name: str, value: float) -> None:
    with pytest.raises(Invalid):
        services.set_quota(root.user, ann.workspace.pk, name, value, WHY)


def test_the_grace_of_a_deletion_is_ended(console: Client, ann: Any, root: Person, events: Any) -> None:
    path = f"/admin/workspaces/{ann.workspace.pk}/"
    with pytest.raises(NotClosing):
        services.end_grace(root.user, ann.workspace.pk, ann.workspace.slug, WHY)
    assert act(console, path, "end_grace", slug=ann.workspace.slug).status_code == 400
    deletion.close(ann.user, ann.workspace)
    assert deletion.to_purge() == []
    assert act(console, path, "end_grace", slug="another").status_code == 422
    assert events() == []
    assert act(console, path, "end_grace", slug=ann.workspace.slug).status_code == 302
    assert events() == ["workspace.end_grace"]
    assert deletion.to_purge() == [ann.workspace.pk]
    Path(settings.MEDIA_ROOT).mkdir(parents=True, exist_ok=True)
    assert deletion.purge(ann.workspace.pk)
    with scope(ann.workspace.pk):
        assert not Workspace.objects.filter(pk=ann.workspace.pk).exists()
    assert OperatorEvent.objects.filter(object_id=str(ann.workspace.pk), action="workspace.end_grace").exists()


def test_runs_of_all_tenants_are_listed_and_narrowed(root: Person, ann: Any, bob: Any) -> None:
    waiting, other = ann.submit(), bob.submit()
    with scope(bob.workspace.pk):
        attempt = runs.claim(other.pk, "w1")
        runs.finish(attempt, "failed", error=runs.worker_lost(0))
    find = lambda **by: {one.id for one in looking.runs(root.user, **by)}  # noqa: E731
    assert find() == {waiting.pk, other.pk}
    assert find(state="queued") == find(workspace=ann.workspace.pk) == {waiting.pk}
    assert find(failure="worker_lost") == find(state="failed") == {other.pk}
    assert find(kind="sweep") == find(after=timezone.now() + timedelta(hours=1)) == set()
    assert find(before=timezone.now() + timedelta(hours=1)) == {waiting.pk, other.pk}
    (line,) = looking.runs(root.user, failure="worker_lost")
    assert (line.slug, line.attempts, line.submitted_by) == (bob.workspace.slug, 1, bob.user.email)


def test_a_run_is_looked_at_with_its_attempts_and_failure(console: Client, ann: Any, bob: Any) -> None:
    run = ann.submit()
    with scope(ann.workspace.pk):
        runs.finish(runs.claim(run.pk, "worker-of-7"), "failed", error=runs.worker_lost(3))
    page = console.get(f"/admin/runs/{ann.workspace.pk}/{run.pk}/").content.decode()
    for part in ("worker-of-7", "worker_lost", "Submit the run again"):
        assert part in page
    assert "Cancel it" not in page, "it is over"
    assert console.get(f"/admin/runs/{bob.workspace.pk}/{run.pk}/").status_code == 404


def test_a_run_is_cancelled(console: Client, ann: Any, events: Any) -> None:
    waiting, running = ann.submit(), ann.submit()
    with scope(ann.workspace.pk):
        runs.claim(running.pk, "w")
    for run, state in ((waiting, "cancelled"), (running, "running")):
        assert act(console, f"/admin/runs/{ann.workspace.pk}/{run.pk}/", "cancel").status_code == 302
        assert ann.look(run).state == state
        assert ann.look(run).last_command == 1
        assert events() == ["run.cancel"]
        entry = log_of(ann)[-1]
        assert (entry.action, entry.object_id, entry.data) == (
            "run.cancel", str(run.pk), {"reason": WHY, "by_operator": True}
        )  # fmt: skip
    assert act(console, f"/admin/runs/{ann.workspace.pk}/{waiting.pk}/", "cancel").status_code == 400


def test_a_run_that_is_stuck_goes_on(
    console: Client, root: Person, ann: Any, events: Any, monkeypatch: Any, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr("apps.runs.queue.send", lambda *given: sent.append(given))
    run = ann.submit()
    path = f"/admin/runs/{ann.workspace.pk}/{run.pk}/"
    with django_capture_on_commit_callbacks(execute=True):
        assert act(console, path, "requeue").status_code == 302
    assert sent == [(ann.workspace.pk, run.pk)]
    with scope(ann.workspace.pk):
        attempt = runs.claim(run.pk, "w")
    with pytest.raises(RunIsOver, match="lease has not ended"):
        run_services.requeue(root.user, ann.workspace.pk, run.pk, WHY)
    with scope(ann.workspace.pk):
        RunAttempt.objects.filter(pk=attempt.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert act(console, path, "requeue").status_code == 302
    assert ann.look(run).state == "queued"
    assert events() == ["run.requeue", "run.requeue"]
    run_services.cancel(root.user, ann.workspace.pk, run.pk, WHY)
    with pytest.raises(RunIsOver):
        run_services.requeue(root.user, ann.workspace.pk, run.pk, WHY)


def test_the_logs_of_all_are_searched_and_taken_away(console: Client, ann: Any, bob: Any) -> None:
    ann.submit(), bob.submit()
    page = console.get(f"/admin/audit/?action=run&person={ann.user.email}").content.decode()
    assert "run.submit" in page
    assert ann.workspace.slug in page
    assert bob.workspace.slug not in page
    file = console.get(f"/admin/audit/export/?as=jsonl&workspace={bob.workspace.pk}&action=run.submit")
    (line,) = file.content.decode().splitlines()
    assert bob.workspace.slug in line
    assert file.headers["Content-Disposition"] == 'attachment; filename="audit.jsonl"'
    assert console.get("/admin/audit/export/?as=csv").content.decode().startswith("id,at,workspace_id")
    assert console.get("/admin/audit/export/?as=exe").status_code == 400
    assert console.post("/admin/audit/").status_code == 405
    assert OperatorEvent.objects.filter(action="audit.export").count() == 2
    log = console.get("/admin/operators/?action=audit").content.decode()
    assert "audit.export" in log


def test_a_look_at_a_list_says_from_where(console: Client, root: Person) -> None:
    for page in ("workspaces", "runs", "audit"):
        console.get(f"/admin/{page}/", REMOTE_ADDR="2001:db8::7")
    looks = OperatorEvent.objects.filter(action__in=("workspaces.list", "runs.list", "audit.search"))
    assert sorted((row.action, row.address) for row in looks) == [
        ("audit.search", "2001:db8::7"), ("runs.list", "2001:db8::7"), ("workspaces.list", "2001:db8::7")
    ]  # fmt: skip
    assert "2001:db8::7" in console.get("/admin/operators/?action=runs").content.decode()
    looking.runs(root.user)  # outside of any request it is from nowhere
    assert OperatorEvent.objects.filter(action="runs.list", address=None).count() == 1


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_file_that_leaves_entries_out_says_so(
    console: Client, ann: Any, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr("apps.console.views.audit.MOST_EXPORTED", 2)
    ann.submit()
    address = f"/admin/audit/export/?as={form}&workspace={ann.workspace.pk}"
    cut = console.get(address)
    *lines, last = cut.content.decode().splitlines()
    assert len(lines) == (3 if form == "csv" else 2)
    said = last.strip('"') if form == "csv" else json.loads(last)["left_out"]
    assert said == "There are older entries than these 2. Search for those until a time, and take them too."
    assert OperatorEvent.objects.get(action="audit.export").data["left_out"] is True
    whole = console.get(f"{address}&action=run.submit").content.decode()
    assert "older entries" not in whole
    assert len(whole.splitlines()) == (2 if form == "csv" else 1)
    assert "A file has the newest 2 of the entries" in console.get("/admin/audit/").content.decode()


def test_texts_name_their_characters(console: Client) -> None:
    assert console.get("/admin/audit/export/?as=csv").headers["Content-Type"] == "text/csv; charset=utf-8"
    for answer in (console.get("/admin/audit/export/?as=exe"), console.post("/admin/banners/", {"act": "nothing"})):
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")


def test_each_kind_of_write_needs_its_own_right(ann: Any, operator: Callable[..., Person]) -> None:
    from django.core.exceptions import PermissionDenied

    olga = operator(*(set(Right) - {Right.WORKSPACES, Right.RUNS})).user
    run = ann.submit()
    for do in (
        lambda: services.suspend(olga, ann.workspace.pk, WHY),
        lambda: services.set_quota(olga, ann.workspace.pk, "nodes", 1, WHY),
        lambda: services.end_grace(olga, ann.workspace.pk, ann.workspace.slug, WHY),
        lambda: run_services.cancel(olga, ann.workspace.pk, run.pk, WHY),
        lambda: run_services.requeue(olga, ann.workspace.pk, run.pk, WHY),
    ):
        with pytest.raises(PermissionDenied):
            do()


def test_the_networks_are_those_of_the_registry(console: Client) -> None:
    from models.registry import ZOO, read_card

    page = console.get("/admin/models/").content.decode()
    for reference, entry in ZOO.items():
        assert reference in page
        assert read_card(entry).weights.sha256 in page
    assert "NO: it is missing" not in page
    assert console.post("/admin/models/").status_code == 405
