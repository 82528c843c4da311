"""A session of `requests` that calls what it is trusted with, and else the public Internet."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from apps.ops.outbound.address import Forbidden, IPAddress, check_ip, check_url, resolve
from apps.ops.outbound.deadline import Deadline, Late

PATIENCE_S: Final = 5.0
"""For connecting, and for each part of an answer."""
WHOLE_S: Final = 10.0
"""For a call with all that it is led on to, but for the looking up of names, which the system limits."""
ANSWER_BYTES: Final = 2**20
"""Of an answer, unpacked; a longer one is refused."""
REDIRECTS: Final = 3

Origin = tuple[str, str, int]


class Refused(requests.RequestException):
    """The address may not be called, or its answer is too long or takes too long."""


def origin_of(url: str) -> Origin:
    """Scheme, host and port of an address. Raises ValueError for what is none."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)


def guarded_session(trusted: Iterable[str]) -> requests.Session:
    """A session for talking with servers of others.

    No proxy or password file of the environment is used; `REQUESTS_CA_BUNDLE` is, as the certificates that are trusted.

    Args:
        trusted: addresses that the operator has written down himself. Their origins may lie in a private network and
            may speak plain http; all others must be https on the public Internet.
    """
    session = _Session()
    session.trust_env = False
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    session.max_redirects = REDIRECTS
    session.adapters.clear()
    adapter = _GuardedAdapter(frozenset(origin_of(url) for url in trusted))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


@dataclass(frozen=True, slots=True)
class _Call:
    """What was asked for first: whatever it leads on to is of the same server, and in the same time."""

    origin: Origin
    until: float


def _begun(url: str) -> _Call:
    return _Call(origin_of(url), monotonic() + WHOLE_S)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where to go on. What was posted, secrets of ours, goes nowhere else."""
        return super().get_redirect_target(resp) if resp.request.method in ("GET", "HEAD") else None

    def send(
        self, request: requests.PreparedRequest, *, call: _Call | None = None, **options: Any
    ) -> requests.Response:
        """`requests` comes here for the first address and, with what it was given, for each that it is led on to."""
        url = str(request.url)
        try:
            call = call or _begun(url)
            another = origin_of(url) != call.origin
        except ValueError as odd:
            raise Refused(f"{url[:200]} is not called: {odd}", request=request) from odd
        if another:
            raise Refused(f"{url[:200]} is not called: another server led there.", request=request)
        return super().send(request, call=call, **options)


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, trusted: Collection[Origin]) -> None:
        self._trusted = trusted
        self._deadline = Deadline()
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(HTTPConnectionPool, HTTPConnection, self._trusted, self._deadline),
            "https": _pool(HTTPSConnectionPool, HTTPSConnection, self._trusted, self._deadline),
        }

    def send(
        self, request: requests.PreparedRequest, *args: Any, call: _Call | None = None, **options: Any
    ) -> requests.Response:
        url = str(request.url)
        try:
            if origin_of(url) not in self._trusted:
                check_url(url)
            options["timeout"] = options.get("timeout") or PATIENCE_S
            with self._deadline.until((call or _begun(url)).until):
                answer = super().send(request, *args, **{**options, "stream": True, "proxies": None})
                _read(answer)
        except Late as late:
            raise Refused(f"{url[:200]} took longer than {WHOLE_S:.0f} s.", request=request) from late
        except (Forbidden, ValueError) as forbidden:
            raise Refused(f"{url[:200]} is not called: {forbidden}", request=request) from forbidden
        return answer


def _read(answer: requests.Response) -> None:
    """Take the body now, as long as it may be."""
    read = b""
    for part in answer.iter_content(2**16):
        read += part
        if len(read) > ANSWER_BYTES:
            answer.close()
            raise Refused(f"{str(answer.url)[:200]} says more than {ANSWER_BYTES} bytes.", request=answer.request)
    # As `requests` does itself for an answer that is not streamed.
    answer._content = read
    answer._content_consumed = True


def _pool(pool: type[Any], connection: type[Any], trusted: Collection[Origin], deadline: Deadline) -> type[Any]:
    """A pool of urllib3 whose connections lead where they may, judged by the place that they are made to."""

    class Connection(connection):  # type: ignore[misc]
        def _new_conn(self) -> Any:
            # Before a TLS connection knows the name that it is to be shown: the certificate is still that of the host.
            scheme = "https" if issubclass(connection, HTTPSConnection) else "http"
            mine = (scheme, self._dns_host, self.port) in trusted
            return _connected(self, _anywhere if mine else check_ip, deadline)

        def connect(self) -> None:
            super().connect()
            deadline.watch(self.sock)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _anywhere(ip: IPAddress) -> None:
    """The operator has named the host."""


def _connected(connection: Any, check: Any, deadline: Deadline) -> Any:
    """A socket to the first of the host's places that takes it. Each was checked, and none is looked up again."""
    host, port = connection._dns_host, connection.port
    try:
        places = resolve(host, port, check)
    except OSError as error:
        raise NameResolutionError(host, connection, error) from error  # type: ignore[arg-type]
    failure: Exception = OSError(f"{host} has no address")
    for ip in places:
        try:
            # The handshake of TLS has what is said here too, as a whole.
            patience = min(connection.timeout, deadline.left())
            return create_connection((str(ip), port), patience, connection.source_address, connection.socket_options)
        except Late:
            raise
        except TimeoutError as late:
            failure = ConnectTimeoutError(connection, f"{host} does not answer ({late})")
        except OSError as refused:
            failure = NewConnectionError(connection, f"{host} cannot be reached: {refused}")
    raise failure if not isinstance(failure, OSError) else NewConnectionError(connection, str(failure))
