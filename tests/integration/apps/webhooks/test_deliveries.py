"""From what happens to a run to a receiver that can trust it, through all that goes wrong between."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from apps.runs import services as runs
from apps.runs.refusals import Fenced
from apps.webhooks import selectors, services
from apps.webhooks.courier import carry
from apps.webhooks.models import EVENTS, Webhook, WebhookDelivery, WebhookTry
from apps.webhooks.post import Answer
from apps.webhooks.refusals import WebhookIsOff
from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("near")]


@pytest.fixture
def hook(ann: Any, receiver: Any) -> tuple[Webhook, str]:
    """Ann's webhook, which is told everything, and its secret."""
    return services.create_webhook(ann.user, ann.workspace, receiver.url, EVENTS)


def look(tenant: Any) -> list[WebhookDelivery]:
    with scope(tenant.workspace.id):
        return list(WebhookDelivery.objects.order_by("created_at", "id"))


def carry_all() -> list[bool]:
    return [carry(one.workspace_id, one.delivery_id) for one in selectors.due(100)]


def finished(tenant: Any, state: str = "succeeded") -> Any:
    run = tenant.submit()
    with scope(tenant.workspace.id):
        attempt = runs.claim(run.pk, "w")
        return runs.finish(attempt, state, result={}, result_hash="blake2b:x")


def test_a_receiver_is_told_what_became_of_a_run_and_can_verify_who_says_so(ann: Any, hook: Any, receiver: Any) -> None:
    run = finished(ann)
    assert sorted(carry_all()) == [True, True]
    assert selectors.due(100) == []
    _, secret = hook
    told = {}
    for headers, body in receiver.got:
        message = Verifier(secret).verify(body, headers)  # an implementation of the rules that is not ours
        told[message["type"]] = (headers["webhook-id"], message["data"]["run"])
    assert set(told) == {"run.running", "run.succeeded"}
    message_id, said = told["run.succeeded"]
    assert (said["id"], said["state"], said["result_hash"]) == (str(run.pk), "succeeded", "blake2b:x")
    assert {str(one.message) for one in look(ann)} == {told["run.running"][0], message_id}
    assert {one.state for one in look(ann)} == {"delivered"}


def test_a_changed_message_does_not_verify(ann: Any, hook: Any, receiver: Any) -> None:
    services.ping(ann.user, ann.workspace, hook[0].pk)
    carry_all()
    ((headers, body),) = receiver.got
    from standardwebhooks import WebhookVerificationError

    Verifier(hook[1]).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(hook[1]).verify(body.replace(b"ping", b"pong"), headers)


def test_what_is_rolled_back_is_told_to_nobody(ann: Any, hook: Any) -> None:
    run = ann.submit()
    with transaction.atomic():
        with scope(ann.workspace.id):
            runs.claim(run.pk, "w")
        transaction.set_rollback(True)
    assert look(ann) == []
    with scope(ann.workspace.id):
        stale = runs.claim(run.pk, "w")
        runs.finish(stale, "cancelled")
    with pytest.raises(Fenced):
        runs.finish(stale, "succeeded", result={}, result_hash="x")
    assert sorted(one.event for one in look(ann)) == ["run.cancelled", "run.running"]


def test_only_what_was_asked_for_is_told_and_only_in_its_workspace(ann: Any, bob: Any, receiver: Any) -> None:
    services.create_webhook(ann.user, ann.workspace, receiver.url, ["run.failed"])
    finished(ann)
    finished(bob)
    assert look(ann) == look(bob) == []


def test_a_message_is_tried_again_until_it_is_taken(ann: Any, hook: Any, receiver: Any) -> None:
    receiver.answers = [500, 503, 200]
    services.ping(ann.user, ann.workspace, hook[0].pk)
    assert [carry_all() for _ in range(4)] == [[False], [False], [True], []]
    (delivery,) = look(ann)
    assert (delivery.state, delivery.tries) == ("delivered", 3)
    with scope(ann.workspace.id):
        log = list(WebhookTry.objects.order_by("number").values_list("number", "status", "error", "answer"))
    assert log == [
        (1, 500, "The receiver answered 500.", "heard"),
        (2, 503, "The receiver answered 503.", "heard"),
        (3, 200, "", "heard"),
    ]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1


def test_tries_lie_as_far_apart_as_configured(ann: Any, hook: Any, receiver: Any, webhooks: Any) -> None:
    webhooks(retries=[100.0, 1000.0])
    receiver.answers = [500]
    services.ping(ann.user, ann.workspace, hook[0].pk)
    for delay in (100.0, 1000.0):
        before = timezone.now()
        assert carry_all() == [False]
        (delivery,) = look(ann)
        assert 0.9 * delay <= (delivery.due_at - before).total_seconds() <= 1.1 * delay + 60
        assert carry_all() == []
        with scope(ann.workspace.id):
            WebhookDelivery.objects.update(due_at=timezone.now())
    assert carry_all() == [False]
    assert look(ann)[0].state == "failed"


def test_an_address_that_takes_nothing_is_turned_off_and_on_again_by_a_person(
    ann: Any, hook: Any, receiver: Any
) -> None:
    receiver.answers = [500]
    services.ping(ann.user, ann.workspace, hook[0].pk)
    for _ in range(3):
        carry_all()
    with scope(ann.workspace.id):
        row = Webhook.objects.get()
        assert (row.active, row.inactive_why) == (False, "The receiver took nothing in 3 tries.")
        assert AuditEvent.objects.filter(action="webhook.turn_off").count() == 1
    finished(ann)
    assert len(look(ann)) == 1
    changed = services.change_webhook(ann.user, ann.workspace, row.pk, active=True)
    assert (changed.active, changed.inactive_why) == (True, "")


def test_an_address_that_took_something_meanwhile_stays_on(ann: Any, hook: Any, receiver: Any) -> None:
    receiver.answers = [500, 200, 500, 500]
    services.ping(ann.user, ann.workspace, hook[0].pk)
    carry_all()
    services.ping(ann.user, ann.workspace, hook[0].pk)
    with scope(ann.workspace.id):
        second = WebhookDelivery.objects.order_by("created_at").last()
    assert carry(ann.workspace.id, second.pk)
    carry_all()
    carry_all()
    assert [one.state for one in look(ann)] == ["failed", "delivered"]
    with scope(ann.workspace.id):
        assert Webhook.objects.get().active


def test_an_address_that_is_gone_is_turned_off_at_once(ann: Any, hook: Any, receiver: Any) -> None:
    receiver.answers = [410]
    finished(ann)
    assert carry_all() == [False, False]
    with scope(ann.workspace.id):
        assert not Webhook.objects.get().active
    assert {one.state for one in look(ann)} == {"failed"}
    assert len(receiver.got) == 1  # the second message is not sent any more


def test_many_couriers_at_once_make_one_try(ann: Any, hook: Any, receiver: Any, at_once: Any) -> None:
    delivery = services.ping(ann.user, ann.workspace, hook[0].pk)
    outcomes = at_once(lambda _: carry(ann.workspace.id, delivery.pk), 8)
    assert sorted(outcomes) == [False] * 7 + [True]
    assert len(receiver.got) == 1


def test_a_courier_that_died_is_replaced_and_decides_nothing_when_it_comes_back(
    ann: Any, hook: Any, receiver: Any
) -> None:
    delivery = services.ping(ann.user, ann.workspace, hook[0].pk)
    dead = services.begin_try(ann.workspace.id, delivery.pk)
    assert dead is not None
    assert carry_all() == []
    with scope(ann.workspace.id):
        WebhookDelivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert carry_all() == [True]
    services.end_try(dead, Answer(None, "It died.", "", 1.0))
    (row,) = look(ann)
    assert (row.state, row.tries) == ("delivered", 2)


def test_for_a_day_both_secrets_sign(ann: Any, hook: Any, receiver: Any) -> None:
    row, old = hook
    new = services.rotate_secret(ann.user, ann.workspace, row.pk)
    services.ping(ann.user, ann.workspace, row.pk)
    carry_all()
    with scope(ann.workspace.id):
        kept = Webhook.objects.get()
        kept.old_secrets[0]["until"] = timezone.now().isoformat()
        kept.save()
    services.ping(ann.user, ann.workspace, row.pk)
    carry_all()
    (both, one) = receiver.got
    for secret in (old, new):
        Verifier(secret).verify(both[1], both[0])
    Verifier(new).verify(one[1], one[0])
    assert " " not in one[0]["webhook-signature"]
    with scope(ann.workspace.id):
        kept = Webhook.objects.get()
    for secret in (old, new):
        assert secret not in (kept.secret, str(kept.old_secrets))


def test_each_secret_of_the_last_day_signs(ann: Any, hook: Any, receiver: Any) -> None:
    row, first = hook
    drawn = [first, *(services.rotate_secret(ann.user, ann.workspace, row.pk) for _ in range(2))]
    services.ping(ann.user, ann.workspace, row.pk)
    drawn += [services.rotate_secret(ann.user, ann.workspace, row.pk) for _ in range(4)]
    services.ping(ann.user, ann.workspace, row.pk)
    carry_all()
    by_signatures = sorted(receiver.got, key=lambda one: len(one[0]["webhook-signature"]))
    for headers, body in by_signatures:
        assert len(headers["webhook-signature"].split()) == 5
        for secret in drawn[-5:]:
            Verifier(secret).verify(body, headers)


def test_the_second_change_of_a_secret_within_a_day_keeps_the_first(ann: Any, hook: Any, receiver: Any) -> None:
    row, first = hook
    secrets = [first, *(services.rotate_secret(ann.user, ann.workspace, row.pk) for _ in range(2))]
    services.ping(ann.user, ann.workspace, row.pk)
    carry_all()
    ((headers, body),) = receiver.got
    assert len(headers["webhook-signature"].split()) == 3
    for secret in secrets:
        Verifier(secret).verify(body, headers)


@pytest.fixture
def keys(settings: Any) -> Callable[..., None]:
    """Give the site another key, and the one before."""

    def change(now: str, before: str | None = None) -> None:
        settings.SECRET_KEY = now
        settings.SECRET_KEY_FALLBACKS = [before] if before else []

    return change


def test_a_secret_that_cannot_be_opened_turns_its_webhook_off_and_no_other(
    ann: Any, hook: Any, receiver: Any, keys: Any
) -> None:
    services.ping(ann.user, ann.workspace, hook[0].pk)
    keys("another key of the site")
    services.create_webhook(ann.user, ann.workspace, receiver.url, EVENTS)
    finished(ann)
    outcomes = carry_all()
    assert (len(outcomes), sum(outcomes)) == (5, 2)
    with scope(ann.workspace.id):
        closed, good = Webhook.objects.order_by("created_at")
    assert (closed.active, good.active) == (False, True)
    assert "secret cannot be opened" in closed.inactive_why
    for one in look(ann):
        told = ("failed", closed.inactive_why) if one.webhook_id == closed.pk else ("delivered", "")
        assert (one.state, one.failure) == told
    # A new secret mends it.
    new = services.rotate_secret(ann.user, ann.workspace, closed.pk)
    services.change_webhook(ann.user, ann.workspace, closed.pk, active=True)
    receiver.got.clear()
    services.ping(ann.user, ann.workspace, closed.pk)
    assert carry_all() == [True]
    ((headers, body),) = receiver.got
    Verifier(new).verify(body, headers)


def test_secrets_are_sealed_again_before_the_old_key_of_the_site_is_forgotten(
    ann: Any, bob: Any, hook: Any, receiver: Any, keys: Any, settings: Any
) -> None:
    before, now = settings.SECRET_KEY, "another key of the site"
    second = services.rotate_secret(ann.user, ann.workspace, hook[0].pk)
    _, bobs = services.create_webhook(bob.user, bob.workspace, receiver.url, EVENTS)
    keys(now)
    with pytest.raises(CommandError, match="2 webhooks have secrets of another key"):
        call_command("reseal_webhooks")
    keys(now, before)
    call_command("reseal_webhooks")
    call_command("reseal_webhooks")
    keys(now)
    services.ping(ann.user, ann.workspace, hook[0].pk)
    assert carry_all() == [True]
    finished(bob)
    assert carry_all() == [True, True]
    (anns, *rest) = receiver.got
    for secret in (hook[1], second):
        Verifier(secret).verify(anns[1], anns[0])
    for headers, body in rest:
        Verifier(bobs).verify(body, headers)


def test_what_waits_is_given_up_with_a_reason_when_a_webhook_is_turned_off(ann: Any, hook: Any, receiver: Any) -> None:
    receiver.answers = [500]
    finished(ann)
    assert carry_all() == [False, False]
    waiting, under_way = look(ann)
    with scope(ann.workspace.id):
        WebhookDelivery.objects.update(due_at=timezone.now())
    tried = services.begin_try(ann.workspace.id, under_way.pk)
    assert tried is not None
    services.change_webhook(ann.user, ann.workspace, hook[0].pk, active=False)
    assert {(one.state, one.failure) for one in look(ann)} == {("failed", "The webhook was turned off.")}
    assert selectors.due(100) == []
    # The receiver has taken what was under way, and that is what is said of it.
    services.end_try(tried, Answer(200, "", "", 0.1))
    assert {one.pk: one.state for one in look(ann)} == {waiting.pk: "failed", under_way.pk: "delivered"}


def test_nothing_is_repeated_to_an_address_that_is_turned_off(ann: Any, hook: Any, receiver: Any) -> None:
    finished(ann)
    carry_all()
    services.change_webhook(ann.user, ann.workspace, hook[0].pk, active=False)
    sent = look(ann)[0]
    with pytest.raises(WebhookIsOff, match="turned it off"):
        services.replay(ann.user, ann.workspace, hook[0].pk, sent.pk)
    answer = ann.post(f"/webhooks/{hook[0].pk}/deliveries/{sent.pk}/replay/", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_is_off")
    assert len(look(ann)) == 2


def test_the_audit_log_holds_no_address_whole(ann: Any, hook: Any) -> None:
    url = "https://hooks.example.org:8443/services/T0/t0ken-1?key=t0ken-2"
    made, _ = services.create_webhook(ann.user, ann.workspace, url, EVENTS)
    services.change_webhook(ann.user, ann.workspace, made.pk, url=url + "3")
    services.delete_webhook(ann.user, ann.workspace, made.pk)
    with scope(ann.workspace.id):
        notes = list(AuditEvent.objects.filter(object_id=str(made.pk)).order_by("at").values_list("data", flat=True))
    assert len(notes) == 3
    assert {note["url"]["host"] for note in notes} == {"https://hooks.example.org:8443"}
    assert notes[0]["url"] != notes[1]["url"] == notes[2]["url"]
    assert "t0ken" not in str(notes)


def test_a_repetition_bears_the_old_number(ann: Any, hook: Any, receiver: Any) -> None:
    first = services.ping(ann.user, ann.workspace, hook[0].pk)
    carry_all()
    services.replay(ann.user, ann.workspace, hook[0].pk, first.pk)
    carry_all()
    (one, two) = receiver.got
    assert one[0]["webhook-id"] == two[0]["webhook-id"]
    assert json.loads(one[1]) == json.loads(two[1])


def test_old_messages_are_forgotten_and_waiting_ones_never(ann: Any, hook: Any) -> None:
    services.ping(ann.user, ann.workspace, hook[0].pk)
    carry_all()
    services.ping(ann.user, ann.workspace, hook[0].pk)
    with scope(ann.workspace.id):
        WebhookDelivery.objects.update(created_at=timezone.now() - timedelta(days=31))
    assert len(selectors.outdated(30.0)) == 1
    for workspace_id, delivery_id in selectors.outdated(30.0):
        with scope(workspace_id):
            services.forget_delivery(delivery_id)
    assert [one.state for one in look(ann)] == ["pending"]


def test_one_address_does_not_hold_up_the_others(ann: Any, bob: Any, hook: Any, receiver: Any) -> None:
    for _ in range(20):
        services.ping(ann.user, ann.workspace, hook[0].pk)
    mine, _ = services.create_webhook(bob.user, bob.workspace, receiver.url, EVENTS)
    late = services.ping(bob.user, bob.workspace, mine.pk)
    assert late.pk in [one.delivery_id for one in selectors.due(2)]
