"""Every task × a foreign workspace: nothing in it changes. The sockets are asked in `test_socket_and_task_matrix`.

The sockets come from their routing, the tasks from Celery's registry. Both work on other threads and connections, so
their rows are committed.
"""

import asyncio
import uuid
from typing import Any

import pytest
from addresses import TASKS, Place, everything
from asgiref.testing import ApplicationCommunicator
from django.urls import URLPattern

from apps.live.asgi import with_sockets
from apps.live.refusal import nothing_here
from apps.live.routing import websocket_urlpatterns
from config.celery import app as celery


def sockets() -> list[str]:
    """Routes of the sockets, without the one that refuses every other address."""
    return [str(entry.pattern) for entry in websocket_urlpatterns if entry.callback is not nothing_here]


def test_there_are_sockets() -> None:
    assert sockets()
    assert all(isinstance(entry, URLPattern) for entry in websocket_urlpatterns)


def filled(route: str, ids: dict[str, Any]) -> str:
    for key, value in ids.items():
        for converter in ("slug", "uuid", "int", "str"):
            route = route.replace(f"<{converter}:{key}>", str(value))
    assert "<" not in route, f"nothing fills {route}"
    return f"/{route}"


def handshake(url: str, client: Any, key: str | None = None) -> tuple[bool, Any]:
    """Whether a socket opens, and the code it is closed with. With a key the client's login counts for nothing."""
    cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in client.cookies.items())
    headers = [(b"cookie", cookies.encode()), (b"origin", b"http://testserver"), (b"host", b"testserver")]
    if key is not None:
        headers.append((b"authorization", f"Bearer {key}".encode()))
    scope = {"type": "websocket", "path": url, "query_string": b"", "headers": headers, "subprotocols": []}

    async def knock() -> tuple[bool, Any]:
        socket = ApplicationCommunicator(with_sockets(None), scope)
        await socket.send_input({"type": "websocket.connect"})
        answer = await socket.receive_output(timeout=10)
        if answer["type"] == "websocket.accept":
            await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(timeout=10)
        return answer["type"] == "websocket.accept", answer.get("code")

    return asyncio.run(knock())


def test_every_task_has_a_row() -> None:
    celery.loader.import_default_modules()
    assert {name for name in celery.tasks if not name.startswith("celery.")} == set(TASKS)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_told_of_foreign_things_does_nothing(committed_place: Place, name: str) -> None:
    place, bob = committed_place, committed_place.stranger
    before = everything(place.tenant.workspace), everything(bob.workspace)
    celery.loader.import_default_modules()
    celery.tasks[name](*TASKS[name](bob.workspace, place))
    assert (everything(place.tenant.workspace), everything(bob.workspace)) == before


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_told_of_what_is_not_there_does_nothing(committed_place: Place, name: str) -> None:
    place, bob = committed_place, committed_place.stranger
    before = everything(place.tenant.workspace), everything(bob.workspace)
    celery.loader.import_default_modules()
    message = TASKS[name](bob.workspace, place)
    for nothing in (str(uuid.uuid4()), "no id at all", ""):
        for number in range(len(message)):
            celery.tasks[name](*message[:number], nothing, *message[number + 1 :])
    assert (everything(place.tenant.workspace), everything(bob.workspace)) == before
