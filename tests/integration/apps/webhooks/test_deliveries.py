"""From what happens to a run to a receiver that can trust it, through all that goes wrong between."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from apps.runs import services as runs
from apps.runs.refusals import Fenced
from apps.webhooks import selectors, services
from apps.webhooks.courier import carry
from apps.webhooks.models import EVENTS, Webhook, WebhookDelivery, WebhookTry
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
    return [carry(*one) for one in selectors.due(100)]


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
    from apps.webhooks.post import Answer

    services.end_try(dead, Answer(None, "It died.", "", 1.0))
    (row,) = look(ann)
    assert (row.state, row.tries) == ("delivered", 2)


def test_for_a_day_both_secrets_sign(ann: Any, hook: Any, receiver: Any) -> None:
    row, old = hook
    new = services.rotate_secret(ann.user, ann.workspace, row.pk)
    services.ping(ann.user, ann.workspace, row.pk)
    carry_all()
    with scope(ann.workspace.id):
        Webhook.objects.update(old_until=timezone.now())
    services.ping(ann.user, ann.workspace, row.pk)
    carry_all()
    (both, one) = receiver.got
    for secret in (old, new):
        Verifier(secret).verify(both[1], both[0])
    Verifier(new).verify(one[1], one[0])
    assert " " not in one[0]["webhook-signature"]
    with scope(ann.workspace.id):
        kept = Webhook.objects.get()
    assert new not in (kept.secret, kept.old_secret)
    assert old not in (kept.secret, kept.old_secret)


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
    assert (bob.workspace.id, late.pk) in selectors.due(2)
