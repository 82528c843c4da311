"""One HTTP request to an address that somebody else chose."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpcore

from apps.webhooks.address import Forbidden, check_url, resolve

ANSWER_BYTES: Final = 4000
"""As much of an answer is read; the rest is nobody's business."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status (None when nothing did, with the reason), the beginning of the body, seconds taken."""

    status: int | None
    error: str
    body: str
    seconds: float

    @property
    def taken(self) -> bool:
        """Whether the receiver has the message."""
        return self.status is not None and 200 <= self.status < 300


def post(url: str, body: bytes, headers: Mapping[str, str], patience: float) -> Answer:
    """Send a body; never raises for what the other side does.

    No redirect is followed and no proxy of the environment is used. The place a name stands for is looked up once,
    checked, and connected to: a second answer of the name's server cannot lead anywhere else.

    Args:
        patience: seconds for everything together, but for the looking up, which the system limits.
    """
    begun = time.monotonic()
    status, error, text = None, "", ""
    try:
        check_url(url)  # again: what may be told can have changed since it was taken
        guarded = _Guarded(begun + patience)
        with httpcore.ConnectionPool(network_backend=guarded, max_keepalive_connections=0) as pool:
            timeouts = dict.fromkeys(("connect", "read", "write", "pool"), patience)
            with pool.stream(
                "POST", url, headers=list(headers.items()), content=body, extensions={"timeout": timeouts}
            ) as answer:
                status = answer.status
                text = _beginning(answer.iter_stream())
        if not 200 <= status < 300:
            error = f"The receiver answered {status}."
    except Forbidden as forbidden:
        error = str(forbidden)
    except httpcore.TimeoutException:
        error = f"Nothing came within {patience:.0f} s."
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError, ValueError) as broken:
        error = f"The receiver could not be reached: {broken}"
    return Answer(status, error[:300].replace("\0", "�"), text, time.monotonic() - begun)


def _beginning(parts: Iterable[bytes]) -> str:
    read = b""
    for part in parts:
        read += part
        if len(read) >= ANSWER_BYTES:
            break
    # PostgreSQL keeps no NUL in a text.
    return read[:ANSWER_BYTES].decode(errors="replace").replace("\0", "�")


class _Guarded(httpcore.NetworkBackend):
    """Connects to what was checked, and ends with its time."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for ip in resolve(host, port):
            try:
                left = _left(self._deadline, httpcore.ConnectTimeout)
                stream = self._plain.connect_tcp(str(ip), port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refused:
                failure = refused
            else:
                return _Bounded(stream, self._deadline)
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise Forbidden("A socket of this machine is no address.")


class _Bounded(httpcore.NetworkStream):
    """A connection all of whose reads and writes together end at one moment, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, passed: type[httpcore.TimeoutException]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise passed("its time is over")
    return left
