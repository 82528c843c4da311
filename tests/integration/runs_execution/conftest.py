"""A real worker, a real sweeper and a real web server on the session's servers, each a process of its own."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from run_processes import Program, Server, Tenant, free_port, make_tenant, program, started_server, started_worker


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return make_tenant("ada")


@pytest.fixture
def eventually() -> Callable[..., None]:
    """As everywhere, but patient: run processes import torch, several at once, on whatever machine this is."""

    def wait(condition: Callable[[], object], what: str, patience: float = 400.0) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}"
            time.sleep(0.02)

    return wait


@pytest.fixture
def worker(testbed: Any, tmp_path: Path) -> Iterator[Program]:
    with started_worker(tmp_path / "worker") as running:
        yield running


@pytest.fixture(scope="module")
def shared_worker(testbed: Any, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A worker for tests that leave it whole."""
    with started_worker(tmp_path_factory.mktemp("worker") / "shared") as running:
        yield running


@pytest.fixture
def sweeper(testbed: Any, tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path / "sweeper.log", "manage.py", "sweep") as running:
        yield running


@pytest.fixture(scope="module")
def server(testbed: Any, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started_server(tmp_path_factory.mktemp("web") / "shared", free_port(), ATTRACTOR__LOG__LEVEL="INFO") as web:
        yield web
