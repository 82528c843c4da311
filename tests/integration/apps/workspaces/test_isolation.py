"""What PostgreSQL holds against code that forgets the workspace."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.db.models import ForeignKey

from apps.projects.models import Graph, GraphVersion, Project
from apps.runs.models import (
    Artifact,
    DiscardedFile,
    Export,
    Gathering,
    Reproduction,
    Retention,
    Run,
    RunPoint,
    RunSegment,
    RunTrail,
)
from apps.sharing.services import share
from apps.webhooks.models import EVENTS
from apps.webhooks.post import Answer
from apps.webhooks.selectors import due
from apps.webhooks.services import begin_try, create_webhook, end_try, ping
from apps.workspaces.invitations import invite
from apps.workspaces.keys import create_key
from apps.workspaces.models import AuditEvent, IdempotencyKey, Membership, QuotaAlert, QuotaGrant
from apps.workspaces.rows import OwnedForeignKey, ScopedManager, WorkspaceModel
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


OWNED = """
    SELECT c.relname, c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind = 'r' AND a.attname = 'workspace_id' AND c.relnamespace = 'public'::regnamespace
"""


def owned_models() -> Iterator[type[WorkspaceModel]]:
    for model in apps.get_models():
        if issubclass(model, WorkspaceModel):
            yield model


def test_the_connected_role_is_held_by_row_level_security() -> None:
    ((superuser, bypass, owns),) = rows(
        "SELECT rolsuper, rolbypassrls, EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) "
        "FROM pg_roles r WHERE rolname = current_user"
    )
    assert (superuser, bypass, owns) == (False, False, False)


def test_every_table_with_a_workspace_forces_a_policy_on_it() -> None:
    tables = dict(rows(OWNED))
    assert {model._meta.db_table for model in owned_models()} == set(tables)
    assert len(tables) >= 9
    for table, oid in {
        **tables,
        "workspaces_workspace": rows("SELECT 'workspaces_workspace'::regclass::oid")[0][0],
    }.items():
        ((enabled, forced),) = rows("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s", oid)
        assert (enabled, forced) == (True, True), table
        policies = rows(
            "SELECT polcmd::text, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) "
            "FROM pg_policy WHERE polrelid = %s AND polname = 'workspace_isolation'",
            oid,
        )
        ((command, using, check),) = policies
        assert command == "*", table
        assert using == check, table
        assert "app.workspace_id" in using, table


def test_every_other_policy_only_reads() -> None:
    found = rows("SELECT polname, polcmd::text FROM pg_policy WHERE polname <> 'workspace_isolation'")
    assert found
    assert {command for _, command in found} == {"r"}


def test_every_foreign_key_between_owned_tables_holds_the_workspace_too() -> None:
    tables = [oid for _, oid in rows(OWNED)]
    keys = rows(
        """
        SELECT k.conrelid::regclass::text,
            (SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = k.conrelid AND attnum = ANY (k.conkey))
        FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = ANY (%s) AND k.confrelid = ANY (%s)
        """,
        tables,
        tables,
    )
    assert all("workspace_id" in columns for _, columns in keys), keys
    expected = {
        (model._meta.db_table, field.column)
        for model in owned_models()
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey) and issubclass(field.related_model, WorkspaceModel)
    }
    assert expected == {(table, column) for table, columns in keys for column in columns if column != "workspace_id"}


def test_every_owned_model_asks_through_the_scoped_manager() -> None:
    for model in owned_models():
        assert isinstance(model._default_manager, ScopedManager), model
        assert isinstance(model._base_manager, ScopedManager), model
        for field in model._meta.get_fields():
            if isinstance(field, ForeignKey) and issubclass(field.related_model, WorkspaceModel):
                assert isinstance(field, OwnedForeignKey), field


@pytest.mark.parametrize("model", list(owned_models()), ids=lambda model: model._meta.label)
def test_sql_without_a_scope_and_with_a_foreign_one_sees_nothing(
    model: type[WorkspaceModel], ann: Any, bob: Any
) -> None:
    run = ann.submit()
    from apps.runs import services

    services.command(ann.user, run, "pause")
    with scope(ann.workspace.id):
        attempt = services.claim(run.pk, "test")
        services.record_checkpoint(attempt, "0" * 64, 5, 100)
        RunPoint.objects.create(workspace_id=ann.workspace.id, run=run, index=0, state="succeeded", params={}, seed=1)
        RunTrail.objects.create(workspace_id=ann.workspace.id, run=run, description={}, digests=b"")
        Reproduction.objects.create(workspace_id=ann.workspace.id, run=run, manifest={}, expected="h")
        IdempotencyKey.objects.create(workspace_id=ann.workspace.id, actor=ann.user, key="k", request="r")
        create_key(ann.user, ann.workspace, "k")
        of: dict[str, Any] = {"workspace_id": ann.workspace.id}
        RunSegment.objects.create(**of, run=run, content="0" * 64, attempt=1, first=0, until=5, size=1, last={}, raw=1)
        Gathering.objects.create(**of, run=run)
        Artifact.objects.create(**of, run=run, kind="export", name="x", media_type="x", content="0" * 64, size=1)
        DiscardedFile.objects.create(**of, content="0" * 64)
        Export.objects.create(**of, run=run, format="csv")
        Retention.objects.create(**of)
        QuotaAlert.objects.create(**of, name="storage")
        QuotaGrant.objects.create(**of, name="nodes", value=1)
        invite(ann.user, ann.workspace, "guest@example.org", "viewer", str)
        share(ann.user, ann.graph)
    hook, _ = create_webhook(ann.user, ann.workspace, "https://example.org/", EVENTS)
    ping(ann.user, ann.workspace, hook.pk)
    ((workspace_id, _, delivery_id),) = due(1)
    tried = begin_try(workspace_id, delivery_id)
    assert tried is not None
    end_try(tried, Answer(200, "", "", 0.1))
    count = f"SELECT count(*) FROM {model._meta.db_table}"  # noqa: S608 the name of a table of ours
    of_ann = f"{count} WHERE workspace_id = %s"
    with scope(ann.workspace.id):
        ((own,),) = rows(of_ann, ann.workspace.id)
    assert own > 0
    assert rows(count) == [(0,)]
    with scope(bob.workspace.id):
        assert rows(of_ann, ann.workspace.id) == [(0,)]
        with connection.cursor() as cursor:
            cursor.execute(of_ann.replace("SELECT count(*)", "DELETE"), [ann.workspace.id])
            assert cursor.rowcount == 0


def test_a_row_cannot_be_written_into_a_foreign_workspace(ann: Any, bob: Any) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), scope(bob.workspace.id):
        Project.objects.create(workspace=ann.workspace, name="stolen")
    with pytest.raises(ProgrammingError, match="row-level security"), scope(ann.workspace.id):
        # Not even by moving it there.
        rows("UPDATE projects_project SET workspace_id = %s RETURNING id", bob.workspace.id)


def test_a_row_cannot_refer_into_a_foreign_workspace(ann: Any, bob: Any) -> None:
    with pytest.raises(IntegrityError, match="same_workspace"), scope(ann.workspace.id):
        Graph.objects.create(workspace=ann.workspace, project_id=bob.project.id, name="reaching over")
    with pytest.raises(IntegrityError, match="same_workspace"), scope(ann.workspace.id):
        GraphVersion.objects.create(
            workspace=ann.workspace, graph_id=bob.graph.id, number=9, document="{}", content_hash="x"
        )


def test_a_person_sees_the_own_memberships_and_no_others(ann: Any, bob: Any) -> None:
    from apps.workspaces.scope import user_scope

    with user_scope(ann.user.pk):
        assert rows("SELECT user_id FROM workspaces_membership") == [(ann.user.pk,)]
        assert rows("SELECT id FROM workspaces_workspace") == [(ann.workspace.id,)]
        assert rows("SELECT count(*) FROM projects_project") == [(0,)]
        with connection.cursor() as cursor:
            # To be seen is not to be changed: reading policies let nobody write.
            cursor.execute("UPDATE workspaces_membership SET role = 'viewer'")
            assert cursor.rowcount == 0
            cursor.execute("DELETE FROM workspaces_workspace")
            assert cursor.rowcount == 0


def test_the_app_role_cannot_empty_tables_past_the_policies(ann: Any) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        rows("TRUNCATE projects_project CASCADE")


def test_the_app_role_cannot_switch_the_sweepers_policy_on(ann: Any) -> None:
    ann.submit()
    rows("SELECT set_config('app.sweeping', 'on', true)")
    assert rows("SELECT count(*) FROM runs_run") == [(0,)]


def test_what_was_written_once_stays(ann: Any) -> None:
    with scope(ann.workspace.id):
        version = GraphVersion.objects.get()
        event = AuditEvent.objects.first()
    for row, field in ((version, "document"), (event, "action")):
        setattr(row, field, "forged")
        with pytest.raises(IntegrityError, match="never changed"), scope(ann.workspace.id):
            row.save()
    with scope(ann.workspace.id):
        version.refresh_from_db()
        assert version.document != "forged"


def test_the_owner_role_is_held_by_the_policies_too(ann: Any, testbed: Any) -> None:
    """FORCE: a migration that reads rows without a scope finds none."""
    import psycopg

    with psycopg.connect(testbed.owner_url) as owner:
        assert owner.execute("SELECT count(*) FROM runs_run").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute(
                "INSERT INTO projects_project (id, workspace_id, name, created_at) VALUES (%s, %s, 'x', now())",
                [uuid.uuid4(), uuid.uuid4()],
            )


def test_memberships_and_runs_cannot_take_unknown_values(ann: Any) -> None:
    with pytest.raises(IntegrityError), scope(ann.workspace.id):
        Membership.objects.update(role="god")
    run = ann.submit()
    with pytest.raises(IntegrityError), scope(ann.workspace.id):
        Run.objects.filter(pk=run.pk).update(progress=1.5)
