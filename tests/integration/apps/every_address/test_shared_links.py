"""What whoever has a link can do with it: look at one thing, and nothing else."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from addresses import SPEC, Place, everything, fill
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.sharing.models import ShareLink
from apps.sharing.services import share, unshare
from apps.workspaces.deletion import close
from apps.workspaces.scope import scope


def address(token: str) -> str:
    return reverse("web:shared", kwargs={"token": token})


@pytest.fixture
def token(place: Place) -> str:
    return share(place.tenant.user, place.over, visibility="anyone")[1]


@pytest.mark.parametrize("who", ["nobody", "stranger", "viewer", "owner"])
def test_everybody_looks_at_what_is_shared(place: Place, token: str, who: str) -> None:
    page = place.clients[who].get(address(token))
    assert page.status_code == 200
    assert "Succeeded" in page.content.decode()
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "noindex" in page.headers["X-Robots-Tag"]
    assert "no-store" in page.headers["Cache-Control"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("who", ["nobody", "stranger", "owner"])
def test_it_takes_no_graph_and_nothing_else(place: Place, token: str, method: str, who: str) -> None:
    before = everything(place.tenant.workspace)
    for body in (json.dumps({"spec": SPEC}), json.dumps({"graph": SPEC, "ticks": 1}), "x" * 10_000):
        answer = place.clients[who].generic(method, address(token), body, "application/json")
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET, HEAD"
    # A body where there is none to be is not looked at.
    looked = place.clients[who].generic("GET", address(token), json.dumps({"spec": SPEC}), "application/json")
    assert looked.status_code == 200
    assert everything(place.tenant.workspace) == before


def test_it_leads_nowhere_else(place: Place, token: str) -> None:
    """The page of somebody who is not signed in links to nothing of the workspace and tells none of its names."""
    page = place.clients["nobody"].get(address(token)).content.decode()
    assert f"/w/{place.tenant.workspace.slug}" not in page
    for private in (place.tenant.workspace.name, place.tenant.user.email, place.tenant.project.name):
        assert private not in page
    for name, ids in (("web:run", place.ids), ("api-run", place.ids)):
        assert place.clients["nobody"].get(fill(name, ids)).status_code in (302, 401)


def test_one_for_people_who_are_signed_in_asks_the_others_to(place: Place) -> None:
    page = place.clients["nobody"].get(address(place.shared))
    assert (page.status_code, page.url) == (302, f"/accounts/login/?next={address(place.shared)}")
    assert place.clients["stranger"].get(address(place.shared)).status_code == 200


@pytest.mark.parametrize("wrong", ["shr_nothing", "x", "atk", "shr_" + "x" * 300])
def test_a_token_that_is_none_is_404(place: Place, wrong: str) -> None:
    assert place.clients["nobody"].get(address(wrong)).status_code == 404


def test_one_that_has_expired_or_was_revoked_is_404(place: Place) -> None:
    tokens = []
    for _ in range(2):
        link, token = share(place.tenant.user, place.over, visibility="anyone")
        tokens.append(token)
        if len(tokens) == 1:
            unshare(place.tenant.user, place.tenant.workspace, link.pk)
    with scope(place.tenant.workspace.pk):
        ShareLink.objects.filter(pk=link.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    answers = [place.clients["nobody"].get(address(token)) for token in (*tokens, "shr_nothing")]
    assert [answer.status_code for answer in answers] == [404, 404, 404]


def test_nothing_is_shared_of_a_workspace_that_is_being_deleted(place: Place, token: str) -> None:
    close(place.tenant.user, place.tenant.workspace)
    assert Client().get(address(token)).status_code == 404


def test_the_token_has_128_bits_and_is_kept_nowhere(place: Place) -> None:
    made = place.tenant.post("/shares/", {"graph": str(place.tenant.graph.pk), "visibility": "anyone"})
    assert made.status_code == 201
    token = made.json()["url"].rstrip("/").rpartition("/")[2]
    # 43 or so characters of 64 each: at least 128 bits after the prefix.
    assert len(token.removeprefix("shr_")) * 6 >= 128
    assert len({share(place.tenant.user, place.over)[1] for _ in range(20)}) == 20
    assert Client().get(address(token)).status_code == 200
    assert token not in str(everything(place.tenant.workspace))
    assert token not in place.tenant.get("/shares/").content.decode()


def test_what_is_foreign_is_shared_by_nobody(place: Place, bob: Any) -> None:
    for body in ({"run": str(place.over.pk)}, {"graph": str(place.tenant.graph.pk)}, {"run": str(uuid.uuid4())}):
        assert bob.post("/shares/", body).status_code == 404
    for body in ({}, {"run": str(place.over.pk), "graph": str(place.tenant.graph.pk)}):
        assert bob.post("/shares/", body).status_code == 400


def test_an_editor_revokes_the_own_links_and_a_manager_all(place: Place, member_of: Any) -> None:
    from apps.workspaces.models import Role

    editor = Client()
    editor.force_login(member_of(place.tenant, Role.EDITOR))
    revoke = fill("api-share-revoke", place.ids)
    assert editor.post(revoke).status_code == 404
    made = editor.post(
        fill("api-shares", place.ids), {"run": str(place.over.pk)}, content_type="application/json"
    ).json()["id"]
    assert place.clients["owner"].post(fill("api-share-revoke", {**place.ids, "link_id": made})).status_code == 204
    assert place.clients["owner"].post(revoke).status_code == 204
    assert place.clients["owner"].post(revoke).status_code == 404
