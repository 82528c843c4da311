"""What PostgreSQL's catalogue says of every table and function, what Django does with every model outside of a scope,
and what is left of a workspace anywhere once it is gone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.db import connection, transaction
from test_deletion import fill, over
from test_isolation import owned_models, rows

from apps.accounts.models import User
from apps.runs.models import DiscardedFile
from apps.runs.sweeping import sweep
from apps.workspaces.rows import WorkspaceModel
from apps.workspaces.scope import Unscoped, scope

pytestmark = pytest.mark.django_db

# Each looks past row-level security, which is what it is for, and tells what is said here and nothing else.
SEEING_EVERYTHING = {
    # The operators' console: each sees that it is asked by an operator, and writes down that it was.
    "operator_enters": "",
    "operator_workspaces": "id slug name personal created_at delete_at suspended_at members active_runs",
    "operator_runs": "id workspace_id slug workspace kind state paused progress attempts failure submitted_by "
    "created_at finished_at",
    "operator_audit": "id at workspace_id slug action actor key object_type object_id request_id data",
    "permits_now": "number slug role require_mfa",
    "runs_discarded_files": "workspace_id content",
    "runs_exports_due": "workspace_id export_id",
    "runs_finished_with_checkpoints": "workspace_id run_id",
    "runs_in_queue": "workspace_id run_id position seconds",
    "runs_outdated_artifacts": "workspace_id artifact_id",
    "runs_outdated_trails": "workspace_id run_id",
    "runs_queued_for": "workspace_id run_id",
    "runs_to_gather": "workspace_id run_id",
    "runs_untidied": "workspace_id run_id",
    "runs_with_expired_lease": "workspace_id run_id",
    "webhooks_due": "workspace_id webhook_id delivery_id",
    "webhooks_everywhere": "workspace_id webhook_id",
    "webhooks_outdated": "workspace_id delivery_id",
    "workspaces_to_purge": "workspace_id",
}


def with_workspace_id() -> set[str]:
    found = rows(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped "
        "WHERE a.attname = 'workspace_id' AND c.relkind IN ('r', 'p', 'f', 'v', 'm') "
        "AND c.relnamespace = 'public'::regnamespace"
    )
    return {name for (name,) in found}


def test_whatever_has_a_workspace_is_a_table_of_a_model_with_a_policy() -> None:
    """No view, no partition and no foreign table either, of which the policy would be another's."""
    tables = with_workspace_id()
    assert tables == {model._meta.db_table for model in owned_models()}
    held = rows(
        "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity AND relkind = 'r' "
        "AND relnamespace = 'public'::regnamespace"
    )
    assert {name for (name,) in held} == tables | {"workspaces_workspace"}
    assert rows("SELECT count(*) FROM pg_class WHERE relkind IN ('v', 'm', 'f', 'p') "
                "AND relnamespace = 'public'::regnamespace") == [(0,)]  # fmt: skip
    assert rows(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' "
        "AND column_name = 'workspace_id' AND is_nullable = 'YES'"
    ) == [(0,)]


def test_what_refers_to_rows_of_a_workspace_has_the_workspace_itself() -> None:
    """A table beside, without a policy, would tell of them."""
    found = rows(
        "SELECT DISTINCT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' "
        "AND confrelid::regclass::text = ANY (%s)",
        [*with_workspace_id(), "workspaces_workspace"],
    )
    assert {name for (name,) in found} <= with_workspace_id()


def test_functions_that_see_everything_are_few_and_tell_ids() -> None:
    found = rows(
        "SELECT p.proname, p.proconfig, r.rolsuper, p.proargnames, p.proargmodes::text[] FROM pg_proc p "
        "JOIN pg_roles r ON r.oid = p.proowner WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace"
    )
    told: dict[str, set[str]] = {}
    for name, config, superuser, names, modes in found:
        assert not superuser, name
        assert any(one.startswith("search_path=pg_catalog") for one in config or ()), name
        columns = [one for one, mode in zip(names or (), modes or (), strict=False) if mode in ("t", "o")]
        told.setdefault(name, set()).update(columns)
    assert told == {name: set(columns.split()) for name, columns in SEEING_EVERYTHING.items()}


def test_the_application_may_neither_empty_nor_change_a_table() -> None:
    (found,) = rows(
        "SELECT array_agg(relname::text) FROM pg_class WHERE relkind IN ('r', 'p') "
        "AND relnamespace = 'public'::regnamespace "
        "AND (has_table_privilege(oid, 'TRUNCATE') OR has_table_privilege(oid, 'TRIGGER') "
        "OR has_table_privilege(oid, 'REFERENCES') OR pg_has_role(relowner, 'MEMBER'))"
    )
    assert found == (None,)
    assert rows("SELECT has_schema_privilege('public', 'CREATE')") == [(False,)]


# --- Django -----------------------------------------------------------------------------------------------------------

ASKED: dict[str, Callable[[type[WorkspaceModel]], Any]] = {
    "all": lambda model: model.objects.all(),
    "count": lambda model: model.objects.count(),
    "filter": lambda model: model.objects.filter(pk=uuid.uuid4()),
    "values": lambda model: list(model.objects.values("pk")),
    "create": lambda model: model.objects.create(workspace_id=uuid.uuid4()),
    "bulk_create": lambda model: model.objects.bulk_create([model(workspace_id=uuid.uuid4())]),
    "save": lambda model: model(workspace_id=uuid.uuid4()).save(),
    "get_or_create": lambda model: model.objects.get_or_create(pk=uuid.uuid4()),
    "update": lambda model: model.objects.update(pk=uuid.uuid4()),
    "delete": lambda model: model(pk=uuid.uuid4()).delete(),
    "raw": lambda model: list(model.objects.raw(f'SELECT * FROM "{model._meta.db_table}"')),  # noqa: S608
    "refresh": lambda model: model(pk=uuid.uuid4()).refresh_from_db(),
    "default manager": lambda model: model._default_manager.first(),
    "base manager": lambda model: model._base_manager.first(),
}


@pytest.mark.parametrize("ask", sorted(ASKED))
def test_every_model_asked_without_a_scope_is_an_error(ask: str) -> None:
    quiet = []
    for model in owned_models():
        try:
            with transaction.atomic():
                ASKED[ask](model)
        except Unscoped:
            continue
        quiet.append(model._meta.label)
    assert not quiet


def test_managers_that_look_before_a_workspace_is_known_see_nothing_by_themselves(ann: Any) -> None:
    """A person's memberships, and rows that are named by a digest: without either there is none."""
    looking = [
        (model, name)
        for model in owned_models()
        for name, manager in model._meta.managers_map.items()
        if manager.model is model and name not in ("objects", "_base_manager")
    ]
    assert {(model.__name__, name) for model, name in looking} == {
        ("Membership", "of_user"), ("ApiKey", "of_digest"), ("Invitation", "of_digest"), ("ShareLink", "of_digest"),
    }  # fmt: skip
    for model, name in looking:
        assert not getattr(model, name).exists()


# --- The end ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["folder", "s3"])
def stored(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """The names of all that is kept in a storage of the test's own."""
    if request.param == "folder":
        place = tmp_path / "files"
        backend, options = "django.core.files.storage.FileSystemStorage", {"location": place}
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
        # A folder that is left counts as well.
        yield lambda: [str(path.relative_to(place)) for path in place.rglob("*")]
    else:
        server = request.getfixturevalue("s3_server")
        backend, options = "storages.backends.s3.S3Storage", server.options
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
        yield server.stored
        for name in server.stored():
            storages["default"].delete(name)


def naming(text: str, *workspaces: uuid.UUID) -> dict[str, int]:
    """Of every table of the database how many rows hold the text in any column, seen from everywhere."""
    tables = [
        name
        for (name,) in rows(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND has_table_privilege(oid, 'SELECT')"
        )
    ]
    found: dict[str, int] = {}
    for one in workspaces:
        with scope(one):
            for table in tables:
                sql = f'SELECT count(*) FROM "{table}" t WHERE strpos(t::text, %s) > 0'  # noqa: S608
                ((count,),) = rows(sql, text)
                found[table] = max(found.get(table, 0), count)
    return {table: count for table, count in found.items() if count}


def test_nothing_names_a_workspace_that_is_gone(
    ann: Any,
    bob: Any,
    stored: Callable[[], list[str]],
    tmp_path: Path,
    member_of: Callable[..., User],
) -> None:
    """No row of any table, whether it has a workspace or not, and nothing in the storage."""
    for tenant in (ann, bob):
        fill(tenant, tmp_path / tenant.workspace.slug, member_of)
    sweep()
    with scope(ann.workspace.pk):
        DiscardedFile.objects.create(workspace_id=ann.workspace.pk, content="0" * 64)
    mine = str(ann.workspace.pk)
    full = naming(mine, ann.workspace.pk, bob.workspace.pk)
    assert set(full) >= with_workspace_id() | {"workspaces_workspace"}, "of the others the test would say nothing"
    blobs = stored()
    assert len([name for name in blobs if mine in name]) >= 4
    over(ann)
    assert sweep().purged == 1
    assert naming(mine, ann.workspace.pk, bob.workspace.pk) == {}
    # But for people who stay: a test gives its members addresses of that name.
    assert naming(ann.workspace.slug, ann.workspace.pk, bob.workspace.pk).keys() <= {"accounts_user"}
    assert [name for name in stored() if mine in name] == []
    assert sorted(name for name in stored() if str(bob.workspace.pk) in name) == sorted(
        name for name in blobs if str(bob.workspace.pk) in name
    )
    connection.check_constraints()
