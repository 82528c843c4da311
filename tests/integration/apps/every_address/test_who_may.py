"""Every address of the API × everybody: nobody logged in, a member of another workspace, a viewer, an owner."""

from typing import Any

import pytest
from addresses import API, OPEN_API, Place, everything, fill, send
from django.test import Client

WHO = ("nobody", "stranger", "viewer", "owner")


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(("name", "method"), sorted(API))
def test_who_may(place: Place, name: str, method: str, who: str) -> None:
    row = API[name, method]
    before = everything(place.tenant.workspace)
    response = send(place.clients[who], place, name, method, row)
    viewer = row.viewer or (403 if row.writes or row.managers else row.owner)
    # A command that the graph does not know is refused for what it is only to those who may give commands.
    expected = {"nobody": 401, "stranger": 404, "viewer": viewer, "owner": row.owner}[who]
    assert response.status_code == expected, response.content
    changed = everything(place.tenant.workspace) != before
    assert changed == (row.writes and expected < 400)
    if expected >= 400:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert str(place.tenant.workspace.name) not in response.content.decode()


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(("name", "method"), sorted(OPEN_API))
def test_what_belongs_to_no_workspace_needs_a_login(place: Place, name: str, method: str, who: str) -> None:
    row = OPEN_API[name, method]
    response = send(place.clients[who], place, name, method, row)
    assert response.status_code == (401 if who == "nobody" else row.owner)


@pytest.mark.parametrize(("name", "method"), sorted(API))
def test_a_workspace_that_does_not_exist_looks_like_a_foreign_one(place: Place, name: str, method: str) -> None:
    stranger = place.clients["stranger"]
    foreign, invented = (
        send(stranger, place, name, method, API[name, method], {"slug": slug})
        for slug in (place.tenant.workspace.slug, "no-such-workspace")
    )
    assert foreign.status_code == invented.status_code == 404
    assert foreign.content == invented.content


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
