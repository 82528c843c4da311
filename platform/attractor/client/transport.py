"""What both ways through the network share: limits, and what their errors mean."""

from __future__ import annotations

import ssl
from importlib.metadata import version
from typing import Final, NoReturn

import httpx

from attractor.client.errors import BadAnswer, Unreachable

MAX_ANSWER: Final = 64 * 2**20
"""Bytes of an answer, after decompression, that are read at most."""
DEADLINE: Final = 10.0
"""How many timeouts an answer may take in all, for a server that goes on to say a little."""
USER_AGENT: Final = f"attractor-python/{version('attractor')}"


class SocketLost(Exception):
    """The socket could not be opened, or is closed. `status` is that of HTTP, or the close code, if there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


def trusted() -> ssl.SSLContext:
    """The certificates that are trusted: certifi's, or those that SSL_CERT_FILE or SSL_CERT_DIR name."""
    return httpx.create_ssl_context()


def headers(key: str) -> dict[str, str]:
    """Headers of every request."""
    return {"Authorization": f"Bearer {key}", "User-Agent": USER_AGENT}


def too_large(limit: int) -> BadAnswer:
    return BadAnswer(f"the server's answer is larger than {limit / 2**20:.0f} MiB: it is read no further")


def too_slow(seconds: float) -> Unreachable:
    return Unreachable(f"the server has not come to the end of its answer in {seconds:.0f} s", sent=True)


def failed(error: httpx.HTTPError | httpx.InvalidURL, url: str) -> NoReturn:
    """Raise what an error of httpx means."""
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        raise Unreachable(f"{url} is no address: {error}", sent=False, lasting=True) from error
    if isinstance(error, httpx.DecodingError):
        raise BadAnswer(f"the server's answer cannot be decompressed: {error}") from error
    if isinstance(error, httpx.ConnectError) and "certificate" in str(error).lower():
        raise Unreachable(
            f"the certificate of {url} is not trusted: {error}. For an authority of your own name its file in "
            "SSL_CERT_FILE", sent=False, lasting=True,
        ) from error  # fmt: skip
    unsent = httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError
    why = str(error) or type(error).__name__
    raise Unreachable(
        f"{url} cannot be reached ({why}). Is the server running, and is this its address?",
        sent=not isinstance(error, unsent),
    ) from error
