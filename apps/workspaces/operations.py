"""Migration operations that keep workspaces apart in PostgreSQL."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import ForeignKey, Model

WORKSPACE_SETTING = "(SELECT nullif(current_setting('app.workspace_id', true), '')::uuid)"
USER_SETTING = "(SELECT nullif(current_setting('app.user_id', true), '')::uuid)"

_QUOTE = str.maketrans({"'": "''"})


class _TableOperation(Operation):
    """SQL on the table of one model; the model state does not change."""

    reduces_to_sql = True
    reversible = True
    model_name: str

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Policies, triggers and composite keys are no part of a model's state."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._execute(schema_editor, self.forwards(to_state.apps.get_model(app_label, self.model_name)))

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._execute(schema_editor, self.backwards(from_state.apps.get_model(app_label, self.model_name)))

    def _execute(self, schema_editor: BaseDatabaseSchemaEditor, statements: Iterable[str]) -> None:
        for statement in statements:
            schema_editor.execute(statement)

    def forwards(self, model: type[Model]) -> list[str]:
        raise NotImplementedError

    def backwards(self, model: type[Model]) -> list[str]:
        raise NotImplementedError


class EnableRowLevelSecurity(_TableOperation):
    """Rows of the table exist only for the workspace named by the transaction's `app.workspace_id`.

    FORCE holds the owning role to the policy too. `column` is the column that holds the workspace's id.
    """

    def __init__(self, model_name: str, column: str = "workspace_id") -> None:
        self.model_name = model_name
        self.column = column

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name], {"column": self.column}

    def describe(self) -> str:
        return f"Isolate the rows of {self.model_name} by workspace"

    def forwards(self, model: type[Model]) -> list[str]:
        table = model._meta.db_table
        same = f"{self.column} = {WORKSPACE_SETTING}"
        return [
            f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
            f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
            f'CREATE POLICY workspace_isolation ON "{table}" USING ({same}) WITH CHECK ({same})',
        ]

    def backwards(self, model: type[Model]) -> list[str]:
        table = model._meta.db_table
        return [
            f'DROP POLICY workspace_isolation ON "{table}"',
            f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY',
            f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY',
        ]


class AddReadPolicy(_TableOperation):
    """Lets more rows of the table be read (never written) than those of the workspace in force.

    `using` is the SQL condition; `owner_only` gives the policy to the migrating role alone, for functions
    that run with that role's rights.
    """

    def __init__(self, model_name: str, name: str, using: str, owner_only: bool = False) -> None:
        self.model_name = model_name
        self.name = name
        self.using = using
        self.owner_only = owner_only

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.name, self.using], {"owner_only": self.owner_only}

    def describe(self) -> str:
        return f"Add the read policy {self.name} to {self.model_name}"

    def forwards(self, model: type[Model]) -> list[str]:
        role = "CURRENT_USER" if self.owner_only else "PUBLIC"
        return [f'CREATE POLICY {self.name} ON "{model._meta.db_table}" FOR SELECT TO {role} USING ({self.using})']

    def backwards(self, model: type[Model]) -> list[str]:
        return [f'DROP POLICY {self.name} ON "{model._meta.db_table}"']


class AddCompositeForeignKey(_TableOperation):
    """`(workspace_id, x_id)` refers to `(workspace_id, id)`: a row cannot refer into another workspace."""

    def __init__(self, model_name: str, field_name: str) -> None:
        self.model_name = model_name
        self.field_name = field_name

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.field_name], {}

    def describe(self) -> str:
        return f"Tie {self.model_name}.{self.field_name} to rows of the same workspace"

    def _constraint(self, model: type[Model]) -> str:
        return f"{model._meta.db_table}_{self.field_name}_same_workspace"

    def forwards(self, model: type[Model]) -> list[str]:
        field = model._meta.get_field(self.field_name)
        if not isinstance(field, ForeignKey):
            raise TypeError(f"{self.model_name}.{self.field_name} is not a foreign key.")
        related = field.remote_field.model
        return [
            f'ALTER TABLE "{model._meta.db_table}" ADD CONSTRAINT "{self._constraint(model)}" '
            f'FOREIGN KEY (workspace_id, "{field.column}") '
            f'REFERENCES "{related._meta.db_table}" (workspace_id, id) DEFERRABLE INITIALLY IMMEDIATE'
        ]

    def backwards(self, model: type[Model]) -> list[str]:
        return [f'ALTER TABLE "{model._meta.db_table}" DROP CONSTRAINT "{self._constraint(model)}"']


class RefuseUpdates(_TableOperation):
    """Rows of the table are written once; an UPDATE that changes anything fails.

    `except_columns` may still change (a person's reference is emptied when the account is deleted). Uses the
    function `refuse_update` of the first migration of this app.
    """

    def __init__(self, model_name: str, except_columns: Sequence[str] = ()) -> None:
        self.model_name = model_name
        self.except_columns = tuple(except_columns)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name], {"except_columns": self.except_columns}

    def describe(self) -> str:
        return f"Make the rows of {self.model_name} immutable"

    def forwards(self, model: type[Model]) -> list[str]:
        arguments = ", ".join(f"'{column.translate(_QUOTE)}'" for column in self.except_columns)
        return [
            f'CREATE TRIGGER refuse_update BEFORE UPDATE ON "{model._meta.db_table}" '
            f"FOR EACH ROW EXECUTE FUNCTION refuse_update({arguments})"
        ]

    def backwards(self, model: type[Model]) -> list[str]:
        return [f'DROP TRIGGER refuse_update ON "{model._meta.db_table}"']
