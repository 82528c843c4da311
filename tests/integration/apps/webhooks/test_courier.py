"""The courier's rounds: one message or one receiver never holds up the others."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.webhooks import courier, services
from apps.webhooks.courier import HANDS_PER_WEBHOOK, HANDS_PER_WORKSPACE, Courier
from apps.webhooks.models import EVENTS, WebhookDelivery
from apps.webhooks.post import Answer, post
from apps.workspaces.scope import scope

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("near")]


@contextlib.contextmanager
def working() -> Iterator[threading.Thread]:
    """A courier on a thread of its own."""
    stopping = threading.Event()
    thread = threading.Thread(target=Courier(stopping).work)
    thread.start()
    try:
        yield thread
    finally:
        stopping.set()
        thread.join()


def state(tenant: Any, delivery: WebhookDelivery) -> tuple[str, str]:
    with scope(tenant.workspace.id):
        found = WebhookDelivery.objects.get(pk=delivery.pk)
        return found.state, found.failure


@pytest.fixture
def quick(webhooks: Callable[..., None]) -> None:
    webhooks(poll=0.05, timeout=60.0)


@pytest.mark.usefixtures("quick")
def test_a_message_that_nobody_can_carry_is_given_up_and_the_next_is_carried(
    ann: Any, receiver: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisonous, _ = services.create_webhook(ann.user, ann.workspace, receiver.url + "?poison", EVENTS)
    good, _ = services.create_webhook(ann.user, ann.workspace, receiver.url, EVENTS)

    def bitten(url: str, *args: Any) -> Answer:
        if "poison" in url:
            raise LookupError("nobody has thought of this")
        return post(url, *args)

    monkeypatch.setattr(courier, "post", bitten)
    bad = services.ping(ann.user, ann.workspace, poisonous.pk)
    with working() as thread:
        eventually(lambda: state(ann, bad)[0] == "failed", "the message to be given up")
        late = services.ping(ann.user, ann.workspace, good.pk)
        eventually(lambda: state(ann, late)[0] == "delivered", "the next message")
        assert thread.is_alive()
    assert state(ann, bad)[1].startswith("A fault of the server (LookupError) keeps it from being sent")


def test_a_message_whose_end_cannot_be_written_is_not_tried_for_ever(
    ann: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it kills the courier: nothing is heard of its tries, and they are counted all the same."""
    hook, _ = services.create_webhook(ann.user, ann.workspace, receiver.url, EVENTS)
    sent = services.ping(ann.user, ann.workspace, hook.pk)
    for _ in range(3):
        with scope(ann.workspace.id):
            WebhookDelivery.objects.update(due_at=sent.due_at)
        assert services.begin_try(ann.workspace.id, sent.pk) is not None
    with scope(ann.workspace.id):
        WebhookDelivery.objects.update(due_at=sent.due_at)
    assert services.begin_try(ann.workspace.id, sent.pk) is None
    assert state(ann, sent) == ("failed", "Of the last of its tries nothing is known.")


@pytest.mark.usefixtures("quick")
def test_receivers_that_never_answer_hold_up_nobody_else(ann: Any, bob: Any, receiver: Any, eventually: Any) -> None:
    release = threading.Event()
    now: list[str] = []
    most: dict[str, int] = {"/one": 0, "all": 0}
    counting = threading.Lock()

    def answer(handler: Any) -> None:
        if handler.path == "/good":
            handler.send_response(204)
            handler.end_headers()
            return
        with counting:
            now.append(handler.path)
            most["all"] = max(most["all"], len(now))
            most["/one"] = max(most["/one"], now.count("/one"))
        release.wait(120)
        with counting:
            now.remove(handler.path)
        handler.send_response(204)
        handler.end_headers()

    receiver.answers = [answer]
    root = receiver.url.removesuffix("/hook")
    for path in ("/one", "/two", "/three"):
        hook, _ = services.create_webhook(ann.user, ann.workspace, root + path, EVENTS)
        for _ in range(10):
            services.ping(ann.user, ann.workspace, hook.pk)
    good, _ = services.create_webhook(bob.user, bob.workspace, root + "/good", EVENTS)
    with working():
        try:
            eventually(lambda: len(now) >= HANDS_PER_WORKSPACE, "as many hands to be held as may be")
            sent = [services.ping(bob.user, bob.workspace, good.pk) for _ in range(20)]
            for one in sent:
                eventually(lambda one=one: state(bob, one)[0] == "delivered", "the good receiver to be told")
            assert len(now) == HANDS_PER_WORKSPACE
        finally:
            release.set()
    assert most["all"] == HANDS_PER_WORKSPACE
    assert 1 <= most["/one"] <= HANDS_PER_WEBHOOK


def test_what_is_under_way_counts_and_is_not_given_again(ann: Any, bob: Any) -> None:
    from apps.webhooks.selectors import due

    hooks = [services.create_webhook(ann.user, ann.workspace, "https://example.org/", EVENTS)[0] for _ in range(3)]
    others, _ = services.create_webhook(bob.user, bob.workspace, "https://example.org/", EVENTS)
    for hook in hooks:
        for _ in range(3):
            services.ping(ann.user, ann.workspace, hook.pk)
    services.ping(bob.user, bob.workspace, others.pk)
    first = due(100, (), 2, 4)
    assert [one.workspace_id for one in first].count(ann.workspace.id) == 4
    assert [one.workspace_id for one in first].count(bob.workspace.id) == 1
    assert max([one.webhook_id for one in first].count(hook.pk) for hook in hooks) <= 2
    assert due(100, first, 2, 4) == []
    (next_one,) = due(100, first[1:], 2, 4)
    assert next_one.workspace_id == first[0].workspace_id
    assert len(due(100)) == 10
