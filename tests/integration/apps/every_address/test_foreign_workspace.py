"""Every address of the URL configuration has a row, and no address shows rows of workspaces past the rest of the site.

What each is answered is in `test_permission_matrix`.
"""

from collections.abc import Iterator

import pytest
from addresses import API, FOREIGN_CODE, OF_PERSON, OPEN, OPEN_API, PAGES, ROUTES, Place, addresses, fill
from django.contrib import admin
from rest_framework.views import APIView

from apps.workspaces.rows import WorkspaceModel

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
