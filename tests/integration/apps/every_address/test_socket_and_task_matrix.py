"""Every socket × everybody × own or foreign; every address again under ASGI; and what runs without a request (tasks,
sweeper, courier) asks for no row of a workspace outside of its scope.

All of it works on other threads and connections, so the rows are committed; the place is made once for each test, which
therefore asks as everybody.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from actors import Actor, invented, is_page, keys, members, nobodies
from addresses import API, PAGES, TASKS, Place, everything, fill
from asgiref.testing import ApplicationCommunicator
from channels.routing import ProtocolTypeRouter
from out_of_scope import out_of_scope
from row_changes import Rows
from test_foreign_sockets_and_tasks import filled, sockets
from truth import TRUTH

from apps.live.asgi import with_sockets
from apps.live.refusal import NOT_FOUND
from apps.ops.admission import AdmittingHandler
from apps.runs import tasks
from apps.runs.execution.nursery import Nursery
from apps.runs.models import Run, RunAttempt
from apps.runs.sweeping import sweep
from apps.webhooks import courier
from apps.webhooks.post import Answer
from apps.webhooks.selectors import due
from apps.workspaces.models import Workspace
from apps.workspaces.scope import current, scope
from config.celery import app as celery

OWNED = {**API, **PAGES}
OPEN = (True, None, None)
REFUSED_BY_CODE = (False, NOT_FOUND, None)


@pytest.fixture(autouse=True)
def nothing_out_of_scope() -> Iterator[None]:
    with out_of_scope() as found:
        yield
        assert not found


def headers_of(actor: Actor) -> list[tuple[bytes, bytes]]:
    cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in actor.comes().cookies.items())
    found = [(b"cookie", cookies.encode()), (b"origin", b"http://testserver"), (b"host", b"testserver")]
    if actor.secret is not None:
        found.append((b"authorization", f"Bearer {actor.secret}".encode()))
    return found


async def knock(application: ProtocolTypeRouter, actor: Actor, url: str, by_status: bool) -> tuple[bool, Any, Any]:
    """Whether a socket opens, the code it is closed with, and under a server that can say so the HTTP answer."""
    asked: dict[str, Any] = {
        "type": "websocket", "path": url, "query_string": b"", "headers": headers_of(actor), "subprotocols": [],
        "client": ("127.0.0.1", 5), "extensions": {"websocket.http.response": {}} if by_status else {},
    }  # fmt: skip
    socket = ApplicationCommunicator(application, asked)
    await socket.send_input({"type": "websocket.connect"})
    answer = await socket.receive_output(timeout=20)
    body = None
    if answer["type"] == "websocket.accept":
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    elif answer["type"] == "websocket.http.response.start":
        body = (answer["status"], answer["headers"], (await socket.receive_output(timeout=20))["body"])
    await socket.wait(timeout=20)
    return answer["type"] == "websocket.accept", answer.get("code"), body


def people(place: Place) -> tuple[list[Actor], list[Actor], list[Actor]]:
    """Who belongs to it, whose request is nobody's, who belongs elsewhere."""
    own = members(place.tenant) + keys(place.tenant)
    return own, nobodies(place.tenant, place), members(place.stranger, "foreign ") + keys(place.stranger, "foreign ")


def test_every_socket_for_everybody(committed_place: Place) -> None:
    place, bob = committed_place, committed_place.stranger
    own, nobody, foreign = people(place)
    rows = Rows([place.tenant.workspace.pk, bob.workspace.pk])
    nowhere, before = invented(place), rows.digest()
    application, wrong = with_sockets(None), []

    async def ask() -> None:
        for route in sockets():
            there = filled(route, dict(place.ids))
            elsewhere = filled(route, {**place.ids, "slug": bob.workspace.slug})
            unknown = filled(route, dict(nowhere.ids))
            for actor in (*own, *nobody, *foreign):
                for url in {there, elsewhere, unknown}:
                    opens = actor in own and url == there
                    found = await knock(application, actor, url, by_status=False)
                    if found != (OPEN if opens else REFUSED_BY_CODE):
                        wrong.append(f"{actor.name} at {url}: {found}")
            # To the byte, where a server can say more than a code.
            refusals = [await knock(application, foreign[0], url, by_status=True) for url in (there, unknown)]
            assert refusals[0] == refusals[1]
            assert refusals[0][2][0] == 404

    asyncio.run(ask())
    assert sockets()
    assert not wrong, "\n".join(wrong)
    assert rows.digest() == before


def test_a_workspace_that_asks_for_a_second_factor_opens_no_socket_without(committed_place: Place) -> None:
    place = committed_place
    own, application = members(place.tenant) + keys(place.tenant), with_sockets(None)
    with scope(place.tenant.workspace.pk):
        Workspace.objects.filter(pk=place.tenant.workspace.pk).update(require_mfa=True)

    async def ask() -> list[str]:
        return [
            actor.name
            for route in sockets()
            for actor in own
            if (await knock(application, actor, filled(route, dict(place.ids)), False))[0] != actor.by_key
        ]

    assert asyncio.run(ask()) == []


async def get(application: ProtocolTypeRouter, actor: Actor, url: str, query: str = "") -> tuple[int, bytes]:
    """The answer of the ASGI application to a GET."""
    asked = {
        "type": "http", "method": "GET", "path": url, "raw_path": url.encode(), "query_string": query.encode(),
        "headers": headers_of(actor), "client": ("127.0.0.1", 5), "server": ("testserver", 80), "scheme": "http",
        "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    request = ApplicationCommunicator(application, asked)
    await request.send_input({"type": "http.request", "body": b""})
    start = await request.receive_output(timeout=30)
    body, more = b"", True
    while more:
        piece = await request.receive_output(timeout=30)
        body, more = body + piece.get("body", b""), piece.get("more_body", False)
    await request.wait(timeout=30)
    return start["status"], body


def test_every_address_under_asgi(committed_place: Place) -> None:
    """The same middleware, and views on other threads: each that is read, for who may and who may not."""
    place = committed_place
    own, nobody = members(place.tenant), nobodies(place.tenant, place)[0]
    stranger = members(place.stranger, "foreign ")[0]
    machine = keys(place.tenant)[2]
    application, wrong = with_sockets(AdmittingHandler()), []

    async def ask() -> None:
        for name, method in sorted(TRUTH):
            row, page = OWNED[name, method], is_page(name, method)
            url = fill(name, {**place.ids, **row.ids(place)})
            if method != "get":
                continue
            query = "&".join(f"{key}={value}" for key, value in row.query(place).items())
            for actor in (own[0], own[3], machine, nobody, stranger):
                expected, _ = actor.answer(TRUTH[name, method], row, page)
                if actor is stranger:
                    expected = 404
                status, body = await get(application, actor, url, query)
                if status != expected:
                    wrong.append(f"{actor.name}: {name} is {status}, not {expected}: {body[:200]!r}")
                if actor in (nobody, stranger) and place.tenant.workspace.name.encode() in body:
                    wrong.append(f"{actor.name}: {name} tells the workspace's name")
        # The addresses of sockets are none of HTTP's.
        for route in sockets():
            for actor in (own[0], nobody):
                assert (await get(application, actor, filled(route, dict(place.ids))))[0] == 404

    asyncio.run(ask())
    assert not wrong, "\n".join(wrong)


# --- What runs without a request --------------------------------------------------------------------------------------


class NoProcess(Nursery):
    """A worker that can start no process: a run that it claims goes back to the queue, with the reason."""

    def __init__(self) -> None:
        super().__init__(0)

    def take(self) -> Any:
        raise OSError("no process is to be had")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_works_in_the_scope_of_what_it_does_whatever_its_message_says(
    committed_place: Place, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message names a foreign workspace, one that there is not, or its own: each run is claimed in its own one, and
    nothing is left in force behind."""
    place, bob = committed_place, committed_place.stranger
    monkeypatch.setattr(tasks, "nursery", NoProcess)
    celery.loader.import_default_modules()
    waiting = place.tenant.submit()
    theirs = everything(bob.workspace)
    for workspace_id in (bob.workspace.pk, uuid.uuid4(), place.tenant.workspace.pk):
        message = TASKS[name](bob.workspace, place)
        if message:
            message = (str(workspace_id), *message[1:])
        assert current().workspace_id is None
        celery.tasks[name](*message)
        assert current().workspace_id is None
        assert everything(bob.workspace) == theirs
    with scope(place.tenant.workspace.pk):
        tried = list(RunAttempt.objects.filter(run=waiting).values_list("workspace_id", flat=True))
        assert Run.objects.get(pk=waiting.pk).workspace_id == place.tenant.workspace.pk
    assert set(tried) == ({place.tenant.workspace.pk} if TASKS[name](bob.workspace, place) else set())


def test_the_sweeper_and_the_courier_work_in_scopes(
    committed_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """They look for what is due through functions that tell ids only, and then enter each workspace."""
    place, bob = committed_place, committed_place.stranger
    place.tenant.submit()
    sweep()
    sent: list[str] = []
    monkeypatch.setattr(courier, "post", lambda url, *_: sent.append(url) or Answer(200, "", "", 0.1))
    before = everything(place.tenant.workspace)
    waiting = due(10)
    assert {one.workspace_id for one in waiting} == {place.tenant.workspace.pk}
    for one in waiting:
        # Of another workspace the same message is none.
        assert not courier.carry(bob.workspace.pk, one.delivery_id)
    assert (sent, everything(place.tenant.workspace)) == ([], before)
    assert all(courier.carry(one.workspace_id, one.delivery_id) for one in waiting)
    assert len(sent) == len(waiting) > 0
    assert current().workspace_id is None
