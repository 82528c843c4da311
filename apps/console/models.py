"""What operators do, as whom they act, and what they set for the whole site. None of it belongs to a workspace."""

import uuid

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone


class OperatorEvent(models.Model):
    """One thing that an operator did, or looked at across workspaces. The database refuses to change or delete it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=500, blank=True, help_text="As the operator gave it; looks need none.")
    data = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.GenericIPAddressField(null=True)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()
        permissions = (
            ("look", "Look at workspaces and runs"),
            ("manage_people", "Deactivate people, sign them out, reset their two-step sign-in"),
            ("manage_workspaces", "Suspend workspaces, change quotas, end the grace of a deletion"),
            ("manage_runs", "Cancel runs and queue them again"),
            ("read_audit", "Read and export the logs"),
            ("manage_site", "Change feature flags and banners"),
            ("impersonate", "Act in somebody's name"),
        )
        indexes = (
            models.Index(fields=["-at", "-id"], name="console_event_newest"),
            models.Index(fields=["object_id", "-at"], name="console_event_object"),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}".strip()


class Impersonation(models.Model):
    """A time for which an operator acts in a person's name; see `impersonation`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=500)
    began_at = models.DateTimeField(default=timezone.now, editable=False)
    until = models.DateTimeField(help_text="It ends then by itself.")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = (
            models.CheckConstraint(
                name="console_impersonation_of_another", condition=~models.Q(operator=models.F("user"))
            ),
        )
        indexes = (
            models.Index(fields=["until"], name="console_impersonation_open", condition=models.Q(ended_at=None)),
        )

    def __str__(self) -> str:
        return f"{self.operator_id} as {self.user_id}"


class Flag(models.Model):
    """Whether a part of the site is switched on, where that is not as its code has it; see `flags`."""

    name = models.CharField(primary_key=True, max_length=60)
    on = models.BooleanField(help_text="For every workspace that is not named below.")
    workspaces = models.JSONField(default=dict, help_text="By id, where it is otherwise: true or false.")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name}: {'on' if self.on else 'off'}"


class Banner(models.Model):
    """Something that everybody is told on every page for a time; see `banners`."""

    class Severity(models.TextChoices):
        INFO = "info", "For information"
        WARNING = "warning", "A warning"
        CRITICAL = "critical", "Urgent"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    text = models.CharField(max_length=500)
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.INFO)
    begins_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is taken down.")
    dismissible = models.BooleanField(default=True, help_text="Whether a reader can put it away.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()
        constraints = (
            models.CheckConstraint(
                name="console_banner_severity", condition=models.Q(severity__in=["info", "warning", "critical"])
            ),
            models.CheckConstraint(
                name="console_banner_times",
                condition=models.Q(ends_at__isnull=True) | models.Q(ends_at__gte=models.F("begins_at")),
            ),
        )

    def __str__(self) -> str:
        return self.text

    def clean(self) -> None:
        super().clean()
        if self.ends_at is not None and self.ends_at < self.begins_at:
            raise ValidationError({"ends_at": "It would end before it begins."})
