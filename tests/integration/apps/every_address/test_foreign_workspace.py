"""Every address, socket and task × a foreign workspace: it does not exist, and nothing in it changes.

The addresses come from the URL configuration, the sockets from their routing, the tasks from Celery's registry.
"""

import asyncio
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from addresses import (  # fmt: skip
    API,
    FOREIGN_CODE,
    OF_PERSON,
    OPEN,
    OPEN_API,
    PAGES,
    ROUTES,
    TASKS,
    Place,
    Row,
    addresses,
    everything,
    fill,
    send,
)
from asgiref.testing import ApplicationCommunicator
from django.contrib import admin
from django.urls import URLPattern
from rest_framework.views import APIView

from apps.live.asgi import with_sockets
from apps.live.refusal import NOT_FOUND, nothing_here
from apps.live.routing import websocket_urlpatterns
from apps.workspaces.keys import create_key
from apps.workspaces.rows import WorkspaceModel
from config.celery import app as celery

pytestmark = pytest.mark.django_db

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
OWNED = {**API, **PAGES}
IN_A_WORKSPACE = sorted(name for name, route in ROUTES.items() if "<slug:slug>" in route)


def offered() -> Iterator[tuple[str, str]]:
    """(name, method) of everything that the API offers."""
    for _, name, view in addresses():
        if issubclass(cls := getattr(view, "cls", object), APIView):
            for method in ("get", "post", "put", "patch", "delete"):
                if hasattr(cls, method):
                    yield name, method


def test_every_address_has_a_row() -> None:
    assert {one for one in offered() if one[0] not in OPEN} == set(API) | set(OPEN_API)
    names = {name for _, name, _ in addresses()}
    assert names == {name for name, _ in OWNED} | {name for name, _ in OPEN_API} | OPEN | OF_PERSON
    assert set(IN_A_WORKSPACE) <= {name for name, _ in OWNED}, "an address of a workspace is in no list of them"


def test_no_address_is_given_to_two_views() -> None:
    names = [name for _, name, _ in addresses()]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", sorted({name for name, _ in PAGES}))
def test_every_method_of_a_page_has_a_row(place: Place, name: str) -> None:
    """A page says itself what it allows, to whoever asks for what it does not know."""
    allowed = place.clients["owner"].generic("BREW", fill(name, place.ids)).headers["Allow"].lower().split(", ")
    assert set(allowed) - {"head"} == {method for other, method in PAGES if other == name}


def test_the_admin_shows_nothing_of_a_workspace() -> None:
    assert "admin/" in FOREIGN_CODE
    assert not [model for model in admin.site._registry if issubclass(model, WorkspaceModel)]


@pytest.mark.parametrize(("name", "method"), sorted(PAGES))
def test_the_owner_is_answered_by_the_page(place: Place, name: str, method: str) -> None:
    """Else a 404 below would say nothing."""
    row = PAGES[name, method]
    before = everything(place.tenant.workspace)
    response = send(place.clients["owner"], place, name, method, row)
    assert response.status_code == row.owner, response.content
    assert (everything(place.tenant.workspace) != before) == row.writes


@pytest.mark.parametrize("name", IN_A_WORKSPACE)
def test_a_foreign_workspace_has_no_addresses(place: Place, name: str) -> None:
    """Whatever the method, also one that the address does not know, and with a body that would be taken."""
    before = everything(place.tenant.workspace)
    for method in METHODS:
        row = OWNED.get((name, method.lower()), Row())
        address, body = fill(name, {**place.ids, **row.ids(place)}), row.body(place)
        if not isinstance(body, bytes):
            body = json.dumps(body)
        response = place.clients["stranger"].generic(
            method, address, body, "application/json", headers=row.headers(place)
        )
        assert response.status_code == 404, method
    assert everything(place.tenant.workspace) == before


@pytest.mark.parametrize(("name", "method"), sorted(OWNED))
def test_what_is_foreign_does_not_exist_in_the_own_workspace(place: Place, bob: Any, name: str, method: str) -> None:
    """The own workspace's address, and everything else that path and body name is foreign."""
    row = OWNED[name, method]
    before = everything(place.tenant.workspace), everything(bob.workspace)
    response = send(place.clients["stranger"], place, name, method, row, {"slug": bob.workspace.slug})
    assert everything(place.tenant.workspace) == before[0]
    if names_something(place, name, row):
        assert response.status_code == 404, response.content
        assert everything(bob.workspace) == before[1]
    elif method == "get":
        body = response.content.decode()
        assert not [value for value in foreign_ids(place) if value in body]


def names_something(place: Place, name: str, row: Row) -> bool:
    path = ROUTES[name].replace("<slug:slug>", "").replace("<slug:preset_id>", "")
    return "<" in path or any(value in str(row.body(place)) for value in foreign_ids(place))


def foreign_ids(place: Place) -> list[str]:
    return [str(value) for value in (*place.ids.values(), place.running.pk) if isinstance(value, uuid.UUID)]


# Sockets and tasks work on other threads and connections: their rows must be committed.


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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("route", sockets())
def test_a_foreign_workspace_has_no_sockets(place: Place, bob: Any, route: str) -> None:
    before = everything(place.tenant.workspace)
    for slug in (place.tenant.workspace.slug, bob.workspace.slug):
        assert handshake(filled(route, {**place.ids, "slug": slug}), bob.client) == (False, NOT_FOUND)
    assert handshake(filled(route, dict(place.ids)), place.clients["nobody"]) == (False, NOT_FOUND)
    _, foreign = create_key(bob.user, bob.workspace, "of bob")
    _, own = create_key(place.tenant.user, place.tenant.workspace, "of ann")
    before = everything(place.tenant.workspace)
    for slug in (place.tenant.workspace.slug, bob.workspace.slug):
        # A key counts, and not the login that comes with it.
        for key in (foreign, "atk_nonsense"):
            url = filled(route, {**place.ids, "slug": slug})
            assert handshake(url, place.clients["owner"], key) == (False, NOT_FOUND)
    for name, value in place.ids.items():
        if isinstance(value, uuid.UUID) and f":{name}>" in route:
            url = filled(route, {**place.ids, name: uuid.uuid4()})
            assert handshake(url, place.clients["viewer"]) == (False, NOT_FOUND)
    assert handshake(filled(route, dict(place.ids)), place.clients["viewer"])[0]
    assert everything(place.tenant.workspace) == before
    assert handshake(filled(route, dict(place.ids)), place.clients["nobody"], own)[0]


def test_every_task_has_a_row() -> None:
    celery.loader.import_default_modules()
    assert {name for name in celery.tasks if not name.startswith("celery.")} == set(TASKS)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_told_of_foreign_things_does_nothing(place: Place, bob: Any, name: str) -> None:
    before = everything(place.tenant.workspace), everything(bob.workspace)
    celery.loader.import_default_modules()
    celery.tasks[name](*TASKS[name](bob.workspace, place))
    assert (everything(place.tenant.workspace), everything(bob.workspace)) == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_told_of_what_is_not_there_does_nothing(place: Place, bob: Any, name: str) -> None:
    before = everything(place.tenant.workspace), everything(bob.workspace)
    celery.loader.import_default_modules()
    message = TASKS[name](bob.workspace, place)
    for nothing in (str(uuid.uuid4()), "no id at all", ""):
        for number in range(len(message)):
            celery.tasks[name](*message[:number], nothing, *message[number + 1 :])
    assert (everything(place.tenant.workspace), everything(bob.workspace)) == before
