"""Reads on webhooks. Call them inside the workspace's scope, except those that serve the courier."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from apps.webhooks.models import Webhook, WebhookDelivery
from apps.workspaces.missing import NotFound
from apps.workspaces.models import AuditEvent


def webhooks() -> QuerySet[Webhook]:
    """The workspace's webhooks, newest first."""
    return Webhook.objects.order_by("-created_at", "-id")


def webhook(webhook_id: UUID | str) -> Webhook:
    """One webhook. Raises `NotFound`."""
    found = Webhook.objects.filter(pk=webhook_id).first()
    if found is None:
        raise NotFound(f"webhook {webhook_id}")
    return found


def last_change(of: Webhook) -> AuditEvent | None:
    """Who changed a webhook last, and when; None when that is not kept."""
    events = AuditEvent.objects.filter(object_type=of._meta.label_lower, object_id=str(of.pk))
    changes = events.filter(action__in=["webhook.change", "webhook.rotate"])
    return changes.select_related("actor").order_by("-at", "-id").first()


def deliveries(of: Webhook) -> QuerySet[WebhookDelivery]:
    """The messages to an address, newest first."""
    return WebhookDelivery.objects.filter(webhook=of).order_by("-created_at", "-id")


def delivery(of: Webhook, delivery_id: UUID | str) -> WebhookDelivery:
    """One message to an address, with its log. Raises `NotFound`."""
    found = deliveries(of).prefetch_related("log").filter(pk=delivery_id).first()
    if found is None:
        raise NotFound(f"delivery {delivery_id}")
    return found


class Due(NamedTuple):
    """A message whose time has come."""

    workspace_id: UUID
    webhook_id: UUID
    delivery_id: UUID


def due(
    at_most: int, busy: Collection[Due] = (), per_webhook: int | None = None, per_workspace: int | None = None
) -> list[Due]:
    """Messages whose time has come, in any workspace; ids only. Workspaces take turns, and in each its addresses.

    Args:
        busy: those under way, which are counted and not given again.
        per_webhook, per_workspace: no address and no workspace has more than so many under way together with these.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT workspace_id, webhook_id, delivery_id "
            "FROM webhooks_due(%s, %s, %s, %s::uuid[], %s::uuid[], %s::uuid[])",
            [
                at_most, per_webhook, per_workspace, [one.workspace_id for one in busy],
                [one.webhook_id for one in busy], [one.delivery_id for one in busy],
            ],
        )  # fmt: skip
        return [Due(*row) for row in cursor.fetchall()]


def everywhere() -> list[tuple[UUID, UUID]]:
    """(workspace, webhook) of all webhooks of the site; ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, webhook_id FROM webhooks_everywhere()")
        return list(cursor.fetchall())


def outdated(days: float, at_most: int = 1000) -> list[tuple[UUID, UUID]]:
    """(workspace, delivery) of messages that are over and older, in any workspace; ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, delivery_id FROM webhooks_outdated(%s, %s)", [days, at_most])
        return list(cursor.fetchall())
