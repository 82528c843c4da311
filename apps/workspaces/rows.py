"""Base classes of rows that belong to a workspace."""

import uuid
from typing import Any, ClassVar, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler

from apps.workspaces.scope import Unscoped, current_workspace_id

M = TypeVar("M", bound=models.Model)


class ScopedQuery(Query):
    """A query that remembers its workspace and refuses to run outside it.

    Querysets are lazy: one built inside a scope and evaluated after it would come back empty by row-level
    security. Empty is a wrong answer, so it is an error instead.
    """

    workspace_id: uuid.UUID | None = None

    def check_scope(self) -> None:
        """Raises `Unscoped` unless the workspace of this query is the one in force."""
        if self.workspace_id is not None and current_workspace_id() != self.workspace_id:
            raise Unscoped(f"A query of workspace {self.workspace_id} was run inside another workspace's scope.")

    def get_compiler(
        self, using: str | None = None, connection: BaseDatabaseWrapper | None = None, elide_empty: bool = True
    ) -> SQLCompiler:
        self.check_scope()
        compiler: SQLCompiler = super().get_compiler(using, connection, elide_empty)
        return compiler

    def chain(self, klass: type[Query] | None = None) -> Query:
        if klass is not None:  # turned into an UPDATE or DELETE, which leaves this class behind
            self.check_scope()
        return super().chain(klass)


class ScopedQuerySet(models.QuerySet[M]):
    """Rows of one workspace."""

    def delete(self) -> tuple[int, dict[str, int]]:
        query = self.query
        if isinstance(query, ScopedQuery):
            query.check_scope()
        return super().delete()


class ScopedManager(models.Manager[M]):
    """Gives the rows of the workspace in force; raises `Unscoped` where there is none."""

    def get_queryset(self) -> ScopedQuerySet[M]:
        workspace_id = current_workspace_id()
        query = ScopedQuery(self.model)
        query.workspace_id = workspace_id
        rows: ScopedQuerySet[M] = ScopedQuerySet(self.model, query=query, using=self._db, hints=self._hints)  # type: ignore[attr-defined]
        return rows.filter(workspace_id=workspace_id)


class WorkspaceModel(models.Model):
    """A row owned by one workspace.

    A concrete model declares `class Meta(WorkspaceModel.Meta)`; its first migration adds
    `EnableRowLevelSecurity` for the table and `AddCompositeForeignKey` for every `OwnedForeignKey`
    (tests/integration/apps/workspaces enumerates the tables and holds every model to it).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The unique pair (workspace, id) below is the index of this column.
    workspace = models.ForeignKey(
        "workspaces.Workspace", on_delete=models.CASCADE, related_name="+", db_index=False, editable=False
    )

    # The base manager too: following a relation, refreshing or saving a row needs the scope as well.
    objects = ScopedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            # What composite foreign keys refer to: a key of (workspace, id) cannot reach into another workspace.
            models.UniqueConstraint(fields=["workspace", "id"], name="%(app_label)s_%(class)s_workspace_id"),
        )


class OwnedForeignKey(models.ForeignKey[Any, Any]):
    """A reference between rows of one workspace.

    Foreign keys are checked past row-level security, so a plain one would accept a row of another workspace.
    The database constraint is therefore the composite one that `AddCompositeForeignKey` makes.
    """

    def __init__(self, to: Any, on_delete: Any, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("db_constraint", None)
        return name, path, args, kwargs
