"""Migrations forward, back and forward again, in a database of the test's own."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from config.launch.testbed import in_database
from config.layers import ROOT

POLICIES = "SELECT count(*) FROM pg_policies WHERE schemaname = 'public'"
TRIGGERS = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
FUNCTIONS = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"


@pytest.fixture
def empty_database(testbed: Any) -> Iterator[str]:
    """The name of a database with nothing in it."""
    name = f"migrations_{uuid.uuid4().hex[:8]}"
    maintenance = in_database(testbed.owner_url, "postgres")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield name
    testbed.drop_database(name)


def test_they_go_back_without_a_trace_and_forward_again(testbed: Any, empty_database: str) -> None:
    owner = in_database(testbed.owner_url, empty_database)
    application = in_database(testbed.app_url, empty_database)

    def manage(*arguments: str, role: str = "owner") -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "ATTRACTOR_DATABASE_URL": application,
            "ATTRACTOR_DATABASE_OWNER_URL": owner,
            "ATTRACTOR_DATABASE_ROLE": role,
        }
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def counts() -> list[Any]:
        with psycopg.connect(owner) as connection:
            return [connection.execute(query).fetchone() for query in (POLICIES, TRIGGERS, FUNCTIONS)]

    assert manage("migrate").returncode == 0
    there = counts()
    assert all(count > 0 for (count,) in there)  # type: ignore[misc]
    back = manage("migrate", "workspaces", "zero")
    assert back.returncode == 0, back.stderr
    assert counts() == [(0,), (0,), (0,)]
    again = manage("migrate")
    assert again.returncode == 0, again.stderr
    assert counts() == there
    # What was made the second time is the application's to use as well.
    assert manage("migrate", "--check", role="app").returncode == 0
    with psycopg.connect(application) as connection:
        assert connection.execute("SELECT count(*) FROM runs_run").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM runs_queued_for(0, 1)").fetchone() == (0,)


@pytest.mark.django_db
def test_the_models_have_no_change_that_no_migration_makes() -> None:
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
