"""Reads on webhooks. Call them inside the workspace's scope, except those that serve the courier."""

from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from apps.webhooks.models import Webhook, WebhookDelivery
from apps.workspaces.missing import NotFound


def webhooks() -> QuerySet[Webhook]:
    """The workspace's webhooks, newest first."""
    return Webhook.objects.order_by("-created_at", "-id")


def webhook(webhook_id: UUID | str) -> Webhook:
    """One webhook. Raises `NotFound`."""
    found = Webhook.objects.filter(pk=webhook_id).first()
    if found is None:
        raise NotFound(f"webhook {webhook_id}")
    return found


def deliveries(of: Webhook) -> QuerySet[WebhookDelivery]:
    """The messages to an address, newest first."""
    return WebhookDelivery.objects.filter(webhook=of).order_by("-created_at", "-id")


def delivery(of: Webhook, delivery_id: UUID | str) -> WebhookDelivery:
    """One message to an address, with its log. Raises `NotFound`."""
    found = deliveries(of).prefetch_related("log").filter(pk=delivery_id).first()
    if found is None:
        raise NotFound(f"delivery {delivery_id}")
    return found


def due(at_most: int) -> list[tuple[UUID, UUID]]:
    """(workspace, delivery) of messages whose time has come, in any workspace; addresses take turns; ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, delivery_id FROM webhooks_due(%s)", [at_most])
        return list(cursor.fetchall())


def outdated(days: float, at_most: int = 1000) -> list[tuple[UUID, UUID]]:
    """(workspace, delivery) of messages that are over and older, in any workspace; ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, delivery_id FROM webhooks_outdated(%s, %s)", [days, at_most])
        return list(cursor.fetchall())
