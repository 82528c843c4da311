"""The client of an Attractor server: `Client` for programs and notebooks, `AsyncClient` for asyncio.

    from attractor.client import Client

    with Client() as client:
        run = client.run_preset("emergent_logic", seed=7, ticks=2000)
        print(run.wait(progress=True).result().hash)

Needs `pip install attractor[client]`.
"""

from attractor.client import requirements as _requirements  # noqa: F401 first: it says what is missing
from attractor.client.async_client import AsyncClient, AsyncRun
from attractor.client.errors import (
    ApiError,
    BadAnswer,
    ClientError,
    Conflict,
    ExportFailed,
    Forbidden,
    Invalid,
    NotConfigured,
    NotFound,
    NotLoggedIn,
    QuotaExceeded,
    RedirectRefused,
    RunNotOver,
    RunNotSucceeded,
    ServerFault,
    TooManyRequests,
    Unreachable,
)
from attractor.client.result import Result
from attractor.client.retry import Retry
from attractor.client.sync_client import Client, Run
from attractor.client.updates import Event, Frame, Notice, Progress, Update

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncRun",
    "BadAnswer",
    "Client",
    "ClientError",
    "Conflict",
    "Event",
    "ExportFailed",
    "Forbidden",
    "Frame",
    "Invalid",
    "NotConfigured",
    "NotFound",
    "NotLoggedIn",
    "Notice",
    "Progress",
    "QuotaExceeded",
    "RedirectRefused",
    "Result",
    "Retry",
    "Run",
    "RunNotOver",
    "RunNotSucceeded",
    "ServerFault",
    "TooManyRequests",
    "Unreachable",
    "Update",
]
