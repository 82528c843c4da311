"""A server that answers what a test tells it, honest or not."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Heard:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedServer:
    """Answers each path with its replies in turn, the last one again and again."""

    url: str = ""
    replies: dict[str, list[Reply | Callable[[Any], None]]] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    def says(self, path: str, *replies: Any) -> None:
        self.replies[path] = list(replies)


def as_json(value: Any, status: int = 200, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


def problem(status: int, code: str, faults: Any = (), **headers: str) -> Reply:
    body = {"type": "urn:x", "title": code, "status": status, "detail": "d", "code": code, "problems": list(faults)}
    return status, {"Content-Type": "application/problem+json", **headers}, json.dumps(body).encode()


@contextlib.contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    script = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.heard.append(Heard(self.command, self.path, headers, body))
            replies = script.replies.get(self.path.partition("?")[0])
            if not replies:
                replies = [problem(404, "not_found")]
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            if callable(reply):
                reply(self)
                return
            status, extra, content = reply
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **extra}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 the names that http.server calls

        def log_message(self, *args: Any) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                super().handle()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield script
        finally:
            server.shutdown()
