"""What a request to somebody else's address does, and what nobody can make it do."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from apps.webhooks.address import Forbidden, check_url
from apps.webhooks.post import ANSWER_BYTES, post


@pytest.fixture
def listener() -> Iterator[tuple[int, list[Any]]]:
    """A port on which this machine alone can be reached, and the connections that were made to it."""
    seen: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, place = server.accept()
                    seen.append(place)
                    connection.close()

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], seen


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every place to which a connection was tried, whatever came of it."""
    tried: list[Any] = []
    really = socket.create_connection

    def connect(place: Any, *args: Any, **kwargs: Any) -> socket.socket:
        tried.append(place)
        return really(place, *args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", connect)
    return tried


INSIDE = (
    "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[64:ff9b::a00:1]", "[2002:7f00:1::]", "10.0.0.1",
    "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fd00::1]", "[fec0::1]", "224.0.0.1",
    "255.255.255.255", "[2001:0:7f00:1::]", "192.0.2.1",
)  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
def test_nothing_inside_is_ever_connected_to(host: str, listener: Any, connected: list[Any]) -> None:
    port, seen = listener
    answer = post(f"https://{host}:{port}/", b"{}", {}, 2.0)
    assert answer.status is None
    assert not answer.taken
    assert answer.error.endswith(" is not an address of the public Internet.")
    assert connected == seen == []


def test_the_listener_of_these_tests_can_be_reached(listener: Any, connected: list[Any], near: None) -> None:
    port, seen = listener
    post(f"http://127.0.0.1:{port}/", b"{}", {}, 2.0)
    assert connected == [("127.0.0.1", port)]
    assert len(seen) == 1


@pytest.mark.parametrize("host", ["[::ffff:93.184.215.14]", "[64:ff9b::5db8:d70e]", "[2606:2800:21f:cb07::1]"])
def test_an_address_that_carries_a_public_one_is_public(host: str) -> None:
    """0x5db8d70e is 93.184.215.14."""
    check_url(f"https://{host}/")


def test_a_name_that_points_elsewhere_the_second_time_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place that was checked is the one that is connected to."""
    places = iter(["93.184.215.14", "127.0.0.1"])
    asked: list[Any] = []
    connected: list[Any] = []

    def lookup(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(places), port))]

    def connect(place: Any, *_: Any, **__: Any) -> Any:
        connected.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(socket, "create_connection", connect)
    answer = post("https://rebinding.example.org/", b"{}", {}, 2.0)
    assert "could not be reached" in answer.error
    assert asked == ["rebinding.example.org"]
    assert connected == [("93.184.215.14", 443)]


def test_a_name_that_points_outside_and_inside_is_refused(
    monkeypatch: pytest.MonkeyPatch, listener: Any, connected: list[Any]
) -> None:
    port, seen = listener
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("93.184.215.14", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert "public Internet" in post(f"https://both.example.org:{port}/", b"{}", {}, 2.0).error
    assert connected == seen == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "ftp://example.org/", "file:///etc/passwd", "example.org", "https://", "https:///x",
        "https://user:secret@example.org/", "https://example.org:25/", "https://example.org:99999/",
        "https://example.org/#part", "https://exämple.org/", "https://example.org/a b", "https://example.org/\n",
        "https://127.0.0.1/", "https://[::1]/", "", "https://@example.org/", "https://:@example.org/",
        "https://example.org./", "https://localhost.:8443/", "https://example.org:0/", "https://example.org:65536/",
        "https://exa\x00mple.org/", "https://exa\tmple.org/", "https://example..org/", "https://.example.org/",
        "https://exa%6dple.org/", "https://example.org\\@127.0.0.1/", f"https://{'a' * 64}.org/",
        "https://-example.org/", "https://exa\u3002mple.org/", "https://ｅxample.org/", f"https://{'a.' * 130}org/",
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_by_its_looks(url: str) -> None:
    with pytest.raises(Forbidden):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook?x=1",
        "https://example.org:8443/",
        "https://93.184.215.14/",
        "https://xn--exmple-cua.org/",
    ],
)
def test_addresses_of_the_internet_are_accepted(url: str) -> None:
    check_url(url)


def test_a_redirect_is_not_followed(receiver: Any, listener: Any, near: None) -> None:
    port, seen = listener

    def elsewhere(handler: Any) -> None:
        handler.send_response(302)
        handler.send_header("location", f"http://127.0.0.1:{port}/")
        handler.end_headers()

    receiver.answers = [elsewhere]
    answer = post(receiver.url, b"{}", {}, 2.0)
    assert (answer.status, answer.taken) == (302, False)
    assert seen == []


def test_no_proxy_of_the_environment_is_used(
    receiver: Any, listener: Any, near: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, seen = listener
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    assert post(receiver.url, b"{}", {}, 2.0).taken
    assert seen == []


def test_a_receiver_that_drips_does_not_hold_the_courier(near: None) -> None:
    """A byte every tenth of a second never makes a read wait long, and would go on for an hour."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        answer = post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {}, 1.0)
    assert answer.status is None
    assert "within 1 s" in answer.error


def test_of_an_endless_answer_the_beginning_is_read(receiver: Any, near: None) -> None:
    def endless(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"\0x" * 5000)

    receiver.answers = [endless]
    answer = post(receiver.url, b"{}", {}, 10.0)
    assert answer.taken
    assert len(answer.body) == ANSWER_BYTES
    assert "\0" not in answer.body
