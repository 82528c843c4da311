"""Addresses with which somebody tries to reach what only the server can reach: none is connected to.

Looked at below all libraries: Python tells of every connection that is made, to an audit hook (PEP 578), whichever
function of the module `socket` was called, and of every name that is looked up.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apps.accounts.other_sites import OtherSitesAdapter
from apps.ops.outbound.session import ANSWER_BYTES, WHOLE_S, Refused, guarded_session
from apps.webhooks.post import post

PORT = 8443

# Written so that a reader of its own makes another address of it.
LITERALS = (
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "017700000001", "0177.0.0.1",
    "127.0.0.01", "0", "0.0.0", "00000", "0x0", "127.255.255.254", "10.0.0.1", "10.1", "0xa000001", "172.16.0.1",
    "172.31.255.255", "192.168.0.1", "192.168.257", "3232235777", "169.254.169.254", "169.254.43518", "2852039166",
    "0xa9fea9fe", "0251.0376.0251.0376", "0xa9.0xfe.0xa9.0xfe", "100.64.0.1", "100.100.100.200", "192.0.0.192",
    "198.18.0.1", "192.0.2.1", "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
)  # fmt: skip
WRAPPED = (
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]", "[::ffff:10.0.0.1]", "[::127.0.0.1]", "[::7f00:1]", "[::a9fe:a9fe]",
    "[64:ff9b::7f00:1]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
    "[2001:0:7f00:1::]", "[2001:0:5db8:d70e:0:0:80ff:fffe]", "[2606:2800:21f:cb07:0:5efe:7f00:1]", "[fe80::1]",
    "[fe80::1%25lo]", "[fd00:ec2::254]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[100::1]",
)  # fmt: skip
# Names of ours, of machines beside us, and of what others let lead there. What each is resolved to stands below.
NAMES = (
    "localhost", "LOCALHOST", "localhost.localdomain", "ip6-localhost", "metadata", "metadata.google.internal",
    "instance-data", "kubernetes.default.svc", "postgres", "valkey", "127.0.0.1.nip.io", "localtest.me",
    "inside-and-outside.example.org", "outside-and-inside.example.org", "mapped.example.org", "nat64.example.org",
    "linklocal.example.org",
)  # fmt: skip
SHAPES = (
    "https://user:secret@127.0.0.1:8443/", "https://example.org@127.0.0.1:8443/", "https://127.0.0.1:8443@example.org/",
    "https://example.org:secret@[::1]:8443/", "https://example.org\\@127.0.0.1:8443/",
    "https://example.org%40127.0.0.1:8443/", "https://127.0.0.1%2eexample.org:8443/", "https://127。0。0。1:8443/",
    "https://①②⑦.⓪.⓪.①:8443/", "https://１２７.0.0.1:8443/", "https://loc\u00adalhost:8443/",
    "https://ⓛocalhost:8443/", "https://localhost.:8443/", "https://127.0.0.1.:8443/", "https://example.org#@127.0.0.1/",
    "https://127.0.0.1:8443#.example.org/", "https://[::1]:8443%00.example.org/", "https://127.0.0.1\t:8443/",
    "https://127.0.0.1\r\nHost: example.org:8443/", "https:///127.0.0.1:8443/", "https:127.0.0.1:8443/",
    "//127.0.0.1:8443/", "http://127.0.0.1:8443/", "file:///etc/passwd", "ftp://127.0.0.1:8443/",
    "gopher://127.0.0.1:8443/_x", "dict://127.0.0.1:8443/x", "unix:///run/postgresql", "https+unix://%2Frun%2Fx/",
    "https://example.org:25/", "https://example.org:22/", "https://example.org:5432/../..:8443@127.0.0.1",
)  # fmt: skip
HOSTILE = (*(f"https://{host}:{PORT}/" for host in (*LITERALS, *WRAPPED, *NAMES)), *SHAPES)

PUBLIC = "93.184.215.14"
RESOLVED = {
    "metadata": ["169.254.169.254"], "metadata.google.internal": ["169.254.169.254"],
    "instance-data": ["169.254.169.254"], "kubernetes.default.svc": ["10.96.0.1"], "postgres": ["172.18.0.2"],
    "valkey": ["fd00::5"], "127.0.0.1.nip.io": ["127.0.0.1"], "localtest.me": ["::1"],
    "inside-and-outside.example.org": ["10.0.0.1", PUBLIC], "outside-and-inside.example.org": [PUBLIC, "10.0.0.1"],
    "mapped.example.org": ["::ffff:10.0.0.1"], "nat64.example.org": ["64:ff9b::a00:1"],
    "linklocal.example.org": ["fe80::1%1"],
}  # fmt: skip

_tried: list[Any] = []
_listening = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _listening and event in ("socket.connect", "socket.sendto"):
        _tried.append(arguments[1])


sys.addaudithook(_hook)


@pytest.fixture
def connections() -> Iterator[list[Any]]:
    """Every place to which a connection was tried, by whatever."""
    global _listening  # noqa: PLW0603 a hook cannot be taken off again
    _tried.clear()
    _listening = True
    yield _tried
    _listening = False


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names above lead where they say; all others, and every way to write a number, where the system says."""
    really = socket.getaddrinfo

    def lookup(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        name = (host.decode() if isinstance(host, bytes) else str(host)).lower()
        if name not in RESOLVED:
            return really(host, port, *args, **more)
        kinds = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (kinds[ipaddress.ip_address(ip.partition("%")[0]).version], socket.SOCK_STREAM, 6, "", (ip, port))
            for ip in RESOLVED[name]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def webhook(url: str) -> str:
    answer = post(url, b"{}", {}, 2.0)
    assert answer.status is None
    return answer.error


def other_site(url: str) -> str:
    """As the keys, the people and the tokens of an OpenID Connect server are asked for."""
    with pytest.raises(requests.RequestException) as refused, OtherSitesAdapter().get_requests_session() as session:
        session.get(url)
    return str(refused.value)


def test_there_are_enough() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 60


@pytest.mark.parametrize("door", [webhook, other_site])
@pytest.mark.parametrize("url", HOSTILE, ids=ascii)
def test_a_hostile_address_makes_no_connection(
    url: str, door: Any, connections: list[Any], resolver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert door(url)
    assert connections == []


class Site(BaseHTTPRequestHandler):
    """Leads on to wherever it is told."""

    to: str | None = None
    body = b"{}"
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(307 if self.to and self.path != "/end" else 200)
        if self.to:
            self.send_header("location", self.to)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(self.body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def site() -> Iterator[Any]:
    """A server that the operator has named, on this machine; its handler's class."""
    handler = type("Handler", (Site,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("url", [one for one in HOSTILE if one.isascii() and one.isprintable() and "\\" not in one])
def test_a_server_that_is_trusted_leads_nowhere_else(
    url: str, site: Any, connections: list[Any], resolver: None
) -> None:
    site.to = url
    port = int(site.url.rpartition(":")[2])
    with guarded_session([site.url]) as session, contextlib.suppress(requests.RequestException):
        # Some are read as a path of the server itself, which leads on until that ends.
        session.get(f"{site.url}/begin")
    assert "/begin" in site.seen
    assert set(connections) == {("127.0.0.1", port)}


def test_a_trusted_server_is_reached_and_may_lead_on_within_itself(site: Any) -> None:
    site.to = "/end"
    with guarded_session([site.url]) as session:
        assert session.get(f"{site.url}/begin").json() == {}
    assert site.seen == ["/begin", "/end"]


@pytest.mark.parametrize(
    "elsewhere", [f"https://{PUBLIC}/keys", "https://keys.example.org/keys", "//keys.example.org:8443/", "beside"]
)
def test_no_server_leads_to_another_one_be_it_public_or_trusted(
    elsewhere: str, site: Any, connections: list[Any], resolver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who answers for one origin does not say where keys and people of it are read."""
    really = socket.socket.connect

    def connect(self: socket.socket, place: Any) -> None:
        if place[0] != "127.0.0.1":  # nothing leaves this machine
            raise ConnectionRefusedError
        really(self, place)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setitem(RESOLVED, "keys.example.org", [PUBLIC])
    own = ("127.0.0.1", int(site.url.rpartition(":")[2]))
    beside = site.url.replace("127.0.0.1", "localhost")
    site.to = beside if elsewhere == "beside" else elsewhere
    looked_up: list[str] = []
    lookup = socket.getaddrinfo

    def noted(host: Any, *args: Any, **more: Any) -> Any:
        looked_up.append(str(host))
        return lookup(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    with guarded_session([site.url, beside]) as session, pytest.raises(Refused, match="another server"):
        session.get(f"{site.url}/keys")
    assert site.seen == ["/keys"]
    assert set(connections) == {own}
    assert set(looked_up) <= {"127.0.0.1"}


def test_what_is_posted_is_sent_nowhere_else(site: Any) -> None:
    site.to = f"{site.url}/end"
    with guarded_session([site.url]) as session:
        assert session.post(f"{site.url}/token", data={"client_secret": "x"}).status_code == 307
    assert site.seen == ["/token"]


def test_trust_is_for_one_scheme_host_and_port(site: Any, connections: list[Any]) -> None:
    host, _, port = site.url.removeprefix("http://").partition(":")
    for url in (f"http://localhost:{port}/", f"https://{host}:{port}/", f"http://{host}:1/"):
        with guarded_session([site.url]) as session, pytest.raises(Refused):
            session.get(url)
    assert connections == []


def test_a_name_is_looked_up_once_and_connected_to_where_it_led_then(
    connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when it is looked at, and this machine when it is connected to."""
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]])
    asked: list[str] = []

    def lookup(host: str, port: int, *_: Any, **__: Any) -> Any:
        if host == PUBLIC:  # of the socket itself, which asks for the place that was chosen
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in next(answers)]

    def refused(self: socket.socket, place: Any) -> None:
        _tried.append(place)
        raise ConnectionRefusedError

    # Nothing leaves this machine: the connection is refused before it is made.
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(socket.socket, "connect", refused)
    with guarded_session([]) as session, pytest.raises(requests.ConnectionError):
        session.get("https://rebinding.example.org/")
    assert asked == ["rebinding.example.org"]
    assert connections == [(PUBLIC, 443)]


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_no_proxy_of_the_environment_is_used(
    name: str, site: Any, connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with guarded_session([site.url]) as session:
        session.get(site.url)
    assert set(connections) == {("127.0.0.1", int(site.url.rpartition(":")[2]))}


def test_an_answer_without_end_is_not_read_to_its_end(site: Any) -> None:
    site.body = bytes(ANSWER_BYTES + 10)
    with guarded_session([site.url]) as session, pytest.raises(Refused, match="says more than"):
        session.get(site.url)


HEAD = b"HTTP/1.1 200 OK\r\n"
DRIPS = {
    "the first line": b"",
    "headers": HEAD + b"x-long: ",
    "a body of a length": HEAD + b"content-length: 100000\r\n\r\n",
    "a body until the connection ends": HEAD + b"connection: close\r\n\r\n",
    "chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n186a0\r\n",
}


class Dripping:
    """A server that says a beginning, and then a byte now and then, until it is let go; at last it goes by itself."""

    def __init__(self, beginning: bytes, certificate: ssl.SSLContext | None) -> None:
        self._beginning, self._certificate = beginning, certificate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        wire, _ = self._listener.accept()
        with contextlib.suppress(OSError):
            if self._certificate is not None:
                wire = self._certificate.wrap_socket(wire, server_side=True)
            wire.recv(10_000)
            wire.sendall(self._beginning)
            for _ in range(1000):
                if self._over.wait(0.02):
                    break
                wire.sendall(b"x")
        wire.close()

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError), socket.create_connection(self._listener.getsockname(), 1):
            pass
        self._thread.join()
        self._listener.close()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Of 127.0.0.1, and taken for good by sessions that are made after it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).add_extension(address, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(secret)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


@pytest.mark.parametrize("beginning", DRIPS.values(), ids=DRIPS)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_server_that_drips_is_listened_to_for_a_time_altogether(
    beginning: bytes, tls: bool, certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes well within the patience for one: only the whole can be too long."""
    monkeypatch.setattr("apps.ops.outbound.session.WHOLE_S", 0.4)
    server = Dripping(beginning, certificate if tls else None)
    try:
        with guarded_session([server.url]) as session, pytest.raises(Refused, match="took longer"):
            session.get(server.url)
    finally:
        server.close()


def test_the_time_is_of_the_whole_call_and_of_each_anew(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is used again, on the connection it has, after a time that one call may not have."""
    now = [1000.0]
    monkeypatch.setattr("apps.ops.outbound.session.monotonic", lambda: now[0])
    monkeypatch.setattr("apps.ops.outbound.deadline.monotonic", lambda: now[0])
    monkeypatch.setattr(Site, "protocol_version", "HTTP/1.1")
    with guarded_session([site.url]) as session:
        for _ in range(3):
            assert session.get(site.url).status_code == 200
            now[0] += WHOLE_S
        site.to = "/end"
        monkeypatch.setattr(Site, "log_message", lambda *_: now.__setitem__(0, now[0] + WHOLE_S / 2))
        with pytest.raises(Refused, match="took longer"):
            session.get(f"{site.url}/begin")


def test_an_answer_that_unpacks_to_a_lot_is_not_unpacked(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    monkeypatch.setattr(Site, "end_headers", lambda self: (
        self.send_header("content-encoding", "gzip"), BaseHTTPRequestHandler.end_headers(self)
    ))  # fmt: skip
    site.body = gzip.compress(bytes(200 * ANSWER_BYTES))
    assert len(site.body) < ANSWER_BYTES
    with guarded_session([site.url]) as session, pytest.raises(Refused, match="says more than"):
        session.get(site.url)
