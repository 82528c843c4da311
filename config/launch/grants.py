"""What the app role may do with the owner's tables: rows, and nothing that row-level security does not see."""

import psycopg
from psycopg import sql

# TRUNCATE, REFERENCES and TRIGGER go past row-level security, so the app role has none of them.
ROWS = sql.SQL("SELECT, INSERT, UPDATE, DELETE")


def grant_rows(owner_url: str, app_role: str) -> None:
    """As the owner: let `app_role` read and write the rows of every table made from now on.

    Default privileges rather than grants on what is there: a migration that takes a right away stays the last word.
    """
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=5) as connection:
        role = sql.Identifier(app_role)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
        connection.execute(
            sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {} ON TABLES TO {}").format(ROWS, role)
        )
        connection.execute(
            sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {}").format(role)
        )
