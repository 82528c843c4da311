"""The way through the network, for programs without a loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, reconnect

from attractor.client.feed import MAX_MESSAGE
from attractor.client.request import Answer
from attractor.client.transport import (
    DEADLINE,
    MAX_ANSWER,
    USER_AGENT,
    SocketLost,
    failed,
    headers,
    too_large,
    too_slow,
    trusted,
)


class _Straight(reconnect):
    """Goes to no other address than the one it was given."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Socket:
    """One open connection to a run."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, payload: bytes) -> None:
        """Say something. Raises `SocketLost`."""
        try:
            self._connection.send(payload)
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    def receive(self, seconds: float) -> bytes | str | None:
        """The next message; None when there was none for so long. Raises `SocketLost`."""
        try:
            return self._connection.recv(timeout=seconds)
        except TimeoutError:
            return None
        except ConnectionClosed as closed:
            raise _lost(closed) from closed


class Transport:
    """Requests and sockets to one server; see `AsyncTransport`."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._headers = headers(key)
        self._trusted = trusted()
        self._http = httpx.Client(headers=self._headers, timeout=timeout, verify=self._trusted, follow_redirects=False)

    def send(
        self, method: str, target: str, extra: Mapping[str, str], content: bytes | None, limit: int = MAX_ANSWER
    ) -> Answer:
        """Ask once. Raises `Unreachable` and `BadAnswer`."""
        deadline = time.monotonic() + DEADLINE * self._timeout
        body = bytearray()
        try:
            with self._http.stream(method, self._url + target, headers=dict(extra), content=content) as response:
                for part in response.iter_bytes():
                    body += part
                    if len(body) > limit:
                        raise too_large(limit)
                    if time.monotonic() > deadline:
                        raise too_slow(DEADLINE * self._timeout)
                return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failed(error, self._url)

    def fetch(self, target: str, take: Callable[[bytes], None]) -> Answer:
        """Ask once for a file; see `AsyncTransport.fetch`."""
        refusal = bytearray()
        try:
            with self._http.stream("GET", self._url + target) as response:
                for part in response.iter_bytes():
                    if response.status_code == 200:
                        take(part)
                    elif len(refusal) + len(part) > MAX_ANSWER:
                        raise too_large(MAX_ANSWER)
                    else:
                        refusal += part
                headers = {k.lower(): v for k, v in response.headers.items()}
                return Answer(response.status_code, headers, bytes(refusal))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failed(error, self._url)

    @contextmanager
    def socket(self, target: str) -> Iterator[Socket]:
        """An open socket. Raises `SocketLost`."""
        url = "ws" + (self._url + target).removeprefix("http")
        with ExitStack() as open_:
            try:
                connection = open_.enter_context(
                    _Straight(
                        url, additional_headers={"Authorization": self._headers["Authorization"]},
                        max_size=MAX_MESSAGE, user_agent_header=USER_AGENT, open_timeout=self._timeout,
                        close_timeout=2, ssl=self._trusted if url.startswith("wss:") else None,
                    )
                )  # fmt: skip
            except InvalidStatus as refused:
                raise SocketLost(str(refused), refused.response.status_code) from refused
            except (OSError, TimeoutError, WebSocketException) as error:
                raise SocketLost(str(error) or type(error).__name__) from error
            yield Socket(connection)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        self._http.close()


def _lost(closed: ConnectionClosed) -> SocketLost:
    return SocketLost(str(closed), closed.rcvd.code if closed.rcvd else None)
