"""Run sockets under load: a crowd in a process of its own against one real server process. Figures are printed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from django.conf import settings
from django.db import connection
from run_processes import Tenant, free_port, started_server

from apps.accounts.services import register
from apps.live import codec, valkey
from apps.live.frame import SCALAR, LiveFrame
from apps.live.messages import event_message
from apps.live.stream import StreamWriter
from apps.runs import services
from apps.runs.services import Happening
from apps.workspaces.members import add_member
from apps.workspaces.models import Role
from apps.workspaces.scope import scope

pytestmark = pytest.mark.exhaustive

CROWD = Path(__file__).with_name("socket_crowd.py")
PORTS = [["osc", f"p{number}"] for number in range(10)]
MB = 2**20


class Crowd:
    """The clients' process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.opened = self.answer()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the crowd is gone"
        told: dict[str, Any] = json.loads(line)
        return told

    def tell(self, what: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self.answer()


class Web:
    """The server's process and where it listens."""

    def __init__(self, port: int, process: int) -> None:
        self.port = port
        self.process = psutil.Process(process)

    @property
    def rss(self) -> float:
        """Resident memory, MiB."""
        return self.process.memory_info().rss / MB

    @property
    def worked(self) -> float:
        """Processor time it has taken, s."""
        times = self.process.cpu_times()
        return times.user + times.system


@contextlib.contextmanager
def web(folder: Path, **env: str) -> Iterator[Web]:
    port = free_port()
    with started_server(folder, port, **env):
        (process,) = (
            one for one in psutil.Process().children(recursive=True)
            if "uvicorn" in one.cmdline() and str(port) in one.cmdline()
        )  # fmt: skip
        yield Web(port, process.pid)


@contextlib.contextmanager
def crowd(web: Web, tenant: Tenant, runs: list[Any], count: int, people: int = 1, **told: Any) -> Iterator[Crowd]:
    """So many clients, of the tenant and of other members."""
    cookies = [tenant.cookie(), *(member_cookie(tenant, number) for number in range(people - 1))]
    here = f"127.0.0.1:{web.port}"
    urls = [f"ws://{here}/ws/v1/runs/{run.pk}/" for run in runs]
    document = {"urls": urls, "cookies": cookies, "origin": f"http://{here}", "count": count, **told}
    process = subprocess.Popen(
        [sys.executable, str(CROWD), json.dumps(document)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Crowd(process)
    finally:
        process.terminate()
        process.wait(60)


def member_cookie(tenant: Tenant, number: int) -> str:
    """The Cookie header of one more member, logged in."""
    user = register(f"crowd-{number}-{tenant.workspace.slug}@example.org", "a long enough secret")
    add_member(tenant.user, tenant.workspace, user, Role.VIEWER)
    return replace(tenant, user=user).cookie()


class Publisher(threading.Thread):
    """A worker's end of a run: `frames` a second over all ports, and numbered events, written as a worker does."""

    def __init__(self, tenant: Tenant, run: Any, frames: float, events: float) -> None:
        super().__init__(daemon=True)
        with scope(tenant.workspace.id):
            self._attempt = services.claim(run.pk, "of the test")
        self._run, self._frames, self._events = run, frames, events
        self._over = threading.Event()
        self.written = self.last = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._publish()
        except BaseException as error:
            self.error = error
            raise
        finally:
            connection.close()

    def _publish(self) -> None:
        writer = StreamWriter(valkey.client(), self._run.pk, settings.ATTRACTOR.live.stream_length)
        began = time.monotonic()
        told = 0
        values = np.arange(16, dtype=np.float32)
        while not self._over.wait(1 / 60):
            seconds = time.monotonic() - began
            batch = []
            while self.written < seconds * self._frames:
                node, port = PORTS[self.written % len(PORTS)]
                tick = self.written // len(PORTS) + 1
                frame = LiveFrame(
                    str(self._run.pk), node, port, "vector", f"{node}.{port}", np.array([tick]), tick / 100,
                    values[None] + tick, tick,
                )  # fmt: skip
                assert frame.kind != SCALAR
                batch.append(codec.encode(frame))
                self.written += 1
            while told < seconds * self._events:
                told += 1
                (event,) = services.record_events(self._attempt, [Happening("log", {"n": told}, told)])
                self.last = event.seq
                batch.append(codec.pack(event_message(event)))
            if batch:
                writer.write(batch)

    def stop(self) -> None:
        self._over.set()
        self.join(60)
        assert self.error is None


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker takes the runs."""
    monkeypatch.setattr("apps.runs.queue.send", lambda *_: True)


def settled(group: Crowd, last: int, patience: float = 60.0) -> dict[str, Any]:
    """What was heard once everybody has event number `last`."""
    deadline = time.monotonic() + patience
    while (heard := group.tell("heard"))["last"] != [last]:
        assert time.monotonic() < deadline, heard
        time.sleep(0.2)
    return heard


def test_three_hundred_frames_a_second_to_two_hundred_viewers(tenant, testbed, quiet, tmp_path):
    run = tenant.submit()
    publisher = Publisher(tenant, run, frames=300, events=5)
    with web(tmp_path / "web") as server, crowd(server, tenant, [run], 200, ports=PORTS, rate=30) as group:
        publisher.start()
        memory = []
        for _ in range(60):
            time.sleep(1)
            memory.append(server.rss)
        publisher.stop()
        heard = settled(group, publisher.last)
    print(
        f"\n{publisher.written} frames to 200 viewers in 60 s: {heard}; events {publisher.last}; RSS after 10 s "
        f"{memory[9]:.0f} MiB, after 30 s {memory[29]:.0f}, after 60 s {memory[59]:.0f}, most {max(memory):.0f}"
    )
    assert (heard["gaps"], heard["lost"], heard["there"]) == (0, 0, 200)
    assert heard["frames"] > 0
    assert memory[-1] - memory[19] < 50, "memory grows"


@pytest.mark.parametrize("count", [100, 1000])
def test_clients_dropped_at_once_come_back_without_a_gap(tenant, testbed, quiet, tmp_path, count):
    run = tenant.submit()
    publisher = Publisher(tenant, run, frames=30, events=5)
    with web(tmp_path / "web") as server, crowd(server, tenant, [run], count, people=100) as group:
        publisher.start()
        time.sleep(5)
        worked = server.worked
        back = [group.tell("drop")["seconds"] for _ in range(3)]
        worked = (server.worked - worked) / (3 * count)
        time.sleep(2)
        publisher.stop()
        heard = settled(group, publisher.last)
    print(
        f"\n{count} clients of 100 people opened in {group.opened['seconds']} s, back in {back} s, "
        f"{worked * 1e3:.1f} ms of its processor each: {heard}"
    )
    assert (heard["gaps"], heard["there"]) == (0, count)


def test_ten_thousand_idle_sockets(tenant, testbed, quiet, tmp_path):
    runs = [tenant.submit() for _ in range(5)]
    with web(tmp_path / "web") as server:
        with crowd(server, tenant, runs, 10):  # what one socket needs is there
            time.sleep(3)
        before = server.rss
        with crowd(server, tenant, runs, 10_000) as group:
            time.sleep(60)
            busy = server.process.cpu_percent(interval=20)
            after, heard = server.rss, group.tell("heard")
    each = (after - before) * 1024 / 10_000
    print(
        f"\n10,000 idle sockets, opened in {group.opened['seconds']} s: {each:.0f} KiB each ({before:.0f} to "
        f"{after:.0f} MiB), {busy:.0f} % of one core: {heard}"
    )
    assert (heard["gaps"], heard["lost"], heard["there"]) == (0, 0, 10_000)


def test_an_idle_socket_lives_ten_minutes(tenant, testbed, quiet, tmp_path):
    run = tenant.submit()
    with web(tmp_path / "web") as server, crowd(server, tenant, [run], 3) as group:
        began = time.monotonic()
        while time.monotonic() - began < 605:
            time.sleep(5)
            assert group.tell("heard")["there"] == 3
        services.command(tenant.user, run, "cancel")
        heard = settled(group, tenant.look(run).last_event)
    print(f"\n3 idle sockets for {time.monotonic() - began:.0f} s: {heard}")
    assert (heard["gaps"], heard["lost"]) == (0, 0)
