"""Webhooks that are deleted while something happens, in transactions that really wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from apps.runs import services as runs
from apps.webhooks import services
from apps.webhooks.models import EVENTS, Webhook, WebhookDelivery, WebhookTry
from apps.webhooks.post import Answer
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db(transaction=True)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return int(cursor.fetchone()[0])


@pytest.fixture
def one_after_the_other(ann: Any, eventually: Any) -> Callable[..., tuple[Any, Any]]:
    """Do something and do not commit it until something else, on another connection, waits for it; both outcomes."""

    def race(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
        done, commit = threading.Event(), threading.Event()

        def held() -> Any:
            try:
                with scope(ann.workspace.id, ann.user.pk):
                    outcome = first()
                    done.set()
                    assert commit.wait(60)
                return outcome
            finally:
                done.set()
                connection.close()

        def late() -> Any:
            try:
                with scope(ann.workspace.id, ann.user.pk):
                    return second()
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(held)
            try:
                assert done.wait(60)
                two = pool.submit(late)
                eventually(lambda: waiting() or two.done(), "the second to wait for the first")
                assert not two.done(), two.exception()
            finally:
                commit.set()
            return one.result(), two.exception() or two.result()

    return race


@pytest.fixture
def hook(ann: Any) -> Webhook:
    return services.create_webhook(ann.user, ann.workspace, "https://example.org/", EVENTS)[0]


def left(ann: Any) -> tuple[int, int, int]:
    with scope(ann.workspace.id):
        return Webhook.objects.count(), WebhookDelivery.objects.count(), WebhookTry.objects.count()


def test_a_run_ends_while_the_webhook_that_wants_to_know_is_deleted(
    ann: Any, hook: Webhook, one_after_the_other: Any
) -> None:
    other, _ = services.create_webhook(ann.user, ann.workspace, "https://example.org/other", ["run.succeeded"])
    run = ann.submit()
    with scope(ann.workspace.id):
        attempt = runs.claim(run.pk, "w")
    _, ended = one_after_the_other(
        lambda: services.delete_webhook(ann.user, ann.workspace, hook.pk),
        lambda: runs.finish(attempt, "succeeded", result={}, result_hash="h"),
    )
    assert getattr(ended, "state", ended) == "succeeded"
    assert ann.look(run).state == "succeeded"
    with scope(ann.workspace.id):
        assert [one.webhook_id for one in WebhookDelivery.objects.all()] == [other.pk]


def test_a_webhook_is_deleted_while_a_run_tells_it_something(ann: Any, hook: Webhook, one_after_the_other: Any) -> None:
    run = ann.submit()
    one_after_the_other(
        lambda: runs.claim(run.pk, "w"), lambda: services.delete_webhook(ann.user, ann.workspace, hook.pk)
    )
    assert ann.look(run).state == "running"
    assert left(ann) == (0, 0, 0)


def test_a_webhook_is_deleted_while_a_courier_writes_how_a_try_went(
    ann: Any, hook: Webhook, one_after_the_other: Any
) -> None:
    sent = services.ping(ann.user, ann.workspace, hook.pk)
    tried = services.begin_try(ann.workspace.id, sent.pk)
    assert tried is not None
    _, deleted = one_after_the_other(
        lambda: services.end_try(tried, Answer(410, "", "", 0.1)),
        lambda: services.delete_webhook(ann.user, ann.workspace, hook.pk),
    )
    assert deleted is None
    assert left(ann) == (0, 0, 0)


def test_a_courier_writes_nothing_to_a_webhook_that_was_deleted(
    ann: Any, hook: Webhook, one_after_the_other: Any
) -> None:
    sent = services.ping(ann.user, ann.workspace, hook.pk)
    tried = services.begin_try(ann.workspace.id, sent.pk)
    assert tried is not None
    _, written = one_after_the_other(
        lambda: services.delete_webhook(ann.user, ann.workspace, hook.pk),
        lambda: services.end_try(tried, Answer(200, "", "", 0.1)),
    )
    assert written is None
    assert left(ann) == (0, 0, 0)


def test_a_message_is_not_repeated_to_a_webhook_that_was_deleted(
    ann: Any, hook: Webhook, one_after_the_other: Any
) -> None:
    sent = services.ping(ann.user, ann.workspace, hook.pk)
    _, repeated = one_after_the_other(
        lambda: services.delete_webhook(ann.user, ann.workspace, hook.pk),
        lambda: services.replay(ann.user, ann.workspace, hook.pk, sent.pk),
    )
    assert isinstance(repeated, NotFound)
    assert left(ann) == (0, 0, 0)
