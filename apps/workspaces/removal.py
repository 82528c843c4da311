"""Taking a workspace away with everything in it."""

from __future__ import annotations

from uuid import UUID

from django.apps import apps
from django.core.files.storage import Storage, storages
from django.db import connection

from apps.workspaces.models import Workspace
from apps.workspaces.rows import WorkspaceModel
from apps.workspaces.scope import current_workspace_id


def erase_rows() -> UUID:
    """Delete the workspace in force and every row that it owns; its id. Files are another matter: `erase_files`.

    Asks for no permission: the caller has.
    """
    workspace_id = current_workspace_id()
    with connection.cursor() as cursor:
        # The tables refer to each other; what counts is that nothing is left when all of them are empty.
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for model in apps.get_models():
            if issubclass(model, WorkspaceModel):
                table = connection.ops.quote_name(model._meta.db_table)
                cursor.execute(f"DELETE FROM {table} WHERE workspace_id = %s", [workspace_id])  # noqa: S608 a table of ours
        cursor.execute(f"DELETE FROM {Workspace._meta.db_table} WHERE id = %s", [workspace_id])  # noqa: S608 likewise
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return workspace_id


def erase_files(workspace_id: UUID) -> int:
    """Delete every file of a workspace that is no more; how many there were. May be repeated. Raises OSError and the
    storage's own errors while it cannot be reached."""
    storage = storages["default"]
    return sum(_erase(storage, f"{kind}/{workspace_id}") for kind in ("artifacts", "runs"))


def _erase(storage: Storage, place: str) -> int:
    try:
        folders, names = storage.listdir(place)
    except FileNotFoundError:
        return 0
    for name in names:
        storage.delete(f"{place}/{name}")
    erased = len(names) + sum(_erase(storage, f"{place}/{folder}") for folder in folders)
    # A folder of the file system stays behind empty; an object storage knows none.
    storage.delete(place)
    return erased
