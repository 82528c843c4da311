"""A write by session needs the token that only our own pages have, at every address that there is. Who may what is in
`test_permission_matrix`."""

from __future__ import annotations

from typing import Any

import pytest
from addresses import API, OPEN_API, PAGES, Place, fill, send
from console_browser import enter
from django.core.cache import cache
from django.test import Client
from row_changes import Rows, attempts, taken_back
from test_half_signed_in import ROUTES, address_of

from apps.accounts.models import User
from apps.workspaces.members import add_member
from apps.workspaces.models import Role

FORM, FILE = "application/x-www-form-urlencoded", "application/octet-stream"
WRITES = sorted((name, method) for name, method in {**API, **PAGES, **OPEN_API} if method != "get")


def test_a_write_needs_the_csrf_token(ann: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann.user)
    url = fill("api-projects", {"slug": ann.workspace.slug})
    refused = client.post(url, {"name": "x"}, content_type="application/json")
    assert refused.status_code == 403
    assert refused.headers["Content-Type"] == "application/problem+json"
    client.get("/accounts/logout/")  # any page with a form brings the cookie
    token = client.cookies["csrftoken"].value
    accepted = client.post(url, {"name": "x"}, content_type="application/json", headers={"X-CSRFToken": token})
    assert accepted.status_code == 201


@pytest.fixture
def owner(place: Place, enrolled: Any) -> Client:
    """The browser of somebody who may everything: owner of the workspace, and superuser with an open console."""
    cache.clear()
    eve = enrolled("eve", is_staff=True, is_superuser=True)
    add_member(place.tenant.user, place.tenant.workspace, eve.user, Role.OWNER)
    client = enter(eve)
    assert client.get("/api/v1/me/").status_code == 200
    client.handler.enforce_csrf_checks = True
    return client


def refused_as_forged(answer: Any) -> bool:
    said = answer.content.decode()
    return answer.status_code == 403 and ("This form has expired" in said or "CSRF Failed" in said)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_address_takes_a_forged_request(place: Place, owner: Client, method: str) -> None:
    """Of all there are: ours, the console's, Django's and allauth's, whether they know the method or not."""
    ids = {**place.ids, "user": User.objects.get(email="eve@example.org").pk}
    rows = Rows([place.tenant.workspace.pk, place.stranger.workspace.pk])
    standing, wrong = rows.digest(), []
    for route in ROUTES:
        address = address_of(route, ids)
        body, media = ("{}", "application/json") if route.startswith("api/") else ("a=b", FORM)
        with taken_back():
            before = attempts()
            answer = owner.generic(method, address, body, FILE if route.endswith("/imports/") else media)
            changed = attempts() != before and rows.digest() != standing
        if not refused_as_forged(answer) or changed:
            wrong.append(f"{method} {address}: {answer.status_code} {changed}")
    assert len(ROUTES) > 150
    assert not wrong, "\n".join(wrong)


def test_no_write_is_done_without_the_token_and_every_one_with_it(place: Place, owner: Client) -> None:
    """What would be taken from this very browser with it, with paths and bodies that are right."""
    rows = Rows([place.tenant.workspace.pk, place.stranger.workspace.pk])
    owner.get("/accounts/logout/")
    token = owner.cookies["csrftoken"].value
    standing, wrong = rows.digest(), []
    for name, method in WRITES:
        row = {**API, **PAGES, **OPEN_API}[name, method]
        if name == "api-imports":
            continue  # takes files, which the test above sends
        with taken_back():
            before = attempts()
            answer = send(owner, place, name, method, row)
            changed = attempts() != before and rows.digest() != standing
        if not refused_as_forged(answer) or changed:
            wrong.append(f"{method} {name}: {answer.status_code} {changed}")
        with taken_back():
            owner.defaults["HTTP_X_CSRFTOKEN"] = token
            answer = send(owner, place, name, method, row)
            del owner.defaults["HTTP_X_CSRFTOKEN"]
        if refused_as_forged(answer):
            wrong.append(f"{method} {name} with the token: {answer.status_code}")
    assert len(WRITES) > 70
    assert not wrong, "\n".join(wrong)
