"""How operators read what belongs to workspaces.

Across all of them by three functions of the database (`operator_workspaces`, `operator_runs`, `operator_audit`), which
give a few columns, refuse whoever is no operator, and write an event of the look themselves; the application's role has
no other way past row-level security. Into one of them by its scope, as everything else does, with an event too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import connection, transaction

from apps.accounts import visit
from apps.console.log import note, request_id
from apps.console.rights import Right, require
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Workspace
from apps.workspaces.scope import scope

if TYPE_CHECKING:
    from apps.accounts.models import User

PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class WorkspaceLine:
    """A workspace as the list shows it."""

    id: UUID
    slug: str
    name: str
    personal: bool
    created_at: datetime
    delete_at: datetime | None
    suspended_at: datetime | None
    members: int
    active_runs: int

    @property
    def standing(self) -> str:
        """In a word."""
        if self.suspended_at is not None:
            return "suspended"
        return "being deleted" if self.delete_at is not None else "open"


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run as the list shows it; `failure` is the code of its error."""

    id: UUID
    workspace_id: UUID
    slug: str
    workspace: str
    kind: str
    state: str
    paused: bool
    progress: float
    attempts: int
    failure: str | None
    submitted_by: str | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditLine:
    """An entry of a workspace's log."""

    id: UUID
    at: datetime
    workspace_id: UUID
    slug: str
    action: str
    actor: str | None
    key: UUID | None
    object_type: str
    object_id: str
    request_id: str
    data: dict[str, Any]


def workspaces(
    actor: User, sought: str = "", standing: str = "", skipped: int = 0, at_most: int = PAGE
) -> list[WorkspaceLine]:
    """Workspaces, newest first.

    Args:
        sought: part of name or slug, an id, or the address or id of a member.
        standing: open, suspended or closing; empty: all.

    Raises `PermissionDenied`.
    """
    require(actor, Right.LOOK)
    rows = _called("operator_workspaces(%s, %s, %s, %s, %s, %s)", actor, sought, standing, at_most, skipped)
    return [WorkspaceLine(*row) for row in rows]


def runs(
    actor: User,
    *,
    workspace: UUID | None = None,
    state: str = "",
    kind: str = "",
    failure: str = "",
    after: datetime | None = None,
    before: datetime | None = None,
    skipped: int = 0,
    at_most: int = PAGE,
) -> list[RunLine]:
    """Runs of all workspaces, newest first. Raises `PermissionDenied`."""
    require(actor, Right.LOOK)
    call = "operator_runs(%s, %s, %s::uuid, %s, %s, %s, %s::timestamptz, %s::timestamptz, %s, %s)"
    rows = _called(call, actor, workspace, state, kind, failure, after, before, at_most, skipped)
    return [RunLine(*row) for row in rows]


def audit_entries(
    actor: User,
    *,
    workspace: UUID | None = None,
    person: str = "",
    action: str = "",
    object_id: str = "",
    after: datetime | None = None,
    before: datetime | None = None,
    skipped: int = 0,
    at_most: int = PAGE,
) -> list[AuditLine]:
    """Entries of the logs of all workspaces, newest first. Raises `PermissionDenied`.

    Args:
        person: address of who did it.
        action: the whole of it, or its first part.
    """
    require(actor, Right.AUDIT)
    call = "operator_audit(%s, %s, %s::uuid, %s, %s, %s, %s::timestamptz, %s::timestamptz, %s, %s)"
    rows = _called(call, actor, workspace, person, action, object_id, after, before, at_most, skipped)
    return [AuditLine(*(*row[:-1], _object(row[-1]))) for row in rows]


@contextmanager
def looking_into(actor: User, workspace_id: UUID) -> Iterator[Workspace]:
    """Read inside one workspace, which is noted.

    Raises:
        NotFound: there is none.
        PermissionDenied: the actor has no right to.
    """
    require(actor, Right.LOOK)
    with scope(workspace_id):
        found = Workspace.objects.filter(pk=workspace_id).first()
        if found is None:
            raise NotFound(f"workspace {workspace_id}")
        note(actor, "workspace.look", found)
        yield found


def _called(call: str, actor: User, *given: Any) -> list[tuple[Any, ...]]:
    # One transaction: the event of the look is written with it or there was no look.
    with transaction.atomic(), connection.cursor() as cursor:
        # Read by `operator_enters`: the event says from where, as those that `note` writes do.
        cursor.execute("SELECT set_config('app.visit_address', %s, true)", [visit.current().address or ""])
        cursor.execute(f"SELECT * FROM {call}", [actor.pk, request_id(), *given])  # noqa: S608  # nosec B608: a call of ours
        return list(cursor.fetchall())


def _object(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return found
