"""The way through the network, on asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

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


class _Straight(connect):
    """Goes to no other address than the one it was given."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class AsyncSocket:
    """One open connection to a run."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, payload: bytes) -> None:
        """Say something. Raises `SocketLost`."""
        try:
            await self._connection.send(payload)
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    async def receive(self, seconds: float) -> bytes | str | None:
        """The next message; None when there was none for so long. Raises `SocketLost`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._connection.recv()
        except TimeoutError:
            return None
        except ConnectionClosed as closed:
            raise _lost(closed) from closed


class AsyncTransport:
    """Requests and sockets to one server.

    Args:
        url: scheme, host, port and path before `/api`.
        key: of the API.
        timeout: seconds for the connection, and for each wait for the server.
    """

    def __init__(self, url: str, key: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._headers = headers(key)
        self._trusted = trusted()
        self._http = httpx.AsyncClient(
            headers=self._headers, timeout=timeout, verify=self._trusted, follow_redirects=False
        )

    async def send(
        self, method: str, target: str, extra: Mapping[str, str], content: bytes | None, limit: int = MAX_ANSWER
    ) -> Answer:
        """Ask once. Raises `Unreachable` and `BadAnswer`."""
        deadline = time.monotonic() + DEADLINE * self._timeout
        body = bytearray()
        try:
            async with self._http.stream(method, self._url + target, headers=dict(extra), content=content) as response:
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > limit:
                        raise too_large(limit)
                    if time.monotonic() > deadline:
                        raise too_slow(DEADLINE * self._timeout)
                return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failed(error, self._url)

    async def fetch(self, target: str, take: Callable[[bytes], None]) -> Answer:
        """Ask once for a file, and hand over its parts as they come. The answer has a body only if it is none.

        Raises `Unreachable` and `BadAnswer`. A file may take as long as it does, as long as something comes.
        """
        refusal = bytearray()
        try:
            async with self._http.stream("GET", self._url + target) as response:
                async for part in response.aiter_bytes():
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

    @asynccontextmanager
    async def socket(self, target: str) -> AsyncIterator[AsyncSocket]:
        """An open socket. Raises `SocketLost`."""
        url = "ws" + (self._url + target).removeprefix("http")
        try:
            connection = await _Straight(
                url, additional_headers={"Authorization": self._headers["Authorization"]}, max_size=MAX_MESSAGE,
                user_agent_header=USER_AGENT, open_timeout=self._timeout, close_timeout=2,
                ssl=self._trusted if url.startswith("wss:") else None,
            )  # fmt: skip
        except InvalidStatus as refused:
            raise SocketLost(str(refused), refused.response.status_code) from refused
        except (OSError, TimeoutError, WebSocketException) as error:
            raise SocketLost(str(error) or type(error).__name__) from error
        try:
            yield AsyncSocket(connection)
        finally:
            await connection.close()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def aclose(self) -> None:
        await self._http.aclose()


def _lost(closed: ConnectionClosed) -> SocketLost:
    return SocketLost(str(closed), closed.rcvd.code if closed.rcvd else None)
