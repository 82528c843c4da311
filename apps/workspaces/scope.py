"""The workspace that the running code works for.

Rows of a workspace are kept apart twice. In Python the scope is a context variable that scoped managers read
(and refuse to work without). In PostgreSQL it is the transaction-local setting `app.workspace_id` that the
row-level security policies read, so SQL that forgets to filter returns nothing instead of somebody else's rows.

The setting lives as long as the transaction, so a scope always runs inside one. In async code open the scope
inside the function given to `database_sync_to_async`: a connection belongs to one thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction


class Unscoped(RuntimeError):
    """Rows of a workspace were asked for outside `with scope(workspace_id)`."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Who looks at what. `workspace_id` is None while a user's own memberships are looked up."""

    workspace_id: UUID | None
    user_id: UUID | None


_NOWHERE = Scope(None, None)
_scope: ContextVar[Scope] = ContextVar("attractor_scope", default=_NOWHERE)


def current() -> Scope:
    """The scope in force; outside of any, one with both ids None."""
    return _scope.get()


def current_workspace_id() -> UUID:
    """The workspace in force. Raises `Unscoped` outside a scope."""
    workspace_id = _scope.get().workspace_id
    if workspace_id is None:
        raise Unscoped(
            "Rows of a workspace were asked for outside a scope. "
            "Wrap the code in `with apps.workspaces.scope.scope(workspace_id):`."
        )
    return workspace_id


@contextmanager
def scope(workspace_id: UUID | str, user_id: UUID | str | None = None) -> Iterator[Scope]:
    """Work inside one workspace, in one transaction (a savepoint when one is open already).

    `user_id` additionally lets policies show that user's own memberships; a nested scope keeps the outer
    user when none is given. Leaving restores the outer scope; an exception rolls back what was written.
    """
    outer = _scope.get()
    user = outer.user_id if user_id is None else UUID(str(user_id))
    with _entered(Scope(UUID(str(workspace_id)), user)) as entered:
        yield entered


@contextmanager
def reading(workspace_id: UUID | str) -> Iterator[Scope]:
    """Read inside one workspace: in its scope where that is in force already, else in one of its own.

    `scope` would make a savepoint, which is of no use to who writes nothing.
    """
    inside = _scope.get()
    if connection.in_atomic_block and inside.workspace_id == UUID(str(workspace_id)):
        yield inside
    else:
        with scope(workspace_id) as entered:
            yield entered


@contextmanager
def user_scope(user_id: UUID | str) -> Iterator[Scope]:
    """Look at one user's own memberships and their workspaces, in one transaction; nothing else is visible, and
    nothing can be written. Inside the same user's it is that one, without a savepoint."""
    inside, wanted = _scope.get(), Scope(None, UUID(str(user_id)))
    if connection.in_atomic_block and inside == wanted:
        yield inside
    else:
        with _entered(wanted) as entered:
            yield entered


def enter(workspace_id: UUID) -> None:
    """Go on in the transaction of `user_scope` as `scope` of that user in a workspace, until `user_scope` is left.

    For who has just seen that the user belongs to it: another transaction costs more than the look did. Call it in the
    block of `user_scope` itself and in no savepoint below, whose rollback would take it back in the database alone.
    """
    inside = _scope.get()
    if inside.workspace_id is not None or inside.user_id is None or not connection.in_atomic_block:
        raise RuntimeError("enter() goes on from user_scope(), and none is in force.")
    entered = Scope(workspace_id, inside.user_id)
    _tell_database(entered)
    _scope.set(entered)


@contextmanager
def _entered(entered: Scope) -> Iterator[Scope]:
    outer = _scope.get()
    nested = connection.in_atomic_block
    told = nested and entered == outer
    with transaction.atomic():
        if not told:
            _tell_database(entered)
        token = _scope.set(entered)
        try:
            yield entered
        finally:
            _scope.reset(token)
        # A transaction that ends here takes the setting with it. One that goes on must see the outer scope
        # again; after an exception the rollback to the savepoint has restored it already.
        if nested and not told and not connection.needs_rollback:
            _tell_database(outer)


def _tell_database(entered: Scope) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('app.workspace_id', %s, true), set_config('app.user_id', %s, true)",
            [str(entered.workspace_id or ""), str(entered.user_id or "")],
        )
