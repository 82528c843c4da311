"""Rights of the restricted database role that web, workers and tests connect as.

The owner makes and changes tables; the application role reads and writes rows, and row-level security holds it.
It has no TRUNCATE, which would pass row-level security by.
"""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connections

_RIGHTS = (
    ("TABLES", "SELECT, INSERT, UPDATE, DELETE"),
    ("SEQUENCES", "USAGE, SELECT"),
    ("FUNCTIONS", "EXECUTE"),
)


def application_role() -> str:
    """The name of the restricted role, out of its URL."""
    return urlsplit(settings.DATABASE_URLS["app"]).username or ""


def grant_before_migrate(using: str, **_: Any) -> None:
    """As the owner: let the application role use every table, sequence and function made from now on.

    Connected to `pre_migrate`, so that it holds in every database that is ever migrated, a test's too. Default
    privileges, not grants on what is there: a migration that takes a right away stays the last word. Does nothing
    for the application role itself, which cannot migrate anyhow.
    """
    connection = connections[using]
    role = connection.ops.quote_name(application_role())
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if cursor.fetchone()[0] == application_role():
            return
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
        for kind, rights in _RIGHTS:
            cursor.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {rights} ON {kind} TO {role}")
