"""Telling a database that is away from one that refuses."""

from __future__ import annotations

from django.db import Error, InterfaceError

_AWAY = ("08", "57P", "53300")
"""SQLSTATEs: connection exceptions, the server shuts down or starts, too many connections.
Source: https://www.postgresql.org/docs/17/errcodes-appendix.html"""


def is_away(failure: Error) -> bool:
    """Whether it was the connection that failed: then the same may succeed when the server is back.

    A server that answers says a SQLSTATE; psycopg makes OperationalErrors also of what never succeeds, such as a JSON
    document that is too large.
    """
    state = getattr(failure.__cause__, "sqlstate", None)
    return isinstance(failure, InterfaceError) or state is None or state.startswith(_AWAY)
