"""Base classes of rows that belong to a workspace."""

import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self, TypeVar

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


class Digested(models.Model):
    """A row that knows the digests of its state as it was read and as it is now, for the audit log."""

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **more: Any) -> Self:
        """As Django's, and remembers what was read."""
        made = super().from_db(db, field_names, values, **more)
        made._read = dict(zip(field_names, values, strict=False))
        return made

    _read: dict[str, Any] | None = None

    def digest_before(self) -> str:
        """SHA-256 of the row as it was read; empty for one that was not."""
        return "" if self._read is None else _digest(self._read)

    def digest_now(self) -> str:
        """SHA-256 of the row as it is. What was read is forgotten for what is now."""
        names = [field.attname for field in self._meta.concrete_fields]
        if self._read is not None:
            names = [name for name in names if name in self._read]
        values = {name: self.__dict__[name] for name in names if name in self.__dict__}
        if any(hasattr(value, "resolve_expression") for value in values.values()):
            # What the database computes is known to it alone.
            values = type(self)._base_manager.filter(pk=self.pk).values(*values).get()
        self._read = values
        return _digest(values)


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes | memoryview) else str(value)


class WorkspaceModel(Digested):
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

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """As Django's, which asks no manager for a row that nothing refers to. Raises `Unscoped`."""
        if current_workspace_id() != self.workspace_id:
            raise Unscoped(f"A row of workspace {self.workspace_id} was deleted inside another workspace's scope.")
        return super().delete(*args, **kwargs)


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
