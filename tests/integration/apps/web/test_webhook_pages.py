"""The pages of webhooks, as a browser without JavaScript gets them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.web import shown_once
from apps.webhooks import secret, services
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


def secrets_in(response: Any) -> list[str]:
    """The secrets that a page shows."""
    return re.findall(r'value="(whsec_[A-Za-z0-9+/=]{44})"', html.unescape(response.content.decode()))


def hidden(response: Any) -> dict[str, str]:
    """What the hidden fields of the form that changes a webhook hold."""
    found = re.findall(r'<input type="hidden" name="(revision|was)" value="([^"]*)">', response.content.decode())
    return {name: html.unescape(value) for name, value in found}


def test_a_webhook_is_added_once_and_its_secret_shown_once(ann: Any) -> None:
    made = ann.client.post(root(ann), {"url": URL, "events": ["run.failed"], "description": "Board"})
    with scope(ann.workspace.id):
        hook = Webhook.objects.get()
    # A redirect: what a reload sends again is a GET.
    assert (made.status_code, made["Location"]) == (302, f"{root(ann)}{hook.pk}/")
    assert hook.events == ["run.failed"]
    assert not ann.client.head(made["Location"]).content
    page = ann.client.get(made["Location"])
    assert "no-store" in page.headers["Cache-Control"]
    # It is the one that signs.
    assert secrets_in(page) == [secret.opened(hook.secret)]
    for address in (made["Location"], root(ann)):
        again = ann.client.get(address)
        assert URL in text(again)
        assert "whsec_" not in again.content.decode()


def test_a_secret_is_shown_to_the_session_that_drew_it_in_time_and_while_it_signs(
    ann: Any, hook: Webhook, member_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = f"{root(ann)}{hook.pk}/"
    other = Client()
    other.force_login(member_of(ann, Role.ADMIN))
    rotated = ann.client.post(f"{page}secret/")
    assert (rotated.status_code, rotated["Location"]) == (302, page)
    # What is kept of the session, which anybody may read who reads the database, does not hold it.
    assert "whsec_" not in str(dict(ann.client.session.items()))
    assert not secrets_in(other.get(page))
    # Another one was drawn before this one was looked at: that is not Ann's to see.
    services.rotate_secret(ann.user, ann.workspace, hook.pk)
    assert not secrets_in(ann.client.get(page))
    monkeypatch.setattr(shown_once, "SECONDS", -1.0)
    ann.client.post(f"{page}secret/")
    late = ann.client.get(page)
    assert not secrets_in(late)
    assert "The secret was not looked at in time" in text(late)
    assert "not looked at" not in text(ann.client.get(page))


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
    typed = {"description": "Typed with care", "revision": "1", **values}
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
    typed = {"url": URL + "2", "events": ["run.failed"], **hidden(ann.client.get(page))}
    changed = ann.client.post(page, typed, follow=True)
    assert "The webhook is changed." in text(changed)
    assert URL + "2" in text(changed)
    services.begin_try(ann.workspace.id, services.ping(ann.user, ann.workspace, hook.pk).pk)
    off = ann.client.post(f"{page}switch/", {"active": "false"}, follow=True)
    assert "It is off: nothing is sent to it." in text(off)
    assert "Turn on" in text(off)
    assert "Turn off" in text(ann.client.post(f"{page}switch/", {"active": "true"}, follow=True))
    rotated = ann.client.post(f"{page}secret/", follow=True)
    assert rotated.redirect_chain == [(page, 302)]
    assert len(secrets_in(rotated)) == 1
    assert "no-store" in rotated.headers["Cache-Control"]
    assert "whsec_" not in ann.client.get(page).content.decode()
    assert "The webhook is deleted." in text(ann.client.post(f"{page}delete/", follow=True))
    assert ann.client.get(page).status_code == 404


def test_who_saves_second_is_shown_what_changed_and_loses_nothing(
    ann: Any, hook: Webhook, member_of: Callable[..., Any]
) -> None:
    page = f"{root(ann)}{hook.pk}/"
    other = Client()
    other.force_login(member_of(ann, Role.ADMIN))
    known = hidden(other.get(page))
    services.change_webhook(ann.user, ann.workspace, hook.pk, url=URL + "/ann", events=["run.failed"])
    typed = {"url": URL + "/other", "events": list(EVENTS), "description": "Typed with care", **known}
    refused = other.post(page, typed)
    assert refused.status_code == 412
    said = text(refused)
    assert "Nothing was saved: the webhook was changed since you opened this form, by Ann at" in said
    # Both changed the address, one of them the events, the other the description.
    assert f"Address {URL} {URL}/ann What you typed is kept below" in said
    assert "What it is told run.running, run.succeeded, run.failed, run.cancelled run.failed Taken over" in said
    assert "What it is for" not in said[said.index("Nothing was saved") : said.index("Look it through")]
    body = html.unescape(refused.content.decode())
    assert f'value="{URL}/other"' in body
    assert 'value="Typed with care"' in body
    assert re.findall(r'value="(run\.[a-z]+)" checked', body) == ["run.failed"]
    with scope(ann.workspace.id):
        assert (Webhook.objects.get().url, Webhook.objects.get().revision) == (URL + "/ann", 2)
    # Whoever has looked it through may save over it.
    again = {**typed, "events": ["run.failed"], **hidden(refused)}
    assert other.post(page, again).status_code == 302
    with scope(ann.workspace.id):
        now = Webhook.objects.get()
    assert (now.url, now.events, now.description) == (URL + "/other", ["run.failed"], "Typed with care")


def test_a_webhook_that_was_switched_or_has_a_new_secret_is_not_as_the_form_knew_it(ann: Any, hook: Webhook) -> None:
    page = f"{root(ann)}{hook.pk}/"
    typed = {"url": URL, "events": list(EVENTS), "description": "Mine"}
    known = hidden(ann.client.get(page))
    services.rotate_secret(ann.user, ann.workspace, hook.pk)
    refused = ann.client.post(page, {**typed, **known})
    assert refused.status_code == 412
    assert "its secret was drawn anew" in text(refused)
    known = hidden(refused)
    services.change_webhook(ann.user, ann.workspace, hook.pk, active=False)
    refused = ann.client.post(page, {**typed, **known})
    assert "State on off It stays so." in text(refused)
    assert ann.client.post(page, {**typed, **hidden(refused)}).status_code == 302
    with scope(ann.workspace.id):
        assert (Webhook.objects.get().active, Webhook.objects.get().description) == (False, "Mine")


@pytest.mark.parametrize("was", ["", "x", "[]", '{"url": 5, "events": {"a": []}}', "[" * 100_000])
@pytest.mark.parametrize(("revision", "status"), [("", 428), ("x", 428), ("9" * 5000, 428), ("7", 412)])
def test_a_form_that_is_not_ours_changes_nothing(ann: Any, hook: Webhook, was: str, revision: str, status: int) -> None:
    typed = {"url": URL + "/x", "events": ["run.failed"], "revision": revision, "was": was}
    refused = ann.client.post(f"{root(ann)}{hook.pk}/", typed)
    assert refused.status_code == status
    assert f'value="{URL}/x"' in refused.content.decode()
    with scope(ann.workspace.id):
        assert Webhook.objects.get().revision == 1


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
