"""Fixtures that every test may use: real PostgreSQL, real Valkey, the whole stack."""

import contextlib
import gc
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.operations import DatabaseOperations

from config.launch.stamp import Stamp, content_hash
from config.launch.testbed import TEMPLATE, Testbed
from config.layers import ROOT
from config.settings import database
from tests.running_stack import RunningStack, started_stack

# What is imported to collect the tests lives as long as the process: looking for garbage in it is waste.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


# How long an example takes depends on the machine and on what else it does; no test asserts it.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


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
        while True:
            try:
                with psycopg.connect(testbed.owner_url) as connection:
                    for statement in statements:
                        connection.execute(statement)
                return
            except psycopg.errors.DeadlockDetected:
                # A program of a test that is still at work took the same tables in another order; it is done soon.
                continue

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush_as_owner)
        yield
    with django_db_blocker.unblock():
        for connection in connections.all(initialized_only=True):
            connection.close()
            connection.close_pool()
        testbed.drop_database()


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The whole stack, started on empty data: PostgreSQL, Valkey, worker, sweeper, web server, front end."""
    data_dir = settings.TESTBED.data_dir / "stack"
    shutil.rmtree(data_dir, ignore_errors=True)
    with started_stack(data_dir, covered=False) as running:
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
