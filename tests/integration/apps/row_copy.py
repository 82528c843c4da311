"""Rows that services have made once, made again in one statement with other ids: services take a hundred times as long,
and most tests want people, workspaces and graphs only to begin with."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction

from apps.workspaces.scope import scope

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


@dataclass(frozen=True)
class RowCopy:
    """Rows of one workspace and its owner, by table, as JSON.

    Attributes:
        made: when they were made; copies are as much younger as they are made later.
        slug: of the workspace, whose random end is another in each copy.
    """

    rows: dict[str, list[dict[str, Any]]]
    made: datetime
    workspace_id: UUID
    user_id: UUID
    slug: str

    @classmethod
    def of(cls, workspace_id: UUID, user_id: UUID, slug: str) -> RowCopy:
        """All rows that belong to the workspace, and the user's own."""
        rows = {}
        with scope(workspace_id, user_id), connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns"
                " WHERE table_schema = 'public' GROUP BY 1 ORDER BY 1"
            )
            for table, columns in cursor.fetchall():
                if table == "accounts_user":
                    condition, owner = "id = %s", user_id
                elif table == "workspaces_workspace":
                    condition, owner = "id = %s", workspace_id
                elif "workspace_id" in columns:
                    condition, owner = "workspace_id = %s", workspace_id
                elif "user_id" in columns:
                    condition, owner = "user_id = %s", user_id
                else:
                    continue
                cursor.execute(f'SELECT to_jsonb(one) FROM "{table}" one WHERE {condition}', [owner])  # noqa: S608
                found = [json.loads(row) if isinstance(row, str) else row for (row,) in cursor.fetchall()]
                if found:
                    rows[table] = found
            cursor.execute(
                "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
            )
            order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(rows, ()))
            for table, needed in cursor.fetchall():
                if table != needed and {table, needed} <= rows.keys():
                    order.add(table, needed)
        rows = {table: rows[table] for table in order.static_order()}
        return cls(rows, datetime.now(UTC), workspace_id, user_id, slug)

    def insert(self) -> tuple[UUID, UUID]:
        """Ids of the workspace and of the user of a copy made now."""
        text = json.dumps(self.rows)
        ids = {row["id"]: str(uuid4()) for rows in self.rows.values() for row in rows}
        for old, new in ids.items():
            text = text.replace(old, new)
        stem, _, end = self.slug.rpartition("-")
        text = text.replace(self.slug, f"{stem}-{secrets.token_hex(8)[: len(end)]}")
        age = datetime.now(UTC) - self.made
        rows = json.loads(_TIME.sub(lambda found: _later(found[0], age), text))
        workspace_id, user_id = UUID(ids[str(self.workspace_id)]), UUID(ids[str(self.user_id)])
        statements = "; ".join(
            f'INSERT INTO "{table}" SELECT * FROM jsonb_populate_recordset(NULL::"{table}", {_literal(of)})'  # noqa: S608
            for table, of in rows.items()
        )
        with transaction.atomic(), scope(workspace_id, user_id), connection.cursor() as cursor:
            cursor.execute(statements)
        return workspace_id, user_id


def _later(time: str, by: timedelta) -> str:
    return (datetime.fromisoformat(time) + by).isoformat()


def _literal(value: Any) -> str:
    """The value as JSON in a literal of SQL, for a statement without parameters."""
    text = json.dumps(value).replace("'", "''").replace("\\", "\\\\")
    return f"E'{text}'::jsonb"
