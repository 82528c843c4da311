"""Fixtures that every test may use: real PostgreSQL, real Valkey, the whole stack."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.operations import DatabaseOperations

from config.launch.stack import RUNNING
from config.launch.stamp import Stamp, content_hash
from config.launch.testbed import TEMPLATE, Testbed
from config.layers import ROOT
from config.settings import database


@pytest.fixture(scope="session")
def testbed() -> Iterator[Testbed]:
    """PostgreSQL and Valkey, running."""
    bed: Testbed = settings.TESTBED
    bed.start()
    yield bed
    bed.stop()


@pytest.fixture(scope="session")
def valkey_url(testbed: Testbed) -> str:
    """URL of the running Valkey of this session."""
    url: str = settings.VALKEY_URL
    return url


@contextlib.contextmanager
def connected_as_owner(testbed: Testbed) -> Iterator[None]:
    """Let Django's default connection be the owner's for a while."""
    connection = connections["default"]
    connection.close()
    app_role = connection.settings_dict
    connection.settings_dict = {**app_role, **database(testbed.owner_url), "OPTIONS": {}}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = app_role


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any, testbed: Testbed) -> Iterator[None]:
    """Make the test database, migrated by the owner; tests then connect as the app role, which RLS binds."""
    migrations = [*(ROOT / "apps").glob("*/migrations/*.py"), *(ROOT / "apps").glob("*/*.py")]
    inputs = content_hash(migrations, (ROOT / "requirements" / "lock.txt").read_text(encoding="utf-8"))
    kept = Stamp(testbed.data_dir / "stamps" / "template")
    with django_db_blocker.unblock():
        if not testbed.external and kept.matches(inputs):
            testbed.make_database(TEMPLATE)
        else:
            testbed.make_database()
            with connected_as_owner(testbed):
                call_command("migrate", verbosity=0, interactive=False)
            if not testbed.external:
                testbed.keep_as_template()
                kept.set(inputs)

    def flush_as_owner(self: DatabaseOperations, statements: list[str]) -> None:
        # The app role may not TRUNCATE, which would go past row-level security; between transactional tests
        # the owner does it.
        with psycopg.connect(testbed.owner_url) as connection:
            for statement in statements:
                connection.execute(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush_as_owner)
        yield
    with django_db_blocker.unblock():
        for connection in connections.all(initialized_only=True):
            connection.close()
            connection.close_pool()
        testbed.drop_database()


@dataclass(frozen=True)
class RunningStack:
    """The whole stack as `make run` starts it: where it is and how to log in."""

    pid: int
    url: str
    email: str
    password: str
    data_dir: Path


def free_port() -> int:
    """A TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started_stack(data_dir: Path, patience: float = 240.0) -> Iterator[RunningStack]:
    """Run `python -m config.launch up` on a data folder until the block ends."""
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("ATTRACTOR_DATABASE")},
        "ATTRACTOR_ENV": "test",
        "ATTRACTOR_DATA_DIR": str(data_dir),
        "ATTRACTOR__WEB__PORT": str(free_port()),
    }
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / RUNNING).unlink(missing_ok=True)  # of a launcher that was killed
    output = data_dir / "launch.log"
    with output.open("wb") as log:
        launch = subprocess.Popen(
            [sys.executable, "-m", "config.launch", "up"], cwd=ROOT, env=env, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + patience
            while not (data_dir / RUNNING).exists():
                if launch.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the stack did not start:\n{output.read_text()}")
                time.sleep(0.05)
            running = json.loads((data_dir / RUNNING).read_text(encoding="utf-8"))
            yield RunningStack(data_dir=data_dir, **running)
        finally:
            if launch.poll() is None:
                launch.send_signal(signal.SIGINT)
            launch.wait(60)


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The whole stack, started on empty data: PostgreSQL, Valkey, worker, sweeper, web server, front end."""
    data_dir = settings.TESTBED.data_dir / "stack"
    shutil.rmtree(data_dir, ignore_errors=True)
    with started_stack(data_dir) as running:
        yield running


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until a condition holds; fails with what it waited for when it does not come to hold."""

    def wait(condition: Callable[[], object], what: str, patience: float = 30.0) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited {patience:.0f} s for {what}")
            time.sleep(0.05)

    return wait
