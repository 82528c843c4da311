"""What the client makes of answers, honest and hostile ones, over real connections."""

import asyncio
import gzip
import socket
import time
from typing import Any

import pytest
from scripted_server import ScriptedServer, as_json, problem

from attractor.client import (
    ApiError,
    BadAnswer,
    Client,
    Forbidden,
    Invalid,
    NotFound,
    NotLoggedIn,
    QuotaExceeded,
    RedirectRefused,
    Retry,
    ServerFault,
    TooManyRequests,
    Unreachable,
)
from attractor.client.async_transport import AsyncTransport
from attractor.client.sync_transport import Transport
from attractor.client.transport import SocketLost

KEY = "atk_secret-of-the-test"
PRESET = {
    "id": "a", "version": 1, "title": "A", "category": "c", "tags": [], "summary": "s", "content_hash": "h",
    "document": {}, "verdicts": [],
}  # fmt: skip
SUMMARY = {name: value for name, value in PRESET.items() if name not in ("document", "verdicts")}
WORKSPACE = [{"id": "6b1b1a3e-5b1e-4b7e-8f8e-0c7f5a0e1d11", "slug": "w", "name": "W", "personal": True,
              "created_at": "2026-01-01T00:00:00Z", "delete_at": None}]  # fmt: skip
PROJECT = {"id": WORKSPACE[0]["id"], "name": "P", "archived_at": None, "created_at": "2026-01-01T00:00:00Z"}
ONE = "/api/v1/presets/a/"
ALL = "/api/v1/presets/"
PROJECTS = "/api/v1/workspaces/w/projects/"


def test_the_key_goes_along_and_an_answer_is_a_typed_value(ask: Any, server: ScriptedServer) -> None:
    server.says(ONE, as_json({**PRESET, "something_newer": 1}))
    found = ask("preset", "a")
    assert (found.id, found.version, found.tags) == ("a", 1, [])
    assert server.heard[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.heard[0].headers["user-agent"].startswith("attractor-python/")


def test_a_list_is_read_page_by_page_and_only_the_place_is_taken_from_the_servers_address(
    ask: Any, server: ScriptedServer, elsewhere: ScriptedServer
) -> None:
    second = f"{elsewhere.url}/steal/?cursor=two"
    server.says(ALL, as_json({"next": second, "previous": None, "results": [SUMMARY]}),
                as_json({"next": None, "previous": None, "results": [{**SUMMARY, "id": "b"}]}))  # fmt: skip
    assert [one.id for one in ask("presets")] == ["a", "b"]
    assert [one.path for one in server.heard] == [ALL, f"{ALL}?cursor=two"]
    assert elsewhere.heard == []


def test_a_list_that_goes_in_circles_is_given_up(ask: Any, server: ScriptedServer) -> None:
    server.says(ALL, as_json({"next": f"{server.url}/?cursor=same", "previous": None, "results": []}))
    with pytest.raises(BadAnswer, match="end"):
        ask("presets")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_and_nothing_goes_there(
    ask: Any, server: ScriptedServer, elsewhere: ScriptedServer, status: int
) -> None:
    server.says(ONE, (status, {"Location": f"{elsewhere.url}{ONE}"}, b""))
    elsewhere.says(ONE, as_json(PRESET))
    with pytest.raises(RedirectRefused, match=elsewhere.url):
        ask("preset", "a")
    assert elsewhere.heard == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_a_socket_is_an_error_and_nothing_goes_there(
    server: ScriptedServer, elsewhere: ScriptedServer, status: int
) -> None:
    server.says("/ws/v1/x", (status, {"Location": f"{elsewhere.url}/ws/v1/x"}, b""))

    async def opened() -> None:
        async with AsyncTransport(server.url, KEY, 2.0).socket("/ws/v1/x"):
            """Not reached."""

    with pytest.raises(SocketLost), Transport(server.url, KEY, 2.0).socket("/ws/v1/x"):
        """Not reached."""
    with pytest.raises(SocketLost):
        asyncio.run(opened())
    assert len(server.heard) == 2
    assert elsewhere.heard == []


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((200, {"Content-Type": "text/html"}, b"<html>Log in</html>"), "text/html"),
        ((200, {}, b"{}"), "type"),
        ((200, {"Content-Type": "application/json"}, b"{"), "JSON"),
        ((200, {"Content-Type": "application/json"}, b"[" * 100_000), "JSON"),
        ((200, {"Content-Type": "application/json"}, b"\xff\xfe"), "JSON"),
        (as_json({"id": "a"}), "version"),
        (as_json([PRESET]), "not what this client knows"),
        ((204, {}, b""), "not what this client knows"),
    ],
)
def test_an_answer_that_is_none_is_named_as_that_and_not_asked_for_again(
    ask: Any, server: ScriptedServer, reply: Any, words: str
) -> None:
    server.says(ONE, reply)
    with pytest.raises(BadAnswer, match=words):
        ask("preset", "a")
    assert len(server.heard) == 1


def test_an_answer_without_end_is_read_to_its_limit_only(ask: Any, server: ScriptedServer, monkeypatch: Any) -> None:
    sent = 0

    def flood(handler: Any) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(2**40))
        handler.end_headers()
        while True:
            sent += handler.wfile.write(b" " * 2**20)

    server.says(ONE, flood)
    with pytest.raises(BadAnswer, match="64 MiB"):
        ask("preset", "a")
    assert sent < 2**28


def test_an_answer_that_grows_when_it_is_unpacked_is_read_to_its_limit_only(ask: Any, server: ScriptedServer) -> None:
    bomb = gzip.compress(b" " * 2**27)
    assert len(bomb) < 2**18
    server.says(ONE, (200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, bomb))
    with pytest.raises(BadAnswer, match="64 MiB"):
        ask("preset", "a")
    server.says(ONE, (200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"no gzip"))
    with pytest.raises(BadAnswer, match="decompressed"):
        ask("preset", "a")


def test_an_answer_that_trickles_is_given_up(server: ScriptedServer) -> None:
    def trickle(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    server.says(ONE, trickle)
    with Client(server.url, KEY, timeout=0.1, retry=Retry(attempts=1)) as client, pytest.raises(Unreachable):
        client.preset("a")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_request", Invalid), (401, "authentication_failed", NotLoggedIn),
        (403, "permission_denied", Forbidden), (404, "not_found", NotFound), (418, "teapot", ApiError),
        (422, "invalid", Invalid), (429, "quota_exceeded", QuotaExceeded), (429, "throttled", TooManyRequests),
        (500, "error", ServerFault),
    ],
)  # fmt: skip
def test_a_refusal_has_its_kind_and_every_fault_and_is_not_asked_for_again(
    ask: Any, server: ScriptedServer, status: int, code: str, kind: Any
) -> None:
    fault = {"place": "seed", "message": "It is negative.", "mend": "Give 0 or more."}
    server.says(ONE, problem(status, code, [fault], **{"X-Request-ID": "r-1"}))
    with pytest.raises(kind) as refused:
        ask("preset", "a")
    error = refused.value
    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (status, code, "r-1")
    assert error.faults[0].mend == "Give 0 or more."
    assert "seed: It is negative. Give 0 or more." in str(error)
    assert KEY not in str(error) + repr(error)
    assert len(server.heard) == 1


def test_a_refusal_of_a_proxy_is_told_in_its_words(ask: Any, server: ScriptedServer) -> None:
    server.says(ONE, (403, {"Content-Type": "text/html"}, b"<h1>Blocked\x1b[2J</h1>"))
    with pytest.raises(Forbidden, match="Blocked") as refused:
        ask("preset", "a")
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_is_away_for_a_while_is_asked_again(ask: Any, server: ScriptedServer, status: int) -> None:
    server.says(ONE, (status, {}, b""), (status, {}, b""), as_json(PRESET))
    assert ask("preset", "a").id == "a"
    assert len(server.heard) == 3
    server.says(ONE, (status, {}, b""))
    with pytest.raises(ServerFault):
        ask("preset", "a", retry=Retry(attempts=2, first=0.01))
    assert len(server.heard) == 5


def test_it_is_asked_again_when_the_server_has_said(ask: Any, server: ScriptedServer) -> None:
    server.says(ONE, problem(429, "throttled", **{"Retry-After": "1"}), as_json(PRESET))
    before = time.monotonic()
    assert ask("preset", "a").id == "a"
    assert time.monotonic() - before >= 1.0
    server.says(ONE, problem(429, "throttled", **{"Retry-After": "3600"}))
    with pytest.raises(TooManyRequests) as refused:
        ask("preset", "a")
    assert refused.value.retry_after == 3600.0
    assert len(server.heard) == 3


def test_what_is_made_carries_one_key_however_often_it_is_sent(ask: Any, server: ScriptedServer) -> None:
    def hang_up(handler: Any) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    server.says("/api/v1/workspaces/", as_json(WORKSPACE))
    server.says(PROJECTS, hang_up, (503, {}, b""), as_json(PROJECT, 201))
    assert ask("create_project", "P").name == "P"
    posts = [one for one in server.heard if one.method == "POST"]
    assert len(posts) == 3
    assert len({one.headers["idempotency-key"] for one in posts}) == 1
    assert len({one.body for one in posts}) == 1
    assert ask("create_project", "P").name == "P"
    assert server.heard[-1].headers["idempotency-key"] != posts[0].headers["idempotency-key"]


def test_what_may_have_taken_hold_is_not_sent_again_without_a_key(ask: Any, server: ScriptedServer) -> None:
    server.says("/api/v1/workspaces/", as_json(WORKSPACE))
    cancel = "/api/v1/workspaces/w/runs/cancel/"
    server.says(cancel, (503, {}, b""))
    with pytest.raises(ServerFault):
        ask("cancel_runs", [WORKSPACE[0]["id"]])
    assert sum(one.path == cancel for one in server.heard) == 1
    # A refusal for want of time has not taken hold.
    server.says(cancel, problem(429, "throttled", **{"Retry-After": "0"}), as_json({"told": [], "over": []}, 202))
    assert ask("cancel_runs", [WORKSPACE[0]["id"]]).told == []


def test_a_server_that_is_not_there_is_told_with_its_address(ask: Any, server: ScriptedServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    server.url = address
    with pytest.raises(Unreachable, match=address) as lost:
        ask("preset", "a")
    assert not lost.value.sent


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(tmp_path: Any) -> None:
    import ssl
    import threading

    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    raw, _ = listening.accept()
                    with context.wrap_socket(raw, server_side=True) as secure:
                        asked.append(secure.recv(100))
                except ssl.SSLError:
                    asked.append(b"")
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        with Client(url, KEY) as client, pytest.raises(Unreachable, match="not trusted"):
            client.preset("a")
    deadline = time.monotonic() + 30
    while not asked and time.monotonic() < deadline:  # the server may hear of it later
        time.sleep(0.01)
    assert asked == [b""]  # tried once, and not a word of HTTP


def self_signed(folder: Any) -> tuple[Any, Any]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, secret = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    return certificate, secret


def test_names_stay_one_part_of_a_path(ask: Any, server: ScriptedServer) -> None:
    for name in ("../../admin", "a/../b", "a?x=1", "a#b"):
        with pytest.raises(NotFound):
            ask("preset", name)
    assert all(one.path.startswith("/api/v1/presets/") for one in server.heard)
    assert {one.path.count("/") for one in server.heard} == {ONE.count("/")}
    assert not any("?" in one.path for one in server.heard)
    for name in ("..", ".", ""):
        with pytest.raises(ValueError, match="no name"):
            ask("preset", name)


def test_the_key_is_in_no_text_of_the_client(server: ScriptedServer) -> None:
    with Client(server.url, KEY) as client:
        assert KEY not in repr(client)
        assert server.url in repr(client)
