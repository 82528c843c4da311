"""Every address × a foreign workspace: it does not exist, and nothing in it changes.

The addresses come from the URL configuration.
"""

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
    Place,
    Row,
    addresses,
    everything,
    fill,
    send,
)
from django.contrib import admin
from rest_framework.views import APIView

from apps.workspaces.rows import WorkspaceModel

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
        body = response.getvalue().decode()
        assert not [value for value in foreign_ids(place) if value in body]


def names_something(place: Place, name: str, row: Row) -> bool:
    path = ROUTES[name].replace("<slug:slug>", "").replace("<slug:preset_id>", "")
    return "<" in path or any(value in str(row.body(place)) for value in foreign_ids(place))


def foreign_ids(place: Place) -> list[str]:
    return [str(value) for value in (*place.ids.values(), place.running.pk) if isinstance(value, uuid.UUID)]
