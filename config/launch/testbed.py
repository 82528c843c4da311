"""Real servers for a test session: PostgreSQL and Valkey of a data folder of the session's own.

The endpoints are known before anything runs, so that the settings can be loaded at once; the servers start when the
first test needs them. A session takes the first free of the folders `test/0`, `test/1`, …, so sessions may overlap.
When servers are configured (`ATTRACTOR_DATABASE_URL`, `ATTRACTOR_DATABASE_OWNER_URL`, `ATTRACTOR_VALKEY_URL`) they
are used, with a database `test_<name>` that is dropped and made anew.
"""

import os
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.launch import endpoints
from config.launch.services import InUse, Services
from config.layers import ROOT

TEMPLATE = "attractor_template"
DROP_PATIENCE = 30.0
"""Seconds for which a database that its server is tidying up is waited for."""


def in_database(url: str, name: str) -> str:
    """The URL with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def database_of(url: str) -> str:
    """The database a URL names."""
    return unquote(urlsplit(url).path.removeprefix("/"))


class Testbed:
    """The servers of one test session."""

    __test__ = False  # not a test case, whatever its name

    def __init__(self) -> None:
        """Reserve a data folder and tell it, through the environment, to this process and those it starts."""
        os.environ["ATTRACTOR_ENV"] = "test"
        configured = os.environ.get("ATTRACTOR_DATABASE_URL")
        self.external = configured is not None
        base = ROOT / os.environ.get("ATTRACTOR_DATA_DIR", ".attractor") / "test"
        self.services = self._reserve(base, valkey="ATTRACTOR_VALKEY_URL" not in os.environ)
        self.data_dir = self.services.data_dir
        os.environ["ATTRACTOR_DATA_DIR"] = str(self.data_dir)
        # What the engine has compiled is the same for all sessions: the first that needs a kernel makes it for them.
        os.environ.setdefault("ATTRACTOR_CACHE_DIR", str(base / "cache"))
        if configured is not None:
            owner = os.environ.get("ATTRACTOR_DATABASE_OWNER_URL")
            if owner is None:
                raise SystemExit(
                    "ATTRACTOR_DATABASE_URL is set, but ATTRACTOR_DATABASE_OWNER_URL is not: tests migrate"
                )
            self._maintenance_url = owner
            # Of the processes that share a session each has its own database.
            process = os.environ.get("PYTEST_XDIST_WORKER", "")
            name = f"test_{process}{database_of(configured)}"
            self.app_url, self.owner_url = in_database(configured, name), in_database(owner, name)
            os.environ["ATTRACTOR_DATABASE_URL"] = self.app_url
            os.environ["ATTRACTOR_DATABASE_OWNER_URL"] = self.owner_url
        else:
            known = endpoints.read(self.data_dir)
            self.app_url = known.database_url(endpoints.APP)
            self.owner_url = known.database_url(endpoints.OWNER)
            self._maintenance_url = in_database(self.owner_url, "postgres")

    def _reserve(self, base: Path, *, valkey: bool) -> Services:
        for number in range(100):
            services = Services(base / str(number), postgres=not self.external, valkey=valkey, for_tests=True)
            try:
                services.hold()
            except InUse:
                continue
            services.settle_ports()
            return services
        raise SystemExit(f"100 test sessions hold {base}; end some of them")

    def start(self) -> None:
        """Start the servers that are not configured."""
        self.services.start()

    def stop(self) -> None:
        """Stop the servers and give the folder to the next session."""
        self.services.stop()

    def make_database(self, template: str | None = None) -> None:
        """Make the test database anew, owned by the owner, empty or as a copy of `template`."""
        self._make(database_of(self.owner_url), template)

    def keep_as_template(self) -> None:
        """Keep a copy of the migrated, still empty test database for the sessions to come."""
        self._make(TEMPLATE, database_of(self.owner_url))

    def _make(self, name: str, template: str | None) -> None:
        with psycopg.connect(self._maintenance_url, autocommit=True, connect_timeout=5) as connection:
            self._drop(connection, name)
            copy = sql.SQL("TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
            connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), copy))

    def drop_database(self, name: str | None = None) -> None:
        """Drop the test database, or another one of the owner's."""
        with psycopg.connect(self._maintenance_url, autocommit=True, connect_timeout=5) as connection:
            self._drop(connection, name or database_of(self.owner_url))

    def _drop(self, connection: psycopg.Connection, name: str) -> None:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        deadline = time.monotonic() + DROP_PATIENCE
        while True:
            try:
                connection.execute(statement)
                return
            except psycopg.errors.InsufficientPrivilege as refused:
                # The server is tidying the database up, in a process that the owner may not end; it is done soon.
                if "terminate process" not in str(refused) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
