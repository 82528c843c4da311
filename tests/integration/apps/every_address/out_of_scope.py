"""Notes every statement on a table of workspaces that is run outside a scope, on whatever thread."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.db.backends.utils import CursorWrapper

from apps.workspaces.deletion import owned
from apps.workspaces.scope import current

OF_PERSON = frozenset({"workspaces_membership", "workspaces_workspace"})
"""In which a person's own rows are looked up before a workspace is known (`user_scope`)."""
BY_SECRET = frozenset({"workspaces_apikey", "workspaces_invitation", "sharing_sharelink"})
"""In which a row is looked up by a digest that the transaction names (`digests.naming`)."""


@contextmanager
def out_of_scope() -> Iterator[list[str]]:
    """The statements, as they come."""
    tables = {model._meta.db_table for model in owned()} | OF_PERSON
    pattern = re.compile(rf"\b({'|'.join(sorted(tables, key=len, reverse=True))})\b")
    found: list[str] = []
    run = CursorWrapper._execute_with_wrappers

    def noted(self: CursorWrapper, sql: Any, params: Any, many: bool, executor: Any) -> Any:
        named = set(pattern.findall(str(sql)))
        scope = current()
        if named and scope.workspace_id is None:
            by_person = scope.user_id is not None and named <= OF_PERSON
            by_secret = named <= BY_SECRET and "digest" in str(sql).partition("WHERE")[2]
            if not by_person and not by_secret:
                found.append(str(sql)[:300])
        return run(self, sql, params, many, executor)

    with patch.object(CursorWrapper, "_execute_with_wrappers", noted):
        yield found
