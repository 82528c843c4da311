"""Fixtures of tests that try what happens to the servers themselves."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.s3_server import S3Server, started_s3


@pytest.fixture
def valkey_server(testbed: Any) -> Iterator[Any]:
    """The session's own Valkey, which a test may stop; it runs again afterwards."""
    server = testbed.services.valkey
    if server is None:
        pytest.skip("the configured Valkey is not ours to stop")
    yield server
    if not server.process.is_running():
        server.start()
    while not server.answers():
        time.sleep(0.05)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server."""
    with started_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server
