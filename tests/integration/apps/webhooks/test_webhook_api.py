"""Webhooks by the API: who may, what is refused, and what is shown once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.webhooks.courier import carry
from apps.webhooks.models import Webhook
from apps.workspaces.keys import create_key
from apps.workspaces.models import Role
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db(transaction=True)
URL = "https://example.org/hook"


def made(tenant: Any, **more: Any) -> dict[str, Any]:
    answer = tenant.post("/webhooks/", {"url": URL, "events": ["run.failed"], **more})
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def test_a_webhook_is_made_changed_and_deleted(ann: Any) -> None:
    body = made(ann, description="The lab's board")
    assert body["secret"].startswith("whsec_")
    place = f"/webhooks/{body['id']}/"
    shown = ann.get(place).json()
    assert "secret" not in shown
    assert shown == {name: value for name, value in body.items() if name != "secret"}
    tag = ann.get(place).headers["ETag"]
    body = {"events": ["run.succeeded", "run.failed"], "active": False}
    change = ann.client.patch(ann.root + place, body, content_type="application/json", headers={"If-Match": tag})
    assert (change.status_code, change.json()["events"], change.json()["active"]) == (
        200, ["run.succeeded", "run.failed"], False,
    )  # fmt: skip
    assert ann.get("/webhooks/").json()["results"] == [change.json()]
    assert ann.client.delete(ann.root + place).status_code == 428
    assert ann.client.delete(ann.root + place, headers={"If-Match": tag}).status_code == 412
    assert ann.client.delete(ann.root + place, headers={"If-Match": change.headers["ETag"]}).status_code == 204
    assert ann.get(place).status_code == 404


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"url": "https://10.0.0.1/", "events": ["run.failed"]}, {"url"}),
        ({"url": "http://example.org/", "events": ["run.exploded"]}, {"url", "events"}),
        ({"url": URL, "events": ["run.failed", "x"]}, {"events"}),
    ],
)
def test_what_is_not_allowed_is_named(ann: Any, body: Any, places: set[str]) -> None:
    answer = ann.post("/webhooks/", body)
    assert answer.status_code == 422
    assert {fault["place"] for fault in answer.json()["problems"]} == places
    with scope(ann.workspace.id):
        assert not Webhook.objects.exists()


def test_there_are_only_so_many(ann: Any, webhooks: Any, at_once: Any) -> None:
    webhooks(per_workspace=2)

    def one(_: int) -> int:
        client = Client()
        client.force_login(ann.user)
        body = {"url": URL, "events": ["run.failed"]}
        status: int = client.post(f"{ann.root}/webhooks/", body, content_type="application/json").status_code
        return status

    assert sorted(at_once(one, 5)) == [201, 201, 422, 422, 422]


def test_a_repeated_request_makes_one_webhook_and_shows_no_secret_again(ann: Any) -> None:
    body = {"url": URL, "events": ["run.failed"]}
    first, second = (
        ann.client.post(
            f"{ann.root}/webhooks/", body, content_type="application/json", headers={"Idempotency-Key": "k"}
        ).json()
        for _ in range(2)
    )
    assert first["id"] == second["id"]
    assert second["secret"] is None


@pytest.mark.parametrize("role", [Role.EDITOR, Role.VIEWER, Role.API])
def test_only_those_who_manage_webhooks_see_them(ann: Any, member_of: Callable[..., Any], role: Role) -> None:
    place = f"{ann.root}/webhooks/{made(ann)['id']}/"
    client = Client()
    client.force_login(member_of(ann, role))
    assert client.get(f"{ann.root}/webhooks/").status_code == 403
    assert client.get(place).status_code == 403
    assert client.get(f"{place}deliveries/").status_code == 403
    assert client.post(f"{place}ping/").status_code == 403
    assert client.delete(place).status_code == 403


@pytest.mark.parametrize(("role", "status"), [(Role.OWNER, 200), (Role.ADMIN, 200), (Role.EDITOR, 403)])
def test_a_key_manages_webhooks_if_its_owner_may(
    ann: Any, member_of: Callable[..., Any], role: Role, status: int
) -> None:
    user = ann.user if role is Role.OWNER else member_of(ann, role)
    headers = {"Authorization": f"Bearer {create_key(user, ann.workspace, 'k')[1]}"}
    answer = Client().get(f"{ann.root}/webhooks/", headers=headers)
    assert answer.status_code == status
    body = {"url": URL, "events": ["run.failed"]}
    made = Client().post(f"{ann.root}/webhooks/", body, content_type="application/json", headers=headers)
    assert made.status_code == (201 if status == 200 else 403)
    if status == 403:
        assert "The role editor does not allow this" in made.json()["detail"]


def test_the_webhook_of_another_workspace_does_not_exist(ann: Any, bob: Any) -> None:
    place = f"/webhooks/{made(ann)['id']}/"
    for path in ("", "deliveries/"):
        assert bob.get(place + path).status_code == 404
    for path in ("secret/", "ping/"):
        assert bob.post(place + path, {}).status_code == 404
    assert bob.client.delete(bob.root + place).status_code == 404
    with scope(ann.workspace.id):
        assert Webhook.objects.count() == 1


@pytest.mark.usefixtures("near")
def test_a_ping_says_how_it_went_and_can_be_repeated(ann: Any, receiver: Any) -> None:
    receiver.answers = [500, 200]
    place = f"/webhooks/{made(ann, url=receiver.url)['id']}/"
    sent = ann.post(f"{place}ping/", {})
    assert sent.status_code == 202
    one = f"{place}deliveries/{sent.json()['id']}/"
    carry(ann.workspace.id, sent.json()["id"])
    shown = ann.get(one).json()
    assert (shown["state"], shown["payload"]["type"]) == ("pending", "ping")
    assert [(line["number"], line["status"]) for line in shown["log"]] == [(1, 500)]
    again = ann.post(f"{one}replay/", {})
    assert again.status_code == 202
    carry(ann.workspace.id, again.json()["id"])
    listed = ann.get(f"{place}deliveries/").json()["results"]
    assert [(row["event"], row["state"]) for row in listed] == [("ping", "delivered"), ("ping", "pending")]
    assert len({row["message"] for row in listed}) == 1
