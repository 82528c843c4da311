"""Addresses that are told what happens in a workspace, the messages to them, and how each try went."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.workspaces.rows import OwnedForeignKey, WorkspaceModel

EVENTS = ("run.running", "run.succeeded", "run.failed", "run.cancelled")
"""What an address can ask to be told."""
PING = "ping"
"""Sent when somebody tries an address out."""


class Webhook(WorkspaceModel):
    """An address and what it wants to be told. Its secrets are kept encrypted, see `secret`."""

    url = models.CharField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    events = models.JSONField(help_text="Names of events, at least one.")
    secret = models.TextField(editable=False)
    old_secrets = models.JSONField(
        default=list, editable=False, help_text="[{secret, until}] that sign too until then, the newest first."
    )
    active = models.BooleanField(default=True)
    inactive_why = models.CharField(max_length=300, blank=True, help_text="For people, when it was not a person.")
    revision = models.PositiveIntegerField(default=1, editable=False, help_text="Edits so far; its entity tag.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.CheckConstraint(name="webhooks_webhook_events", condition=~models.Q(events=[])),
        )

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(WorkspaceModel):
    """One message to one address, written in the transaction in which what it tells happened.

    `due_at` is when the next try may begin; a try that is under way has moved it to when another may take over.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Failed"

    webhook = OwnedForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    message = models.UUIDField(help_text="The same for every try and every repetition: receivers know it again.")
    event = models.CharField(max_length=60)
    payload = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    tries = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)
    failure = models.CharField(
        max_length=300, blank=True, help_text="Why it was given up, where the log of its tries does not say so."
    )

    class Meta(WorkspaceModel.Meta):
        indexes = (
            models.Index(fields=["due_at"], name="webhooks_due", condition=models.Q(state="pending")),
            models.Index(fields=["webhook", "-created_at"], name="webhooks_delivery_created"),
            models.Index(fields=["created_at"], name="webhooks_delivery_old"),
        )
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.CheckConstraint(
                name="webhooks_delivery_state",
                condition=models.Q(state="pending", due_at__isnull=False, finished_at__isnull=True)
                | models.Q(state__in=["delivered", "failed"], due_at__isnull=True, finished_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} {self.message}: {self.state}"


class WebhookTry(WorkspaceModel):
    """How one try to deliver a message went; kept as written."""

    delivery = OwnedForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="log", db_index=False)
    number = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now, editable=False)
    seconds = models.FloatField()
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the answer; null when there was none.")
    error = models.CharField(max_length=300, blank=True, help_text="Why there was none, or why it does not count.")
    answer = models.CharField(max_length=1000, blank=True, help_text="How the answer's body begins.")

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["delivery", "number"], name="webhooks_try_number"),
        )

    def __str__(self) -> str:
        return f"try {self.number}: {self.status or self.error}"
