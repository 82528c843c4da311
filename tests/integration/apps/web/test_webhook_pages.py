"""The pages of webhooks, as a browser without JavaScript gets them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.webhooks import services
from apps.webhooks.models import EVENTS, Webhook, WebhookDelivery
from apps.webhooks.post import Answer
from apps.workspaces.models import Role
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db
URL = "https://example.org/hook"


def text(response: Any) -> str:
    """What a page says, without tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def root(tenant: Any) -> str:
    return f"/w/{tenant.workspace.slug}/webhooks/"


@pytest.fixture
def hook(ann: Any) -> Webhook:
    return services.create_webhook(ann.user, ann.workspace, URL, EVENTS, "The lab's board")[0]


def sent(tenant: Any, hook: Webhook, answer: Answer) -> WebhookDelivery:
    """A trial message and the answer to its first try."""
    made = services.ping(tenant.user, tenant.workspace, hook.pk)
    tried = services.begin_try(tenant.workspace.id, made.pk)
    assert tried is not None
    services.end_try(tried, answer)
    return made


def test_without_any_the_page_says_what_a_webhook_is(ann: Any) -> None:
    assert "No webhooks" in text(ann.client.get(root(ann)))


def test_a_webhook_is_added_and_its_secret_shown_once(ann: Any) -> None:
    made = ann.client.post(root(ann), {"url": URL, "events": ["run.failed"], "description": "Board"})
    assert made.status_code == 200
    assert "no-store" in made.headers["Cache-Control"]
    assert re.search(r'value="whsec_[A-Za-z0-9+/=]{44}"', html.unescape(made.content.decode()))
    again = ann.client.get(root(ann))
    assert URL in text(again)
    assert "whsec_" not in again.content.decode()
    with scope(ann.workspace.id):
        assert Webhook.objects.get().events == ["run.failed"]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"url": "http://example.org/", "events": ["run.failed"]}, "It must begin with https://."),
        ({"url": "", "events": ["run.failed"]}, "Give the address"),
        ({"url": URL, "events": []}, "No event is named."),
        ({"url": URL, "events": ["run.failed"], "description": "x" * 201}, "201 characters"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_and_what_was_typed_is_kept(
    ann: Any, hook: Webhook, values: dict[str, Any], error: str
) -> None:
    typed = {"description": "Typed with care", **values}
    for address in (root(ann), f"{root(ann)}{hook.pk}/"):
        page = ann.client.post(address, typed)
        assert page.status_code == 422
        assert error in text(page)
        body = html.unescape(page.content.decode())
        assert f'value="{typed["description"]}"' in body
        assert f'value="{typed["url"]}"' in body
        assert ('value="run.failed" checked' in body) is bool(typed["events"])
    with scope(ann.workspace.id):
        assert Webhook.objects.get().description == "The lab's board"


def test_a_webhook_is_changed_switched_rotated_and_deleted(ann: Any, hook: Webhook) -> None:
    page = f"{root(ann)}{hook.pk}/"
    changed = ann.client.post(page, {"url": URL + "2", "events": ["run.failed"]}, follow=True)
    assert "The webhook is changed." in text(changed)
    assert URL + "2" in text(changed)
    services.begin_try(ann.workspace.id, services.ping(ann.user, ann.workspace, hook.pk).pk)
    off = ann.client.post(f"{page}switch/", {"active": "false"}, follow=True)
    assert "It is off: nothing is sent to it." in text(off)
    assert "Turn on" in text(off)
    assert "Turn off" in text(ann.client.post(f"{page}switch/", {"active": "true"}, follow=True))
    rotated = ann.client.post(f"{page}secret/")
    assert "whsec_" in rotated.content.decode()
    assert "no-store" in rotated.headers["Cache-Control"]
    assert "whsec_" not in ann.client.get(page).content.decode()
    assert "The webhook is deleted." in text(ann.client.post(f"{page}delete/", follow=True))
    assert ann.client.get(page).status_code == 404


def test_messages_show_what_became_of_them_and_are_sent_again(ann: Any, hook: Webhook) -> None:
    page = f"{root(ann)}{hook.pk}/"
    assert "Nothing was sent yet" in text(ann.client.get(page))
    assert "on its way" in text(ann.client.post(f"{page}ping/", follow=True))
    failed = sent(ann, hook, Answer(503, "The receiver answered 503.", "<b>busy</b>", 0.25))
    sent(ann, hook, Answer(200, "", "heard", 0.5))
    said = text(ann.client.get(page))
    for part in ("Waiting", "Delivered", "503 The receiver answered 503.", "0.25 s", "heard", "1 try", "next"):
        assert part in said
    assert "<b>busy</b>" not in ann.client.get(page).content.decode()
    again = ann.client.post(f"{page}deliveries/{failed.pk}/replay/", follow=True)
    assert "sent once more" in text(again)
    with scope(ann.workspace.id):
        assert WebhookDelivery.objects.filter(message=failed.message).count() == 2
        run_told = WebhookDelivery.objects.filter(pk=failed.pk)
        run_told.update(event="run.failed")
    ann.client.post(f"{page}switch/", {"active": "false"})
    refused = text(ann.client.post(f"{page}deliveries/{failed.pk}/replay/", follow=True))
    assert "A person has turned it off. Turn it on" in refused
    assert "The webhook was turned off." in refused


@pytest.mark.parametrize("role", [Role.EDITOR, Role.VIEWER])
def test_only_those_who_manage_webhooks_see_the_pages(
    ann: Any, bob: Any, hook: Webhook, member_of: Callable[..., Any], role: Role
) -> None:
    delivery = services.ping(ann.user, ann.workspace, hook.pk)
    client = Client()
    client.force_login(member_of(ann, role))
    page = f"{root(ann)}{hook.pk}/"
    writes = [f"{page}{end}/" for end in ("secret", "switch", "ping", "delete", f"deliveries/{delivery.pk}/replay")]
    for who, status in ((client, 403), (bob.client, 404)):
        assert who.get(root(ann)).status_code == status
        assert who.get(page).status_code == status
        for address in (root(ann), page, *writes):
            assert who.post(address, {"url": URL, "events": ["run.failed"]}).status_code == status, address
    foreign = root(bob)
    for address in writes:
        assert bob.client.post(address.replace(root(ann), foreign)).status_code == 404
    assert ">Webhooks<" not in client.get(f"/w/{ann.workspace.slug}/").content.decode()
    assert ">Webhooks<" in ann.client.get(f"/w/{ann.workspace.slug}/").content.decode()
    with scope(ann.workspace.id):
        assert Webhook.objects.get().revision == 1
        assert WebhookDelivery.objects.count() == 1
