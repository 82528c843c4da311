"""The scope in Python: nothing without it, nothing after it, nothing across it."""

import asyncio
import uuid
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.projects.models import Graph, Project
from apps.runs.models import Run
from apps.workspaces.scope import Unscoped, current, current_workspace_id, enter, reading, scope, user_scope
from apps.workspaces.selectors import workspaces_of

pytestmark = pytest.mark.django_db


def setting() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.workspace_id', true)")
        return str(cursor.fetchone()[0] or "")


@pytest.mark.parametrize(
    "ask",
    [
        Project.objects.count,
        Project.objects.all,
        lambda: Project.objects.create(name="x", workspace_id=uuid.uuid4()),
        lambda: Project(name="x", workspace_id=uuid.uuid4()).save(),
        lambda: Run.objects.filter(pk=uuid.uuid4()).first(),
    ],
)
def test_asking_without_a_scope_is_an_error(ask: Any) -> None:
    with pytest.raises(Unscoped, match="scope"):
        ask()


def test_following_refreshing_saving_and_deleting_need_the_scope_too(ann: Any) -> None:
    with scope(ann.workspace.id):
        graph = Graph.objects.get()
        project = Project.objects.get()
    for ask in (
        lambda: graph.project,
        lambda: list(project.graphs.all()),
        graph.refresh_from_db,
        graph.save,
        project.delete,
    ):
        with pytest.raises(Unscoped):
            ask()


def test_a_lazy_query_evaluated_after_its_scope_is_an_error_not_empty(ann: Any, bob: Any) -> None:
    with scope(ann.workspace.id):
        late = Project.objects.all()
        assert len(Project.objects.all()) == 1
    for ask in (
        lambda: list(late),
        late.count,
        late.exists,
        late.first,
        lambda: list(late.values_list("id")),
        lambda: late.update(name="x"),
        late.delete,
    ):
        with pytest.raises(Unscoped):
            ask()
    with scope(bob.workspace.id), pytest.raises(Unscoped, match="another workspace"):
        list(late)
    with scope(bob.workspace.id), pytest.raises(Unscoped, match="another workspace"):
        late.update(name="x")


def test_scopes_nest_and_the_outer_one_comes_back(ann: Any, bob: Any) -> None:
    with scope(ann.workspace.id, ann.user.pk):
        with scope(bob.workspace.id):
            assert setting() == str(bob.workspace.id)
            assert Project.objects.get().workspace_id == bob.workspace.id
            assert current().user_id == ann.user.pk
        assert setting() == str(ann.workspace.id)
        assert Project.objects.get().workspace_id == ann.workspace.id
        with user_scope(bob.user.pk):
            assert setting() == ""
            with pytest.raises(Unscoped):
                current_workspace_id()
        assert [workspace.id for workspace in workspaces_of(ann.user)] == [ann.workspace.id]
        assert setting() == str(ann.workspace.id)
    assert setting() == ""
    with pytest.raises(Unscoped):
        current_workspace_id()


def test_reading_in_a_scope_asks_nothing_more_and_elsewhere_opens_its_own(ann: Any, bob: Any) -> None:
    with scope(ann.workspace.id, ann.user.pk):
        with CaptureQueriesContext(connection) as queries, reading(ann.workspace.id):
            assert Project.objects.get().pk == ann.project.pk
        assert len(queries) == 1
        with reading(bob.workspace.id):
            assert setting() == str(bob.workspace.id)
            assert Project.objects.get().pk == bob.project.pk
        assert setting() == str(ann.workspace.id)
    with reading(bob.workspace.id):
        assert Project.objects.get().pk == bob.project.pk
    assert setting() == ""


def test_the_same_scope_again_tells_the_database_nothing_and_still_rolls_back(ann: Any) -> None:
    with scope(ann.workspace.id, ann.user.pk):
        with CaptureQueriesContext(connection) as queries, scope(ann.workspace.id):
            assert Project.objects.count() == 1
        assert not [query for query in queries if "set_config" in query["sql"]]
        with pytest.raises(ZeroDivisionError):
            write_and_fail(ann)
        assert setting() == str(ann.workspace.id)
        assert not Project.objects.filter(name="never").exists()


def test_a_user_goes_on_into_a_workspace_and_out_of_both_at_once(ann: Any, bob: Any) -> None:
    with scope(bob.workspace.id):
        with user_scope(ann.user.pk):
            enter(ann.workspace.id)
            assert setting() == str(ann.workspace.id)
            assert (current().workspace_id, current().user_id) == (ann.workspace.id, ann.user.pk)
            assert Project.objects.get().pk == ann.project.pk
        assert setting() == str(bob.workspace.id)
        assert Project.objects.get().pk == bob.project.pk
    assert setting() == ""
    with pytest.raises(ZeroDivisionError):
        enter_and_fail(ann)
    assert setting() == ""
    with pytest.raises(Unscoped):
        current_workspace_id()


def test_nobody_goes_on_into_a_workspace_without_being_looked_up(ann: Any, bob: Any) -> None:
    with pytest.raises(RuntimeError, match="user_scope"):
        enter(ann.workspace.id)
    with scope(bob.workspace.id, bob.user.pk), pytest.raises(RuntimeError, match="user_scope"):
        enter(ann.workspace.id)


@pytest.mark.django_db(transaction=True)
def test_a_request_is_one_transaction(ann: Any) -> None:
    """The look whether the asker belongs there, and the answer."""
    with CaptureQueriesContext(connection) as queries:
        assert ann.get("/projects/").status_code == 200
    said = [query["sql"] for query in queries]
    assert said.count("BEGIN") == said.count("COMMIT") == 1
    assert not [sql for sql in said if sql.startswith("SAVEPOINT")]
    with CaptureQueriesContext(connection) as queries:
        assert ann.get(f"/projects/{ann.graph.pk}/").status_code == 404
    assert [query["sql"] for query in queries].count("ROLLBACK") == 1


def enter_and_fail(tenant: Any) -> None:
    with user_scope(tenant.user.pk):
        enter(tenant.workspace.id)
        raise ZeroDivisionError


def write_and_fail(tenant: Any) -> None:
    with scope(tenant.workspace.id):
        Project.objects.create(workspace=tenant.workspace, name="never")
        raise ZeroDivisionError


def test_an_exception_rolls_back_and_restores_the_outer_scope(ann: Any, bob: Any) -> None:
    with scope(ann.workspace.id):
        with pytest.raises(ZeroDivisionError):
            write_and_fail(bob)
        assert setting() == str(ann.workspace.id)
        assert current_workspace_id() == ann.workspace.id
    with scope(bob.workspace.id):
        assert not Project.objects.filter(name="never").exists()


def test_a_broken_inner_transaction_leaves_the_outer_scope_usable(ann: Any, bob: Any) -> None:
    from django.db import DatabaseError

    with scope(ann.workspace.id):
        with pytest.raises(DatabaseError), scope(bob.workspace.id), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
        assert Project.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_scope_ends_with_its_transaction(ann: Any) -> None:
    with scope(ann.workspace.id):
        assert connection.in_atomic_block
        assert setting() == str(ann.workspace.id)
    assert not connection.in_atomic_block
    assert setting() == ""
    with transaction.atomic(), pytest.raises(Unscoped):
        Project.objects.count()


@pytest.mark.django_db(transaction=True)
def test_tasks_of_one_loop_keep_their_scopes_apart(ann: Any, bob: Any) -> None:
    """Sockets of two workspaces interleave on one event loop and in its threads."""

    def names(tenant: Any) -> set[Any]:
        with scope(tenant.workspace.id):
            return set(Project.objects.values_list("workspace_id", flat=True))

    async def look(tenant: Any) -> None:
        for _ in range(20):
            assert await database_sync_to_async(names)(tenant) == {tenant.workspace.id}
            await asyncio.sleep(0)
            with pytest.raises(Unscoped):
                await database_sync_to_async(Project.objects.count)()

    async def both() -> None:
        await asyncio.gather(look(ann), look(bob), look(ann))

    asyncio.run(both())
