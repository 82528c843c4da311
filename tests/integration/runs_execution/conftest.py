"""A real worker, a real sweeper and a real web server on the session's servers, each a process of its own."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cut_wire import CutWire, cut_wire
from run_processes import Program, Server, Tenant, free_port, make_tenant, program, started_server, started_worker

from apps.workspaces.keys import create_key
from attractor.client import Client, Retry, login


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


# The client of the API on the server above.


@pytest.fixture
def secret(tenant: Tenant) -> str:
    """An API key of the tenant's."""
    return create_key(tenant.user, tenant.workspace, "test")[1]


@pytest.fixture
def client(server: Server, secret: str) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{server.port}", secret, retry=Retry(first=0.05, longest=0.2)) as opened:
        yield opened


@pytest.fixture
def wire(server: Server) -> Iterator[CutWire]:
    """What lies between a client and the server."""
    with cut_wire(server.port) as passed:
        yield passed


@pytest.fixture
def here(server: Server, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own; the command line is logged in by the environment."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv(login.URL, f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv(login.KEY, secret)
    return tmp_path


@pytest.fixture
def graph_file(tmp_path: Path) -> Path:
    file = tmp_path / "array.json"
    preset = {
        "id": "array", "version": 1, "title": "An array", "category": "x", "summary": "x", "limits": {"ticks": 300},
        "graph": {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"cell": "lorenz", "N": 16}}], "edges": []},
    }  # fmt: skip
    file.write_text(json.dumps(preset), "utf-8")
    return file
