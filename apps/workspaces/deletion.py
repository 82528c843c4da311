"""The end of a workspace: asked for, taken back, done.

`close` makes it read-only for `workspaces.grace_days`; until then an owner may take that back. `purge` is the
sweeper's: it deletes every row of the workspace, then its files, and last the workspace itself, which until then says
that there is something left to do. What dies in between is done by the next round.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.dispatch import Signal
from django.utils import timezone

from apps.ops.preconditions import ANY, Precondition
from apps.ops.refusal import Fault
from apps.workspaces.domains import MACHINES
from apps.workspaces.models import Membership, Workspace
from apps.workspaces.permissions import Verb, refuse_suspended, require
from apps.workspaces.refusals import Closing, NotClosing
from apps.workspaces.rows import WorkspaceModel
from apps.workspaces.scope import scope
from apps.workspaces.services import audit, locked_workspace

if TYPE_CHECKING:
    from apps.accounts.models import User

workspace_closing: Final = Signal()
"""Sent with `actor` in the scope and transaction of `close`: what is under way is to end."""
workspace_purging: Final = Signal()
"""Sent with `workspace_id` outside of any scope when no row is left but the workspace's: its files are to be deleted.
A receiver raises OSError, or what `purge` is told by `away`, when it cannot."""

BATCH: Final = 5000
"""Rows that one statement deletes: it has to end within `database.statement_timeout`."""

log = structlog.get_logger(__name__)


def close(actor: User, workspace: Workspace, precondition: Precondition = ANY) -> Workspace:
    """Begin to delete a workspace: its runs are cancelled, and it can only be read until it goes.

    Raises:
        Closing: it is being deleted already.
        PermissionDenied: the actor is no owner, or came with an API key.
        PreconditionRequired, PreconditionFailed: it is not as the actor knows it.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.OWN_WORKSPACE, while_closing=True)
        held = locked_workspace()
        refuse_suspended(held)
        if held.delete_at is not None:
            raise Closing([Fault("workspace", "It is being deleted already.", "There is nothing more to do.")])
        precondition.check(held.revision)
        workspace_closing.send(Workspace, actor=actor)
        held.delete_at = timezone.now() + timedelta(days=settings.ATTRACTOR.workspaces.grace_days)
        held.revision += 1
        held.save(update_fields=["delete_at", "revision"])
        audit(actor, "workspace.close", held, delete_at=held.delete_at.isoformat())
    return held


def end_now(actor: User) -> None:
    """Have the workspace in force purged without a grace: its last member leaves, so nobody could take it back.

    Asks for no permission: the caller has.
    """
    held = locked_workspace()
    workspace_closing.send(Workspace, actor=actor)
    held.delete_at = timezone.now()
    held.revision += 1
    held.save(update_fields=["delete_at", "revision"])
    audit(actor, "workspace.close", held, delete_at=held.delete_at.isoformat())


def restore(actor: User, workspace: Workspace) -> Workspace:
    """Take it back: the workspace is as it was, without what was cancelled.

    Raises:
        NotClosing: it is not being deleted.
        PermissionDenied: as `close`.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.OWN_WORKSPACE, while_closing=True)
        held = locked_workspace()
        refuse_suspended(held)
        if held.delete_at is None:
            raise NotClosing([Fault("workspace", "It is not being deleted.", "There is nothing to take back.")])
        held.delete_at = None
        held.revision += 1
        held.save(update_fields=["delete_at", "revision"])
        audit(actor, "workspace.restore", held)
    return held


# --- For the sweeper ------------------------------------------------------------------------------------------------


def to_purge(at_most: int = 10) -> list[UUID]:
    """Workspaces whose time is over; ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id FROM workspaces_to_purge(%s)", [at_most])
        return [row[0] for row in cursor.fetchall()]


def purge(workspace_id: UUID, away: tuple[type[Exception], ...] = (OSError,)) -> bool:
    """Delete a workspace whose time is over, with all its rows and files; whether it is gone.

    Args:
        away: what a storage raises that cannot be reached: the files are then deleted by a later round.
    """
    if not _delete_rows(workspace_id):
        return False
    try:
        workspace_purging.send(Workspace, workspace_id=workspace_id)
    except away as error:
        log.warning("workspace_files_not_deleted", workspace_id=str(workspace_id), error=str(error))
        return False
    with scope(workspace_id):
        rows = Workspace.objects.filter(pk=workspace_id, delete_at__lte=timezone.now())
        gone = rows._raw_delete(rows.db) > 0
    if gone:
        log.info("workspace_purged", workspace_id=str(workspace_id))
    return gone


def owned() -> Iterator[type[WorkspaceModel]]:
    """Every model whose rows belong to a workspace."""
    return (model for model in apps.get_models() if issubclass(model, WorkspaceModel))


def _delete_rows(workspace_id: UUID) -> bool:
    """Delete every row but the workspace's own, in one transaction; False when its time is not over after all."""
    with scope(workspace_id):
        held = Workspace.objects.select_for_update().filter(pk=workspace_id).first()
        if held is None or held.delete_at is None or held.delete_at > timezone.now():
            return False
        machines = Membership.objects.filter(user__email__endswith=f"@{MACHINES}")
        people = list(machines.values_list("user_id", flat=True))
        with connection.cursor() as cursor:
            # In any order: what refers to what is looked at when all are gone.
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            for model in owned():
                _empty(cursor, model._meta.db_table, workspace_id)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        _delete_machines(people)
    return True


def _empty(cursor: CursorWrapper, table: str, workspace_id: UUID) -> None:
    statement = (
        f'DELETE FROM "{table}" WHERE ctid = ANY (ARRAY('  # noqa: S608 the name of a table of ours  # nosec B608
        f'SELECT ctid FROM "{table}" WHERE workspace_id = %s LIMIT {BATCH}))'
    )
    while True:
        cursor.execute(statement, [workspace_id])
        if cursor.rowcount < BATCH:
            return


def _delete_machines(people: list[UUID]) -> None:
    from apps.accounts.models import User

    User.objects.filter(pk__in=people, email__endswith=f"@{MACHINES}").delete()
