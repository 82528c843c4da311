"""How quickly a run shows itself, on the whole stack as `make run` starts it: `make bench-stack`.

Prints one JSON line a figure. Nothing is asserted about time; a figure that could not be taken is a failure.
BENCH_RUNS says how many runs a latency is taken over.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgpack
import pytest
from django.conf import settings
from websockets.sync.client import connect

from attractor import Plan, Preset, Session
from config.layers import ROOT
from tests.running_stack import RunningStack, started_stack

pytestmark = pytest.mark.benchmark

PRESET = "emergent_logic"
RUNS = int(os.environ.get("BENCH_RUNS", "50"))
WATCH_SECONDS = 10.0
API_RATE = float(os.environ.get("BENCH_API_RATE", "100"))
API_SECONDS = float(os.environ.get("BENCH_API_SECONDS", "20"))
WATCHED = (  # what the run's page asks for
    {"node": "phase", "port": "state", "rate": 30, "decimation": 1, "take": 64},
    {"node": "gate_map", "port": "cells", "rate": 10, "decimation": 1, "take": None},
    {"node": "metrics", "port": "series[1]", "rate": 30, "decimation": 1, "take": None},
    {"node": "metrics", "port": "series[2]", "rate": 30, "decimation": 1, "take": None},
)


class Visitor:
    """Somebody logged in by the login page, who uses the API and the socket as the site's own page does."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        self.http = httpx.Client(base_url=stack.url, follow_redirects=True, timeout=60)
        self.http.get("accounts/login/")
        home = self.http.post(
            "accounts/login/",
            data={"login": stack.email, "password": stack.password, "csrfmiddlewaretoken": self._token},
            headers={"Referer": stack.url},
        )
        self.slug = home.url.path.split("/")[2]
        self.api = f"api/v1/workspaces/{self.slug}/"
        self.submitted = 0

    @property
    def _token(self) -> str:
        return self.http.cookies["csrftoken"]

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        headers = {"X-CSRFToken": self._token, "Referer": self.stack.url}
        answer = self.http.post(self.api + path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}

    def graph(self) -> str:
        projects = self.http.get(self.api + "projects/").json()
        project = (projects["results"] if isinstance(projects, dict) else projects)[0]["id"]
        return str(self.post("graphs/", project=project, preset=PRESET)["id"])

    def submit(self, graph: str, seed: int) -> dict[str, Any]:
        self.submitted += 1
        return self.post("runs/", graph=graph, seed=seed)

    def run(self, run: str) -> dict[str, Any]:
        return dict(self.http.get(f"{self.api}runs/{run}/").json())

    @contextlib.contextmanager
    def socket(self, run: dict[str, Any]) -> Iterator[Any]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        url = self.stack.url.replace("http", "ws", 1).rstrip("/") + run["urls"]["socket"]
        origin: Any = self.stack.url.rstrip("/")
        with connect(url, additional_headers={"Cookie": cookie}, origin=origin, max_size=2**24) as one:
            yield one

    def end(self, run: str) -> None:
        self.post(f"runs/{run}/cancel/")
        while self.run(run)["state"] not in ("cancelled", "succeeded"):
            time.sleep(0.02)


class LightClient:
    """Sends requests as they were made beforehand, on connections that are kept. A real client takes as long over a
    request as the server, and both stand on the same cores: it is itself that it would measure."""

    def __init__(self, visitor: Visitor) -> None:
        address = urlsplit(visitor.stack.url)
        self._host, self._port = address.hostname or "", address.port or 80
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.http.cookies.items())
        self._prefix = f"/{visitor.api}"
        self._headers = (
            f"Host: {address.netloc}\r\nCookie: {cookies}\r\nX-CSRFToken: {visitor.http.cookies['csrftoken']}\r\n"
            f"Referer: {visitor.stack.url}\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        )
        self._free: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    def request(self, method: str, path: str, body: Any) -> bytes:
        """A request, ready to be sent."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._headers}Content-Length: {len(content)}\r\n\r\n"
        return head.encode() + content

    async def send(self, request: bytes) -> int:
        """The status of its answer, once all of that is here."""
        # The server closes a connection that was idle for 5 s; one that is about to be must not be taken.
        while self._free and time.monotonic() - self._free[0][0] > 2:
            self._free.pop(0)[2].close()
        if self._free:
            _, reader, writer = self._free.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
        assert length is not None, head
        await reader.readexactly(int(length[1]))
        self._free.append((time.monotonic(), reader, writer))
        return int(head.split(b" ", 2)[1])


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    os.environ["ATTRACTOR__LOG__LEVEL"] = "INFO"  # a warm process says so
    try:
        with started_stack(settings.TESTBED.data_dir / "bench") as stack:
            yield Visitor(stack)
    finally:
        del os.environ["ATTRACTOR__LOG__LEVEL"]


def wait_for_warm(visitor: Visitor) -> None:
    """Wait until a run process is warm for the next run: each run so far has used one up."""
    log = visitor.stack.data_dir / "logs" / "worker.log"
    deadline = time.monotonic() + 300
    while log.read_bytes().count(b"is warm") <= visitor.submitted:  # perhaps in the middle of a character
        assert time.monotonic() < deadline, "no spare process became warm"
        time.sleep(0.05)


def report(capsys: pytest.CaptureFixture[str], figure: str, **values: Any) -> None:
    with capsys.disabled():
        print("\n" + json.dumps({"figure": figure, "cpus": os.cpu_count(), "load": os.getloadavg()[0], **values}))


def spread(seconds: list[float]) -> dict[str, float]:  # `slowest`: which run it was, from 0
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    slowest = max(range(len(seconds)), key=seconds.__getitem__)
    return {"runs": len(seconds), "p50_s": cuts[49], "p99_s": cuts[98], "max_s": max(seconds), "slowest": slowest}


def tail(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"requests": len(seconds), "p50_s": cuts[49], "p95_s": cuts[94], "p99_s": cuts[98], "max_s": max(seconds)}


def test_submit_to_first_frame_and_cancel(visitor, capsys):
    graph = visitor.graph()
    accepted, first_frame, ended = [], [], []
    for number in range(RUNS):
        wait_for_warm(visitor)
        begun = time.monotonic()
        run = visitor.submit(graph, seed=number)
        accepted.append(time.monotonic() - begun)
        with visitor.socket(run) as socket:
            socket.send(msgpack.packb({"op": "subscribe", "id": 1, **WATCHED[0]}))
            while msgpack.unpackb(socket.recv(timeout=60))["kind"] != "frame":
                pass
            first_frame.append(time.monotonic() - begun)
        begun = time.monotonic()
        visitor.end(run["id"])
        ended.append(time.monotonic() - begun)
    report(capsys, "cancel to cancelled", **spread(ended))
    report(capsys, "submit to 201", **spread(accepted))
    report(capsys, "submit to first frame", **spread(first_frame))
    assert len(first_frame) == RUNS


def test_frames_at_a_socket_and_ticks_of_the_run(visitor, capsys):
    graph = visitor.graph()
    wait_for_warm(visitor)
    run = visitor.submit(graph, seed=7)
    heard: Counter[str] = Counter()
    size = 0
    with visitor.socket(run) as socket:
        for number, wanted in enumerate(WATCHED):
            socket.send(msgpack.packb({"op": "subscribe", "id": number, **wanted}))
        while msgpack.unpackb(socket.recv(timeout=60))["kind"] != "frame":
            pass
        begun = time.monotonic()
        while time.monotonic() - begun < WATCH_SECONDS:
            payload = socket.recv(timeout=60)
            message = msgpack.unpackb(payload)
            if message["kind"] in ("frame", "scalar"):
                heard[f"{message['node']}.{message['port']}"] += 1
                size += len(payload)
            elif message["kind"] == "status" and message["payload"].get("state") == "succeeded":
                break
        seconds = time.monotonic() - begun
    speed = visitor.run(run["id"])["ticks_per_s"]
    if visitor.run(run["id"])["state"] == "running":
        visitor.end(run["id"])
    rates = {port: count / seconds for port, count in heard.items()}
    report(
        capsys, "frames a second at a socket", **rates, all=sum(rates.values()), megabytes_per_s=size / seconds / 1e6
    )
    report(capsys, "ticks a second of the watched run", ticks_per_s=speed)
    assert heard["phase.state"] > 0
    assert speed > 0


def test_api_at_a_hundred_requests_a_second(visitor, capsys):
    """Open loop: requests are sent when they are due, however long the earlier ones take, and a time counts from when
    the request was due. The run that is asked for is paused: the cores are left to the site and to this client."""
    graph = visitor.graph()
    wait_for_warm(visitor)
    run = visitor.submit(graph, seed=7)["id"]
    visitor.post(f"runs/{run}/pause/")
    while not visitor.run(run)["paused"]:
        time.sleep(0.02)
    project = visitor.http.get(visitor.api + "projects/").json()["results"][0]["id"]
    spec = visitor.http.get(f"{visitor.api}graphs/{graph}/").json()["spec"]
    mix = {  # of a hundred: what pages ask for, and some writes
        "runs": (20, "GET", "runs/", None),
        "run": (25, "GET", f"runs/{run}/", None),
        "events": (10, "GET", f"runs/{run}/events/", None),
        "graphs": (10, "GET", "graphs/", None),
        "graph": (10, "GET", f"graphs/{graph}/", None),
        "project": (10, "GET", f"projects/{project}/", None),
        "usage": (5, "GET", "usage/", None),
        "control": (5, "POST", f"runs/{run}/controls/", {"target": "array.coupling", "value": 0.2}),
        "check": (5, "POST", "graphs/check/", {"spec": spec}),
    }
    names = [name for name, (share, *_) in mix.items() for _ in range(share)]
    random.Random(1).shuffle(names)
    client = LightClient(visitor)
    requests = {name: client.request(method, path, body) for name, (_, method, path, body) in mix.items()}

    async def send(name: str, due: float) -> tuple[str, float, int]:
        await asyncio.sleep(due - time.monotonic())
        status = await client.send(requests[name])
        return name, time.monotonic() - due, status

    async def load(rate: float, seconds: float) -> list[tuple[str, float, int]]:
        began = time.monotonic() + 0.5
        every = [send(names[n % len(names)], began + n / rate) for n in range(int(rate * seconds))]
        return await asyncio.gather(*every)

    async def warmed() -> list[tuple[str, float, int]]:
        await load(20, 10)  # what each process does once is done, and its connections are there
        return await load(API_RATE, API_SECONDS)

    wait_for_warm(visitor)  # the run took the spare process; the next one's making takes a core
    answers = asyncio.run(warmed())
    visitor.end(run)
    statuses = Counter(status for _, _, status in answers)
    report(
        capsys, f"API at {API_RATE:g} requests a second", statuses=dict(statuses), **tail([s for _, s, _ in answers])
    )
    for name in mix:
        report(capsys, f"API {name}", **tail([seconds for one, seconds, _ in answers if one == name]))
    assert set(statuses) <= {200, 202}  # a refusal would be quick


def test_ticks_of_the_preset_in_the_engine_alone(capsys):
    preset = Preset.load(ROOT / "presets" / f"{PRESET}.json")
    session = Session(Plan.of(preset.graph), seed=7, ticks=2000)
    begun = time.monotonic()
    session.run()
    report(capsys, "ticks a second of the engine alone", ticks_per_s=2000 / (time.monotonic() - begun))
