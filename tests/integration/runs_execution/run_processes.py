"""The product's processes as tests start, watch and kill them, and people who use them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import psutil
from django.test import Client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from apps.accounts.models import User
from apps.accounts.services import register
from apps.projects.models import Graph, Project
from apps.projects.services import create_graph
from apps.runs import services
from apps.runs.models import Run, RunEvent
from apps.workspaces.models import Workspace
from apps.workspaces.scope import scope
from apps.workspaces.selectors import workspaces_of
from config.layers import ROOT

LEASE = {"ATTRACTOR__RUNS__LEASE": "6.0", "ATTRACTOR__RUNS__RENEW": "1.0", "ATTRACTOR__RUNS__SWEEP": "0.5"}
LONG = 1_000_000
# `celery`, whose run processes are not traced when tests measure coverage: a run takes three times as long under the
# tracer, and a process whose run is over ends without saying what it traced.
WORKER = """
import os
for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS")]:
    del os.environ[name]
from celery.__main__ import main
main()
"""


def _runs(process: psutil.Process) -> bool:
    try:
        return "apps.runs.execution.child" in process.cmdline()
    except psutil.NoSuchProcess:  # also one that is dead and not yet buried
        return False


@dataclass
class Tenant:
    """A person with a workspace, a project and a graph of one small oscillator array."""

    user: User
    workspace: Workspace
    project: Project
    graph: Graph

    def graph_of(self, **params: Any) -> Graph:
        """A graph of one oscillator array with these parameters."""
        return self.graph_of_node("osc.array", **{"cell": "lorenz", "N": 16, **params})

    def graph_of_node(self, kind: str, **params: Any) -> Graph:
        """A graph of one node, `osc`."""
        return self.graph_of_spec(kind, {"nodes": [{"id": "osc", "kind": kind, "params": params}], "edges": []})

    def graph_of_spec(self, name: str, spec: dict[str, Any]) -> Graph:
        return create_graph(self.user, self.workspace, self.project, name, spec)

    def submit(self, ticks: int = LONG, seed: int = 7, graph: Graph | None = None, **more: Any) -> Run:
        return services.submit(self.user, self.workspace, graph or self.graph, seed=seed, ticks=ticks, **more)

    def command(self, run: Run, kind: str, **payload: Any) -> None:
        services.command(self.user, run, kind, payload)

    def look(self, run: Run) -> Run:
        """The run's row now."""
        with scope(self.workspace.id):
            return Run.objects.get(pk=run.pk)

    def events(self, run: Run) -> list[RunEvent]:
        with scope(self.workspace.id):
            return list(RunEvent.objects.filter(run_id=run.pk).order_by("seq"))

    def cookie(self) -> str:
        """The Cookie header of somebody logged in."""
        client = Client()
        client.force_login(self.user)
        return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


def make_tenant(name: str) -> Tenant:
    user = register(f"{name}@example.org", "a long enough secret", name)
    (workspace,) = workspaces_of(user)
    with scope(workspace.id):
        project = Project.objects.get()
    tenant = Tenant(user, workspace, project, graph=None)  # type: ignore[arg-type] filled in the next line
    tenant.graph = tenant.graph_of()
    return tenant


@dataclass
class Program:
    """A process of the product that a test may kill."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def children(self) -> list[psutil.Process]:
        """The run processes below it."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in below if _runs(child)]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextlib.contextmanager
def program(log: Path, *arguments: str, **env: str) -> Iterator[Program]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **LEASE, **env}, stdout=output, stderr=output
        )
    running = Program(process, log)
    try:
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def started_worker(folder: Path, spares: int = 1, **env: str) -> Iterator[Program]:
    """A Celery worker that is ready for runs and has its spare children warm."""
    folder.mkdir(exist_ok=True)
    ready = folder / "ready"
    with program(
        folder / "worker.log",
        "-c", WORKER, "-A", "config.celery", "worker", "--queues", "runs", "--loglevel", "INFO",
        WORKER_READY_FILE=str(ready), ATTRACTOR__WORKER__SPARES=str(spares), ATTRACTOR__LOG__LEVEL="INFO", **env,
    ) as worker:  # fmt: skip
        deadline = time.monotonic() + 400
        while not ready.exists() or worker.log.read_text().count("is warm") < spares:
            assert worker.process.poll() is None, worker.log.read_text()
            assert time.monotonic() < deadline, worker.log.read_text()
            time.sleep(0.05)
        yield worker


@dataclass
class Server:
    """A web server and how to open sockets to it."""

    port: int
    sockets: contextlib.ExitStack

    def open(self, run: Run, tenant: Tenant, after: int = 0, cookie: str | None = None) -> "Socket":
        path = f"{tenant.workspace.slug}/runs/{run.pk}/?after={after}"
        return self.connect(path, tenant.cookie() if cookie is None else cookie)

    def connect(self, path: str, cookie: str = "", origin: str | None = None, key: str | None = None) -> "Socket":
        """A socket; `path` without a slash in front is one of workspaces. `key` is an API key."""
        here: Any = origin or f"http://127.0.0.1:{self.port}"
        url = f"ws://127.0.0.1:{self.port}{path if path.startswith('/') else f'/ws/v1/workspaces/{path}'}"
        headers = {"Cookie": cookie} if key is None else {"Authorization": f"Bearer {key}"}
        connection = self.sockets.enter_context(
            connect(url, additional_headers=headers, origin=here, max_size=2**24, open_timeout=60, ping_interval=None)
        )
        return Socket(connection)


class Socket:
    """A client of the run socket that speaks plain msgpack."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []
        self.said = time.monotonic()

    def say(self, **message: Any) -> None:
        self.said = time.monotonic()
        self.connection.send(msgpack.packb(message))

    def hear(self, patience: float = 20.0) -> dict[str, Any]:
        if time.monotonic() - self.said > 5.0:
            self.say(op="heartbeat")
        payload = self.connection.recv(timeout=patience)
        assert isinstance(payload, bytes)
        message: dict[str, Any] = msgpack.unpackb(payload)
        self.seen.append(message)
        return message

    def hear_until(self, wanted: Callable[[dict[str, Any]], object], patience: float = 30.0) -> dict[str, Any]:
        """The next message for which `wanted` holds."""
        deadline = time.monotonic() + patience
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"not heard within {patience} s; heard {[m['kind'] for m in self.seen[-20:]]}"
            message = self.hear(left)
            if wanted(message):
                return message

    def hear_all(self, seconds: float) -> None:
        """Read for a while."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                self.hear(left)

    def close_code(self, patience: float) -> int | None:
        """Read to the server's close without a word; its code."""
        self.said = float("inf")
        deadline = time.monotonic() + patience
        try:
            while True:
                self.hear(max(0.01, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None

    @property
    def numbers(self) -> list[int]:
        """Numbers of the events heard, in the order heard."""
        return [m["seq"] for m in self.seen if m["kind"] in ("status", "log", "error") and m["seq"] is not None]


@contextlib.contextmanager
def started_server(folder: Path, port: int, **env: str) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    with program(
        folder / "web.log",
        "-m", "uvicorn", "config.asgi:application", "--port", str(port), "--ws", "websockets-sansio",
        "--ws-per-message-deflate", "false", "--timeout-graceful-shutdown", "2", **env,
    ) as web:  # fmt: skip
        deadline = time.monotonic() + 400
        # It says so once it listens, which is later than the start-up of the application.
        while "Uvicorn running" not in web.log.read_text():
            assert web.process.poll() is None, web.log.read_text()
            assert time.monotonic() < deadline, web.log.read_text()
            time.sleep(0.05)
        with contextlib.ExitStack() as sockets:
            yield Server(port, sockets)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill(process_id: int) -> None:
    os.kill(process_id, signal.SIGKILL)
