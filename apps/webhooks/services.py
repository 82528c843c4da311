"""Writes on webhooks.

Those for people check permission and leave an audit event. `announce` is called in the transaction in which something
happens, so that a message leaves if and only if it did. `begin_try` and `end_try` are the courier's.
"""

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from apps.ops.preconditions import ANY, Precondition
from apps.ops.refusal import Fault, Invalid
from apps.webhooks import secret
from apps.webhooks.address import Forbidden, check_url
from apps.webhooks.models import EVENTS, PING, Webhook, WebhookDelivery, WebhookTry
from apps.webhooks.post import Answer
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import current_workspace_id, scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

OLD_SECRET_SIGNS = timedelta(hours=24)
GONE = 410
JITTER = 0.1
"""Retries are spread by so much of their delay, so that a receiver that comes back is not run over."""


# --- For people ---------------------------------------------------------------------------------------------------


def create_webhook(
    actor: "User", workspace: Workspace, url: str, events: Sequence[str], description: str = ""
) -> tuple[Webhook, str]:
    """Have an address told; the webhook and its secret, which is shown this once.

    Raises:
        Invalid: the address may not be told, an event does not exist, or there are too many webhooks.
        PermissionDenied: the actor does not manage the workspace's webhooks.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        # One at a time, so that two at once are counted one after the other.
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.id)
        most = settings.ATTRACTOR.webhooks.per_workspace
        faults = _faults(url, events)
        if Webhook.objects.count() >= most:
            faults.append(Fault("webhooks", f"There are {most} already, as many as may be.", "Delete one."))
        if faults:
            raise Invalid(faults)
        drawn = secret.draw()
        made = Webhook.objects.create(
            workspace_id=workspace.id, url=url, events=_in_order(events), description=description,
            secret=secret.sealed(drawn), created_by=actor,
        )  # fmt: skip
        audit(actor, "webhook.create", made, url=url, events=made.events)
    return made, drawn


def change_webhook(
    actor: "User", workspace: Workspace, webhook_id: UUID | str, precondition: Precondition = ANY, **changes: Any
) -> Webhook:
    """Change url, events, description or active. What waits to be sent goes to the new address.

    Raises:
        Invalid, PermissionDenied: as `create_webhook`.
        NotFound: there is no such webhook.
        PreconditionRequired, PreconditionFailed: it is not as the actor knows it.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        held = _locked(webhook_id)
        precondition.check(held.revision)
        faults = _faults(changes.get("url", held.url), changes.get("events", held.events))
        if faults:
            raise Invalid(faults)
        if "events" in changes:
            changes["events"] = _in_order(changes["events"])
        if changes.get("active"):
            changes["inactive_why"] = ""
        for name, value in changes.items():
            setattr(held, name, value)
        held.revision += 1
        held.save(update_fields=["revision", *sorted(changes)])
        audit(actor, "webhook.change", held, **changes)
    return held


def delete_webhook(
    actor: "User", workspace: Workspace, webhook_id: UUID | str, precondition: Precondition = ANY
) -> None:
    """Forget an address with all messages to it. Raises as `change_webhook`."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        held = _locked(webhook_id)
        precondition.check(held.revision)
        audit(actor, "webhook.delete", held, url=held.url)
        held.delete()


def rotate_secret(actor: "User", workspace: Workspace, webhook_id: UUID | str) -> str:
    """Draw a new secret, which is shown this once; for a day the old one signs too. Raises as `delete_webhook`."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        held = _locked(webhook_id)
        drawn = secret.draw()
        held.old_secret, held.secret = held.secret, secret.sealed(drawn)
        held.old_until = timezone.now() + OLD_SECRET_SIGNS
        held.revision += 1
        held.save(update_fields=["secret", "old_secret", "old_until", "revision"])
        audit(actor, "webhook.rotate", held)
    return drawn


def ping(actor: "User", workspace: Workspace, webhook_id: UUID | str) -> WebhookDelivery:
    """Send a message that tells nothing, to try the address out. Raises as `delete_webhook`."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        held = _locked(webhook_id)
        (made,) = _deliver([held], PING, {"webhook": str(held.pk)})
        audit(actor, "webhook.ping", held, message=str(made.message))
    return made


def replay(actor: "User", workspace: Workspace, webhook_id: UUID | str, delivery_id: UUID | str) -> WebhookDelivery:
    """Send a message once more, with its old number: a receiver that has it knows it again.

    Raises:
        NotFound: there is no such message.
        PermissionDenied: the actor does not manage the workspace's webhooks.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        old = WebhookDelivery.objects.filter(webhook_id=webhook_id, pk=delivery_id).first()
        if old is None:
            raise NotFound(f"delivery {delivery_id}")
        made = WebhookDelivery.objects.create(
            workspace_id=workspace.id, webhook_id=old.webhook_id, message=old.message, event=old.event,
            payload=old.payload, due_at=timezone.now(),
        )  # fmt: skip
        audit(actor, "webhook.replay", made, of=str(old.pk))
    return made


def _faults(url: str, events: Sequence[str]) -> list[Fault]:
    faults = []
    try:
        check_url(url)
    except Forbidden as forbidden:
        faults.append(Fault("url", str(forbidden), "Give an https address that everybody can reach."))
    unknown = sorted(set(events) - set(EVENTS))
    if unknown or not events:
        what = f"There is no event {', '.join(unknown)}." if unknown else "No event is named."
        faults.append(Fault("events", what, f"Choose from {', '.join(EVENTS)}."))
    return faults


def _in_order(events: Sequence[str]) -> list[str]:
    return [event for event in EVENTS if event in set(events)]


def _locked(webhook_id: UUID | str) -> Webhook:
    held = Webhook.objects.select_for_update(no_key=True).filter(pk=webhook_id).first()
    if held is None:
        raise NotFound(f"webhook {webhook_id}")
    return held


# --- For whatever happens -----------------------------------------------------------------------------------------


def announce(event: str, data: Mapping[str, Any]) -> list[WebhookDelivery]:
    """Have all addresses of the workspace in force that want to know told; in the transaction of what happened."""
    wanting = Webhook.objects.filter(active=True, events__contains=[event])
    return _deliver(list(wanting), event, data)


def _deliver(to: Sequence[Webhook], event: str, data: Mapping[str, Any]) -> list[WebhookDelivery]:
    now = timezone.now()
    payload = {"type": event, "timestamp": now.isoformat(), "data": dict(data)}
    message = uuid.uuid4()
    return WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            workspace_id=current_workspace_id(), webhook=one, message=message, event=event, payload=payload, due_at=now
        )
        for one in to
    )


# --- For the courier ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Try:
    """One try to deliver a message, which holds it until `webhooks.timeout` twice over has passed."""

    workspace_id: UUID
    delivery_id: UUID
    number: int
    url: str
    message: str
    payload: Mapping[str, Any]
    secrets: tuple[str, ...]


def begin_try(workspace_id: UUID, delivery_id: UUID) -> Try | None:
    """Take a message whose time has come; None when somebody else has it, or nobody wants it any more."""
    now = timezone.now()
    with scope(workspace_id):
        held = (
            WebhookDelivery.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("webhook")
            .filter(pk=delivery_id, state=WebhookDelivery.State.PENDING, due_at__lte=now)
            .first()
        )
        if held is None:
            return None
        hook = held.webhook
        if not hook.active and held.event != PING:
            _finish(held, WebhookDelivery.State.FAILED)
            return None
        held.tries += 1
        # Should this courier die, another takes over then: the message may come twice, and has one number.
        held.due_at = now + timedelta(seconds=2 * settings.ATTRACTOR.webhooks.timeout)
        held.save(update_fields=["tries", "due_at"])
        signing = [hook.secret, *([hook.old_secret] if hook.old_until and hook.old_until > now else [])]
        return Try(
            workspace_id, delivery_id, held.tries, hook.url, str(held.message), held.payload,
            tuple(secret.opened(kept) for kept in signing),
        )  # fmt: skip


def end_try(attempt: Try, answer: Answer) -> None:
    """Note how a try went: the message is delivered, tried again later, or given up.

    An address that says that it is gone (410), or that took nothing from a message's first try to its last, is told
    nothing any more until a person turns it on again.
    """
    with scope(attempt.workspace_id):
        held = WebhookDelivery.objects.select_for_update().filter(pk=attempt.delivery_id).first()
        if held is None:  # deleted while the message was under way
            return
        WebhookTry.objects.create(
            workspace_id=attempt.workspace_id, delivery=held, number=attempt.number, seconds=answer.seconds,
            status=answer.status, error=answer.error, answer=answer.body[:1000],
        )  # fmt: skip
        if held.state != WebhookDelivery.State.PENDING or held.tries != attempt.number:
            return  # another courier took over, and its try decides
        retries = settings.ATTRACTOR.webhooks.retries
        if answer.taken:
            _finish(held, WebhookDelivery.State.DELIVERED)
        elif answer.status == GONE:
            _finish(held, WebhookDelivery.State.FAILED)
            _turn_off(held, "The receiver answered 410 (gone).")
        elif held.tries <= len(retries):
            delay = retries[held.tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)
            held.due_at = timezone.now() + timedelta(seconds=delay)
            held.save(update_fields=["due_at"])
        else:
            _finish(held, WebhookDelivery.State.FAILED)
            delivered = Q(state=WebhookDelivery.State.DELIVERED, finished_at__gte=held.created_at)
            if not WebhookDelivery.objects.filter(delivered, webhook_id=held.webhook_id).exists():
                _turn_off(held, f"The receiver took nothing in {held.tries} tries.")


def _finish(held: WebhookDelivery, state: WebhookDelivery.State) -> None:
    held.state, held.due_at, held.finished_at = state, None, timezone.now()
    held.save(update_fields=["state", "due_at", "finished_at"])


def _turn_off(held: WebhookDelivery, why: str) -> None:
    hook = _locked(held.webhook_id)
    hook.active, hook.inactive_why = False, why
    hook.revision += 1
    hook.save(update_fields=["active", "inactive_why", "revision"])
    audit(None, "webhook.turn_off", hook, why=why)


def forget_delivery(delivery_id: UUID) -> None:
    """Delete a message of the workspace in force that is over, with its log."""
    with scope(current_workspace_id()):
        WebhookDelivery.objects.filter(pk=delivery_id).exclude(state=WebhookDelivery.State.PENDING).delete()
