"""Which rows of the database a request has changed, in whatever table and of whatever workspace.

The tables come from PostgreSQL's catalogue. Rows are seen as the application sees them, by row-level security, so those
of each workspace are looked at in its scope.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.workspaces.scope import scope

NOTED = {
    "workspaces_apikey": ("last_used_at", "last_used_from"),
    "accounts_session": ("seen_at", "address", "agent", "session_data", "expire_date"),
}
"""What is noted of who comes, also of who only looks."""


@contextmanager
def taken_back() -> Iterator[None]:
    """A transaction that leaves nothing."""
    block = transaction.atomic()
    block._from_testcase = True  # as those of Django's own TestCase: what wants to be outermost may be within
    with block:
        yield
        transaction.set_rollback(True)


def _asked(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return list(cursor.fetchall())


def all_tables() -> list[str]:
    """Every table that the application can read, but for Django's own list of migrations."""
    found = _asked(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace "
        "AND has_table_privilege(oid, 'SELECT') AND relname <> 'django_migrations' ORDER BY relname"
    )
    return [name for (name,) in found]


def attempts() -> int:
    """How many rows this transaction has inserted, updated and deleted so far, also what it has taken back."""
    ((found,),) = _asked(
        "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_user_tables "
        "WHERE schemaname = 'public'"
    )
    return int(found)


class Rows:
    """All rows of some workspaces, and all that belong to none."""

    def __init__(self, workspaces: Sequence[UUID]) -> None:
        self._workspaces = workspaces
        columns = {
            table: "to_jsonb(t)" + "".join(f" - '{column}'" for column in NOTED.get(table, ()))
            for table in all_tables()
        }
        # The names are those of the catalogue.
        self._digest = " UNION ALL ".join(
            f"SELECT '{table}', count(*), coalesce(sum(hashtextextended(({row})::text, 0)::numeric), 0) "  # noqa: S608
            f'FROM "{table}" t'
            for table, row in columns.items()
        )
        self._rows = " UNION ALL ".join(
            f"SELECT '{table}', ({row})::text FROM \"{table}\" t"  # noqa: S608
            for table, row in columns.items()
        )

    def digest(self) -> list[Any]:
        """Of every table the number of its rows and a sum over all of them."""
        return [rows for one in self._workspaces for rows in self._in(one, self._digest)]

    def all(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every row by its table and key."""
        found = {}
        for one in self._workspaces:
            for table, text in self._in(one, self._rows):
                row = json.loads(text)
                found[table, str(row.get("id", row.get("session_key", text)))] = row
        return found

    @staticmethod
    def _in(workspace_id: UUID, sql: str) -> list[tuple[Any, ...]]:
        with scope(workspace_id):
            return _asked(sql)


def footprint(before: dict[tuple[str, str], Any], after: dict[tuple[str, str], Any]) -> list[str]:
    """What differs: `+table` for rows that are new, `-table` for those that are gone, else `table.column`."""
    found = {f"+{table}" for table, _ in after.keys() - before.keys()}
    found |= {f"-{table}" for table, _ in before.keys() - after.keys()}
    for table, key in before.keys() & after.keys():
        one, other = before[table, key], after[table, key]
        found |= {f"{table}.{column}" for column in one if one[column] != other[column]}
    return sorted(found)
