"""A receiver of webhooks: a real HTTP server on this machine, and couriers that may speak to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Receiver:
    """What it got, and what it answers: one of `answers` after the other, the last for ever."""

    port: int = 0
    answers: list[Any] = field(default_factory=lambda: [200])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Takes everything that is posted to it."""
    here = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            here.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            answer = here.answers.pop(0) if len(here.answers) > 1 else here.answers[0]
            if callable(answer):
                answer(self)
                return
            self.send_response(answer)
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"heard")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield here
    server.shutdown()
    server.server_close()


@pytest.fixture
def webhooks(settings: Any) -> Callable[..., None]:
    """Change the configuration of webhooks."""

    def change(**values: Any) -> None:
        changed = settings.ATTRACTOR.webhooks.model_copy(update=values)
        settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"webhooks": changed})

    return change


@pytest.fixture
def near(webhooks: Callable[..., None]) -> None:
    """Let couriers speak to receivers on this machine."""
    webhooks(insecure=True, timeout=2.0, retries=[0.0, 0.0])
