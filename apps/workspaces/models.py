"""The tenant boundary: workspaces, who belongs to them, and what was done in them."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.workspaces.rows import WorkspaceModel


class Role(models.TextChoices):
    """What a member may do; see `apps.workspaces.permissions`."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Administrator"
    EDITOR = "editor", "Editor"
    VIEWER = "viewer", "Viewer"
    API = "api", "API client"


class Workspace(models.Model):
    """A tenant. Visible inside its own scope and, to be found at all, to its members."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=160)
    personal = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    require_mfa = models.BooleanField(
        default=False, help_text="Only members with two-step sign-in enter; API keys are not asked."
    )

    # Row-level security alone decides here: a workspace is the boundary and has no `workspace_id`.
    objects: ClassVar[models.Manager["Workspace"]] = models.Manager()

    def __str__(self) -> str:
        return self.name


class Membership(WorkspaceModel):
    """A person's role in a workspace."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    # A person's own memberships, to find the workspaces in the first place; row-level security gives only the
    # rows of the user named by the transaction (`user_scope`).
    of_user: ClassVar[models.Manager["Membership"]] = models.Manager()

    class Meta(WorkspaceModel.Meta):
        default_manager_name = "objects"
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["workspace", "user"], name="workspaces_membership_once"),
            models.CheckConstraint(name="workspaces_membership_role", condition=models.Q(role__in=Role.values)),
        )

    def __str__(self) -> str:
        return f"{self.user_id} {self.role}"


class IdempotencyKey(WorkspaceModel):
    """A request that was sent with a key, and what it made; see `idempotency`."""

    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    request = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    made = models.UUIDField(null=True, help_text="Of what was made.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["workspace", "actor", "key"], name="workspaces_idempotencykey_once"),
        )

    def __str__(self) -> str:
        return self.key


class ApiKey(WorkspaceModel):
    """A person's key to one workspace, for programs. Only the SHA-256 of the secret is kept; see `keys`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80, help_text="What it is for.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the secret.")
    hint = models.CharField(max_length=16, help_text="How the secret begins.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True, help_text="To the minute.")

    # To find the key of a request before its workspace is known; row-level security gives only the row whose digest
    # the transaction names (`keys.holder_of`).
    of_digest: ClassVar[models.Manager["ApiKey"]] = models.Manager()

    class Meta(WorkspaceModel.Meta):
        default_manager_name = "objects"

    def __str__(self) -> str:
        return f"{self.name} {self.hint}…"


class AuditEvent(WorkspaceModel):
    """One write: who did what to which object. Kept as written; `data` is a JSON object of plain facts."""

    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=64)
    data = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        indexes = (models.Index(fields=["workspace", "-at"], name="workspaces_audit_at"),)

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"
