"""Both clients behind one face, and a server that does as it is told."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted_server import ScriptedServer, scripted_server

from attractor.client import AsyncClient, Client, Retry

KEY = "atk_secret-of-the-test"
QUICK = Retry(first=0.01, longest=0.02, jitter=lambda: 1.0)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[ScriptedServer]:
    """Another machine, as far as the client can tell."""
    with scripted_server() as running:
        yield running


async def everything(found: Any) -> Any:
    """What is awaited, or all that is iterated."""
    return await found if inspect.isawaitable(found) else [one async for one in found]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, server: ScriptedServer) -> Callable[..., Any]:
    """Ask the server: `ask("preset", "x")` calls that method of a client, iterators are read to their end."""

    def ask_sync(method: str, *arguments: Any, retry: Retry = QUICK, **options: Any) -> Any:
        with Client(server.url, KEY, retry=retry, timeout=2.0) as client:
            found = getattr(client, method)(*arguments, **options)
            return list(found) if inspect.isgenerator(found) else found

    def ask_async(method: str, *arguments: Any, retry: Retry = QUICK, **options: Any) -> Any:
        async def asked() -> Any:
            async with AsyncClient(server.url, KEY, retry=retry, timeout=2.0) as client:
                return await everything(getattr(client, method)(*arguments, **options))

        return asyncio.run(asked())

    return ask_sync if request.param == "sync" else ask_async
