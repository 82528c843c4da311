"""Writes on webhooks.

Those for people check permission and leave an audit event. `announce` is called in the transaction in which something
happens, so that a message leaves if and only if it did. `begin_try` and `end_try` are the courier's.
"""

import hashlib
import json
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
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
from apps.webhooks.refusals import WebhookIsOff
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import current_workspace_id, scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

OLD_SECRET_SIGNS = timedelta(hours=24)
SECRETS = 5
"""So many secrets sign at most: each adds a signature to a header, whose length receivers limit."""
GONE = 410
JITTER = 0.1
"""Retries are spread by so much of their delay, so that a receiver that comes back is not run over."""
TURNED_OFF = "The webhook was turned off."
UNOPENED = (
    "Its secret cannot be opened: the site's key has changed. Draw a new secret, or have the operator run "
    "reseal_webhooks with security.old_secret_key."
)


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
        audit(actor, "webhook.create", made, url=_told_of(url), events=made.events)
    return made, drawn


def change_webhook(
    actor: "User", workspace: Workspace, webhook_id: UUID | str, precondition: Precondition = ANY, **changes: Any
) -> Webhook:
    """Change url, events, description or active. What waits to be sent goes to the new address, or is given up when
    the webhook is turned off.

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
        if "active" in changes:
            changes["inactive_why"] = ""
        for name, value in changes.items():
            setattr(held, name, value)
        held.revision += 1
        held.save(update_fields=["revision", *sorted(changes)])
        if not held.active:
            _drop_waiting(held, TURNED_OFF)
        if "url" in changes:
            changes["url"] = _told_of(changes["url"])
        audit(actor, "webhook.change", held, **changes)
    return held


def delete_webhook(
    actor: "User", workspace: Workspace, webhook_id: UUID | str, precondition: Precondition = ANY
) -> None:
    """Forget an address with all messages to it. Raises as `change_webhook`."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        held = _locked(webhook_id, no_key=False)
        precondition.check(held.revision)
        # A courier that carries one of them writes how that went before this, or finds nothing to write it to.
        list(WebhookDelivery.objects.select_for_update().filter(webhook=held).order_by("id").values_list("pk"))
        audit(actor, "webhook.delete", held, gone=True, url=_told_of(held.url))
        held.delete()


def rotate_secret(actor: "User", workspace: Workspace, webhook_id: UUID | str) -> str:
    """Draw a new secret, which is shown this once; for a day those before sign too. Raises as `delete_webhook`.

    Of more than `SECRETS` the oldest is forgotten. One that cannot be opened any more can sign nothing, and is too.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        held = _locked(webhook_id)
        drawn = secret.draw()
        now = timezone.now()
        before = {"secret": held.secret, "until": (now + OLD_SECRET_SIGNS).isoformat()}
        signing = [one for one in (before, *_still_signing(held, now)) if _opens(one["secret"])]
        held.old_secrets, held.secret = signing[: SECRETS - 1], secret.sealed(drawn)
        held.revision += 1
        held.save(update_fields=["secret", "old_secrets", "revision"])
        audit(actor, "webhook.rotate", held, signing=1 + len(held.old_secrets))
    return drawn


def _still_signing(hook: Webhook, now: datetime) -> list[dict[str, str]]:
    return [one for one in hook.old_secrets if datetime.fromisoformat(one["until"]) > now]


def _opens(kept: str) -> bool:
    try:
        secret.opened(kept)
    except secret.Unopened:
        return False
    return True


def ping(actor: "User", workspace: Workspace, webhook_id: UUID | str) -> WebhookDelivery:
    """Send a message that tells nothing, to try the address out. Raises as `delete_webhook`."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        held = _locked(webhook_id)
        (made,) = _deliver([held], PING, {"webhook": str(held.pk)})
        audit(actor, "webhook.ping", made, webhook=str(held.pk), message=str(made.message))
    return made


def replay(actor: "User", workspace: Workspace, webhook_id: UUID | str, delivery_id: UUID | str) -> WebhookDelivery:
    """Send a message once more, with its old number: a receiver that has it knows it again.

    Raises:
        NotFound: there is no such message.
        WebhookIsOff: nothing is sent to the address.
        PermissionDenied: the actor does not manage the workspace's webhooks.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.MANAGE_WEBHOOKS)
        hook = _locked(webhook_id)
        old = WebhookDelivery.objects.filter(webhook=hook, pk=delivery_id).first()
        if old is None:
            raise NotFound(f"delivery {delivery_id}")
        if not hook.active and old.event != PING:
            mend = "Turn it on, and send the message again then."
            raise WebhookIsOff([Fault("webhook", hook.inactive_why or "A person has turned it off.", mend)])
        made = WebhookDelivery.objects.create(
            workspace_id=workspace.id, webhook_id=old.webhook_id, message=old.message, event=old.event,
            payload=old.payload, due_at=timezone.now(),
        )  # fmt: skip
        audit(actor, "webhook.replay", made, of=str(old.pk))
    return made


def _told_of(url: str) -> dict[str, str]:
    """An address for the audit log, where its path and query do not belong: they may hold passwords."""
    parts = urlsplit(url)
    return {"host": f"{parts.scheme}://{parts.netloc}", "sha256": hashlib.sha256(url.encode()).hexdigest()[:12]}


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


def _locked(webhook_id: UUID | str, *, no_key: bool = True) -> Webhook:
    """A webhook, held until the transaction ends; always before its messages. With its key nobody gives it messages."""
    held = Webhook.objects.select_for_update(no_key=no_key).filter(pk=webhook_id).first()
    if held is None:
        raise NotFound(f"webhook {webhook_id}")
    return held


# --- For whatever happens -----------------------------------------------------------------------------------------


def announce(event: str, data: Mapping[str, Any]) -> list[WebhookDelivery]:
    """Have all addresses of the workspace in force that want to know told; in the transaction of what happened."""
    # One that is being deleted is waited for, and is not there then; one that is told cannot be deleted meanwhile. In
    # one order for everybody. Django has no name for this lock, the one that a foreign key takes.
    wanting = Webhook.objects.raw(
        "SELECT * FROM webhooks_webhook WHERE workspace_id = %s AND active AND events @> %s::jsonb "
        "ORDER BY id FOR KEY SHARE",
        [current_workspace_id(), json.dumps([event])],
    )
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
    """Take a message whose time has come; None when somebody else has it, or it is not to be sent any more."""
    with scope(workspace_id):
        found = _with_webhook(delivery_id)
        now = timezone.now()
        if found is None:
            return None
        hook, held = found
        if held.state != WebhookDelivery.State.PENDING or held.due_at is None or held.due_at > now:
            return None
        if not hook.active and held.event != PING:
            _finish(held, WebhookDelivery.State.FAILED, hook.inactive_why or TURNED_OFF)
            return None
        if held.tries > len(settings.ATTRACTOR.webhooks.retries):
            # The courier that made the last try did not live to write how it went: the message may be what killed it.
            _finish(held, WebhookDelivery.State.FAILED, "Of the last of its tries nothing is known.")
            return None
        kept = [hook.secret, *(one["secret"] for one in _still_signing(hook, now))]
        try:
            opened = tuple(secret.opened(one) for one in kept)
        except secret.Unopened:
            _finish(held, WebhookDelivery.State.FAILED, UNOPENED)
            _turn_off(hook, UNOPENED)
            return None
        held.tries += 1
        # Should this courier die, another takes over then: the message may come twice, and has one number.
        held.due_at = now + timedelta(seconds=2 * settings.ATTRACTOR.webhooks.timeout)
        held.save(update_fields=["tries", "due_at"])
        return Try(workspace_id, delivery_id, held.tries, hook.url, str(held.message), held.payload, opened)


def end_try(attempt: Try, answer: Answer) -> None:
    """Note how a try went: the message is delivered, tried again later, or given up.

    An address that says that it is gone (410), or that took nothing from a message's first try to its last, is told
    nothing any more until a person turns it on again.
    """
    with scope(attempt.workspace_id):
        found = _with_webhook(attempt.delivery_id)
        if found is None:  # deleted while the message was under way
            return
        hook, held = found
        WebhookTry.objects.create(
            workspace_id=attempt.workspace_id, delivery=held, number=attempt.number, seconds=answer.seconds,
            status=answer.status, error=answer.error, answer=answer.body[:1000],
        )  # fmt: skip
        if held.tries != attempt.number:
            return  # another courier took over, and its try decides
        retries = settings.ATTRACTOR.webhooks.retries
        if answer.taken:
            # Also one that was given up meanwhile, because a person turned the webhook off.
            _finish(held, WebhookDelivery.State.DELIVERED)
        elif held.state != WebhookDelivery.State.PENDING:
            return
        elif answer.status == GONE:
            _finish(held, WebhookDelivery.State.FAILED)
            _turn_off(hook, "The receiver answered 410 (gone).")
        elif held.tries <= len(retries):
            delay = retries[held.tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # a delay is no secret  # nosec B311
            held.due_at = timezone.now() + timedelta(seconds=delay)
            held.save(update_fields=["due_at"])
        else:
            _finish(held, WebhookDelivery.State.FAILED)
            delivered = Q(state=WebhookDelivery.State.DELIVERED, finished_at__gte=held.created_at)
            if not WebhookDelivery.objects.filter(delivered, webhook_id=held.webhook_id).exists():
                _turn_off(hook, f"The receiver took nothing in {held.tries} tries.")


def give_up(workspace_id: UUID, delivery_id: UUID, why: str) -> None:
    """Try a message no more; does nothing where it is over or gone."""
    with scope(workspace_id):
        found = _with_webhook(delivery_id)
        if found is not None and found[1].state == WebhookDelivery.State.PENDING:
            _finish(found[1], WebhookDelivery.State.FAILED, why)


def _with_webhook(delivery_id: UUID) -> tuple[Webhook, WebhookDelivery] | None:
    """A message and its webhook, both held, the webhook first as everywhere; None when they are gone."""
    webhook_id = WebhookDelivery.objects.filter(pk=delivery_id).values_list("webhook_id", flat=True).first()
    if webhook_id is None:
        return None
    hook = Webhook.objects.select_for_update(no_key=True).filter(pk=webhook_id).first()
    held = WebhookDelivery.objects.select_for_update().filter(pk=delivery_id).first()
    return None if hook is None or held is None else (hook, held)


def _finish(held: WebhookDelivery, state: WebhookDelivery.State, why: str = "") -> None:
    held.state, held.due_at, held.finished_at, held.failure = state, None, timezone.now(), why
    held.save(update_fields=["state", "due_at", "finished_at", "failure"])


def _turn_off(hook: Webhook, why: str) -> None:
    """Tell a locked webhook nothing any more. What waits for it is given up."""
    hook.active, hook.inactive_why = False, why
    hook.revision += 1
    hook.save(update_fields=["active", "inactive_why", "revision"])
    _drop_waiting(hook, why)
    audit(None, "webhook.turn_off", hook, why=why)


def _drop_waiting(hook: Webhook, why: str) -> None:
    WebhookDelivery.objects.filter(webhook=hook, state=WebhookDelivery.State.PENDING).exclude(event=PING).update(
        state=WebhookDelivery.State.FAILED, due_at=None, finished_at=timezone.now(), failure=why
    )


def forget_delivery(delivery_id: UUID) -> None:
    """Delete a message of the workspace in force that is over, with its log."""
    with scope(current_workspace_id()):
        WebhookDelivery.objects.filter(pk=delivery_id).exclude(state=WebhookDelivery.State.PENDING).delete()


# --- For the operator ---------------------------------------------------------------------------------------------


def reseal(webhook_id: UUID | str) -> None:
    """Seal the secrets of a webhook of the workspace in force under the site's present key.

    Raises:
        NotFound: there is no such webhook.
        Unopened: the site does not know the key of one of them; nothing was changed.
    """
    with scope(current_workspace_id()):
        held = _locked(webhook_id)
        held.secret = secret.resealed(held.secret)
        signing = _still_signing(held, timezone.now())
        held.old_secrets = [{**one, "secret": secret.resealed(one["secret"])} for one in signing]
        held.save(update_fields=["secret", "old_secrets"])
