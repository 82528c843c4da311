"""The end of a workspace: read-only, taken back, and gone without a row or a file."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import IntegrityError, connection
from django.test import Client
from django.utils import timezone
from tenants import end_run

from apps.accounts.models import User
from apps.runs import checkpoints, closing, exports, services
from apps.runs.models import (
    DiscardedFile,
    Export,
    Gathering,
    Reproduction,
    Retention,
    RunPoint,
    RunSegment,
    RunTrail,
)
from apps.runs.sweeping import sweep
from apps.sharing.services import share
from apps.webhooks.models import EVENTS
from apps.webhooks.post import Answer
from apps.webhooks.services import begin_try, create_webhook, end_try, ping
from apps.workspaces import deletion, keys
from apps.workspaces.invitations import invite
from apps.workspaces.models import AuditEvent, IdempotencyKey, QuotaAlert, QuotaGrant, Role, Workspace
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def owned_tables() -> list[str]:
    """What the database itself says: every table whose rows a policy gives to one workspace."""
    return [
        name
        for (name,) in rows(
            "SELECT c.relname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid "
            "WHERE p.polname = 'workspace_isolation' AND c.relname <> 'workspaces_workspace' ORDER BY c.relname"
        )
    ]


def left(workspace: Workspace) -> dict[str, int]:
    """Rows of the workspace in every table, its own too."""
    with scope(workspace.pk):
        found = {
            table: rows(f"SELECT count(*) FROM {table} WHERE workspace_id = %s", workspace.pk)[0][0]  # noqa: S608
            for table in owned_tables()
        }
        found["workspaces_workspace"] = Workspace.objects.filter(pk=workspace.pk).count()
    return found


def files_of(workspace: Workspace) -> list[Path]:
    root = Path(storages["default"].path(""))
    return [path for path in root.rglob("*") if path.is_file() and str(workspace.pk) in str(path)]


@pytest.fixture
def storage(settings: Any, tmp_path: Path) -> Path:
    """A folder of the test's own, which is not empty: one that is, is not there."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "files"},
        },
    }
    return tmp_path / "files"


def fill(tenant: Any, tmp_path: Path, member_of: Callable[..., User]) -> None:
    """A row in every table, and files of every kind."""
    run = end_run(tenant, tmp_path)
    exports.write_export(tenant.workspace.pk, exports.submit_export(tenant.user, run, "csv").pk)
    active = tenant.submit()
    with scope(tenant.workspace.pk):
        attempt = services.claim(active.pk, "w")
        services.command(tenant.user, active, "pause")
    folder = tmp_path / ("a" * 64)
    folder.mkdir(exist_ok=True)
    (folder / "header").write_text("x")
    checkpoints.save(tenant.workspace.pk, active.pk, folder)
    services.record_checkpoint(attempt, "a" * 64, 5, 1)
    hook, _ = create_webhook(tenant.user, tenant.workspace, "https://example.org/", EVENTS)
    delivery = ping(tenant.user, tenant.workspace, hook.pk)
    tried = begin_try(tenant.workspace.pk, delivery.pk)
    assert tried is not None
    end_try(tried, Answer(200, "", "", 0.1))
    keys.create_key(tenant.user, tenant.workspace, "own")
    keys.create_key(tenant.user, tenant.workspace, "CI", of_workspace=True)
    share(tenant.user, run)
    member_of(tenant, Role.VIEWER)
    invite(tenant.user, tenant.workspace, "guest@example.net", "viewer", str)
    of: dict[str, Any] = {"workspace_id": tenant.workspace.pk}
    with scope(tenant.workspace.pk):
        RunPoint.objects.create(**of, run=run, index=0, state="succeeded", params={}, seed=1)
        RunTrail.objects.create(**of, run=run, description={}, digests=b"")
        Reproduction.objects.create(**of, run=run, manifest={}, expected="h")
        RunSegment.objects.create(**of, run=run, content="0" * 64, attempt=1, first=0, until=5, size=1, last={}, raw=1)
        Gathering.objects.create(**of, run=active)
        Retention.objects.create(**of)
        QuotaAlert.objects.create(workspace_id=tenant.workspace.pk, name="storage")
        QuotaGrant.objects.create(workspace_id=tenant.workspace.pk, name="points", value=7)
        IdempotencyKey.objects.create(workspace_id=tenant.workspace.pk, actor=tenant.user, key="k", request="r")
    storages["default"].save(f"artifacts/{tenant.workspace.pk}/zz/orphan", ContentFile(b"no row names it"))


def over(tenant: Any) -> None:
    """Its grace period has ended."""
    deletion.close(tenant.user, tenant.workspace)
    with scope(tenant.workspace.pk):
        Workspace.objects.filter(pk=tenant.workspace.pk).update(delete_at=timezone.now() - timedelta(seconds=1))


def test_nothing_is_left_of_a_workspace_and_all_of_its_neighbour(
    ann: Any, bob: Any, storage: Path, tmp_path: Path, member_of: Callable[..., User]
) -> None:
    for tenant in (ann, bob):
        fill(tenant, tmp_path / tenant.workspace.slug, member_of)
    sweep()  # what it tidies up anyway
    for tenant in (ann, bob):
        with scope(tenant.workspace.pk):
            DiscardedFile.objects.create(workspace_id=tenant.workspace.pk, content="0" * 64)
    before, files, people = left(bob.workspace), files_of(bob.workspace), User.objects.count()
    full = left(ann.workspace)
    assert not [table for table, count in full.items() if not count], "of these the test would say nothing"
    assert len(full) > 25
    assert len(files_of(ann.workspace)) >= 4
    over(ann)
    assert sweep().purged == 1
    assert left(ann.workspace) == dict.fromkeys(full, 0)
    assert files_of(ann.workspace) == []
    assert not [path for path in storage.rglob("*") if str(ann.workspace.pk) in str(path)], "a folder is left"
    assert left(bob.workspace) == {**before, "runs_discardedfile": 0}
    assert files_of(bob.workspace) == files
    assert User.objects.count() == people - 1, "the machine member goes too, and no person does"
    assert sweep().purged == 0


def test_it_can_only_be_read_until_then(ann: Any, member_of: Callable[..., User]) -> None:
    editor = Client()
    editor.force_login(member_of(ann, Role.EDITOR))
    closed = ann.client.delete(f"{ann.root}/", headers={"If-Match": "*"})
    assert closed.status_code == 202
    assert closed.json()["delete_at"] is not None
    for client in (ann.client, editor):
        assert client.get(f"{ann.root}/projects/").status_code == 200
        assert client.get(f"/w/{ann.workspace.slug}/").status_code == 200
        refused = client.post(f"{ann.root}/projects/", {"name": "p"}, content_type="application/json")
        assert (refused.status_code, refused.json()["code"]) == (403, "workspace_closing")
        assert "can only be read until" in client.get(f"/w/{ann.workspace.slug}/runs/").content.decode()
    assert ann.client.delete(f"{ann.root}/", headers={"If-Match": "*"}).status_code == 409
    assert editor.post(f"{ann.root}/restore/").status_code == 403
    assert ann.client.post(f"{ann.root}/restore/").status_code == 200
    assert ann.post("/projects/", {"name": "p"}).status_code == 201


def test_before_its_time_nothing_goes(ann: Any) -> None:
    deletion.close(ann.user, ann.workspace)
    before = left(ann.workspace)
    assert deletion.to_purge() == []
    assert not deletion.purge(ann.workspace.pk)
    assert left(ann.workspace) == before


def test_one_that_is_restored_while_the_sweeper_comes_stays(ann: Any) -> None:
    over(ann)
    found = deletion.to_purge()
    assert found == [ann.workspace.pk]
    deletion.restore(ann.user, ann.workspace)
    assert not deletion.purge(found[0])
    assert left(ann.workspace)["workspaces_workspace"] == 1


def test_the_grace_period_is_the_configured_one(ann: Any, settings: Any) -> None:
    chosen = settings.ATTRACTOR.workspaces.model_copy(update={"grace_days": 2.5})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"workspaces": chosen})
    before = timezone.now()
    closing_at = deletion.close(ann.user, ann.workspace).delete_at
    assert timedelta(days=2.5) <= closing_at - before < timedelta(days=2.5, minutes=1)


def test_what_is_under_way_ends(ann: Any, tmp_path: Path) -> None:
    ended = end_run(ann, tmp_path)
    export = exports.submit_export(ann.user, ended, "csv")
    queued, running = ann.submit(), ann.submit()
    with scope(ann.workspace.pk):
        services.claim(running.pk, "w")
    deletion.close(ann.user, ann.workspace)
    assert ann.look(queued).state == "cancelled"
    with scope(ann.workspace.pk):
        assert running.commands.filter(kind="cancel").count() == 1
        assert Export.objects.get(pk=export.pk).state == "cancelled"


def test_a_storage_that_is_away_is_asked_again(
    ann: Any, storage: Path, tmp_path: Path, member_of: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ann, tmp_path / "x", member_of)
    over(ann)

    def away(*_: Any) -> None:
        raise ConnectionError("no route to the storage")

    monkeypatch.setattr(storages["default"], "delete", away)
    assert sweep().purged == 0
    counts = left(ann.workspace)
    assert counts.pop("workspaces_workspace") == 1, "else nobody would know that files are left"
    assert set(counts.values()) == {0}
    assert files_of(ann.workspace)
    monkeypatch.undo()
    monkeypatch.setattr(storages["default"], "location", storages["default"].location)
    assert sweep().purged == 1
    assert files_of(ann.workspace) == []


def test_the_audit_log_is_deleted_with_its_workspace_only(ann: Any) -> None:
    for statement in ("DELETE FROM workspaces_auditevent", "UPDATE workspaces_auditevent SET action = 'x'"):
        with pytest.raises(IntegrityError, match="written once"), scope(ann.workspace.pk):
            rows(f"{statement} RETURNING id")
    deletion.close(ann.user, ann.workspace)
    with pytest.raises(IntegrityError, match="never deleted"), scope(ann.workspace.pk):
        AuditEvent.objects.all().delete()
    over_now = timezone.now() - timedelta(seconds=1)
    with scope(ann.workspace.pk):
        Workspace.objects.filter(pk=ann.workspace.pk).update(delete_at=over_now)
        AuditEvent.objects.all().delete()
        assert not AuditEvent.objects.exists()


def test_the_page_asks_for_the_name(ann: Any) -> None:
    page = f"/w/{ann.workspace.slug}/settings/delete/"
    assert ann.client.post(page, {"name": "no"}).status_code == 422
    assert ann.client.post(page, {"name": ann.workspace.name}).status_code == 302
    assert "Restore it" in ann.client.get(f"/w/{ann.workspace.slug}/settings/").content.decode()
    assert ann.client.post(f"/w/{ann.workspace.slug}/settings/restore/").status_code == 302
    assert "can only be read" not in ann.client.get(f"/w/{ann.workspace.slug}/settings/").content.decode()


def test_files_of_a_workspace_that_never_had_any_are_no_fault(storage: Path) -> None:
    storages["default"].save("artifacts/other/x", ContentFile(b"x"))
    closing.delete_files(None, uuid.uuid4())
    assert storages["default"].exists("artifacts/other/x")
