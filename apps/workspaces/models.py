"""The tenant boundary: workspaces, who belongs to them, and what was done in them."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.workspaces.rows import Digested, WorkspaceModel


class Role(models.TextChoices):
    """What a member may do; see `apps.workspaces.permissions`."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Administrator"
    EDITOR = "editor", "Editor"
    VIEWER = "viewer", "Viewer"
    API = "api", "Machine"


class Visibility(models.TextChoices):
    """Who may follow a link that somebody shares."""

    ANYONE = "anyone", "Anyone with the link"
    SIGNED_IN = "signed_in", "People who are signed in here"


class Workspace(Digested):
    """A tenant. Visible inside its own scope and, to be found at all, to its members.

    While `delete_at` is set it is read-only: its owners may take it back until then, and the sweeper deletes it after.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=160)
    personal = models.BooleanField(default=False, editable=False)
    allowed_domains = models.JSONField(
        default=list, help_text="Domains of e-mail addresses that may be invited; empty: all."
    )
    default_visibility = models.CharField(
        max_length=10, choices=Visibility.choices, default=Visibility.SIGNED_IN,
        help_text="Of links that are shared without saying for whom.",
    )  # fmt: skip
    revision = models.PositiveIntegerField(default=0, editable=False, help_text="Counts its edits.")
    delete_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    require_mfa = models.BooleanField(
        default=False, help_text="Only members with two-step sign-in enter; API keys are not asked."
    )
    suspended_at = models.DateTimeField(
        null=True, editable=False, help_text="Since when it can only be read, because the operators of the site say so."
    )

    # Row-level security alone decides here: a workspace is the boundary and has no `workspace_id`.
    objects: ClassVar[models.Manager["Workspace"]] = models.Manager()

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="workspaces_workspace_visibility", condition=models.Q(default_visibility__in=Visibility.values)
            ),
        )

    def __str__(self) -> str:
        return self.name


class Membership(WorkspaceModel):
    """A person's role in a workspace."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=10, choices=Role.choices)
    revision = models.PositiveIntegerField(default=0, editable=False, help_text="Counts its edits.")
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


class Invitation(WorkspaceModel):
    """An offer to belong to the workspace, sent to one e-mail address. Only a digest of its token is kept.

    It is open until it is accepted, is revoked or has expired; see `invitations`.
    """

    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=Role.choices)
    digest = models.CharField(max_length=64, unique=True, help_text="Of the token; see `digests`.")
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    mailed_at = models.DateTimeField(null=True, help_text="When the server took the message; null: it did not.")
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    # To find the invitation of a token before the workspace is known; as `ApiKey.of_digest`.
    of_digest: ClassVar[models.Manager["Invitation"]] = models.Manager()

    class Meta(WorkspaceModel.Meta):
        default_manager_name = "objects"
        indexes = (models.Index(fields=["workspace", "-created_at"], name="workspaces_invitation_created"),)
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.CheckConstraint(
                name="workspaces_invitation_role", condition=models.Q(role__in=["owner", "admin", "editor", "viewer"])
            ),
            # Two at once would be two ways in of which one is forgotten.
            models.UniqueConstraint(
                fields=["workspace", "email"], name="workspaces_invitation_open",
                condition=models.Q(accepted_at__isnull=True, revoked_at__isnull=True),
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"

    @property
    def over(self) -> bool:
        """Whether nobody can accept it any more, whoever invites."""
        return self.accepted_at is not None or self.revoked_at is not None or self.expires_at <= timezone.now()


class QuotaAlert(WorkspaceModel):
    """A quota of which most is used, and that its owners and administrators were told so; see `alerts`."""

    name = models.CharField(max_length=40)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["workspace", "name"], name="workspaces_quotaalert_once"),
        )

    def __str__(self) -> str:
        return self.name


class QuotaGrant(WorkspaceModel):
    """A quota that an operator has set for this workspace, in place of what its plan says; see `plans`."""

    name = models.CharField(max_length=40)
    value = models.FloatField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["workspace", "name"], name="workspaces_quotagrant_once"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.value:g}"


class ApiKey(WorkspaceModel):
    """A key to one workspace, for programs. Only digests of the secret are kept; see `keys`.

    `user` is who works with it: a person, or the workspace's machine member for a key that the workspace owns.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    owned_by_workspace = models.BooleanField(default=False)
    name = models.CharField(max_length=80, help_text="What it is for.")
    digest = models.CharField(max_length=64, unique=True, help_text="Of the secret; see `digests`.")
    hint = models.CharField(max_length=16, help_text="How the secret begins.")
    old_digest = models.CharField(max_length=64, blank=True, help_text="Of the secret before it; empty: none.")
    old_until = models.DateTimeField(null=True, help_text="For so long the secret before it opens too.")
    verbs = models.JSONField(null=True, help_text="What it allows besides reading; null: what its holder may.")
    networks = models.JSONField(default=list, help_text="Networks it opens from, as CIDR; empty: all.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True, help_text="To the minute.")
    last_used_from = models.GenericIPAddressField(null=True)

    # To find the key of a request before its workspace is known; row-level security gives only the row of which the
    # transaction names a digest (`digests.naming`).
    of_digest: ClassVar[models.Manager["ApiKey"]] = models.Manager()

    class Meta(WorkspaceModel.Meta):
        default_manager_name = "objects"
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.CheckConstraint(
                name="workspaces_apikey_rotation",
                condition=models.Q(old_digest="", old_until__isnull=True)
                | (~models.Q(old_digest="") & models.Q(old_until__isnull=False)),
            ),
            models.UniqueConstraint(
                fields=["old_digest"], name="workspaces_apikey_old_digest", condition=~models.Q(old_digest="")
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.hint}…"


class AuditEvent(WorkspaceModel):
    """One write: who did what to which object. Kept as written; `data` is a JSON object of plain facts.

    The database refuses to change it, and to delete it while its workspace is there to stay.
    """

    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    key = models.UUIDField(null=True, help_text="The API key that the actor came with.")
    request_id = models.CharField(max_length=64, blank=True, help_text="Of the request, as its answer says.")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=64)
    before = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the row before; empty: there was none.")
    after = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the row after; empty: there is none.")
    data = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        indexes = (
            models.Index(fields=["workspace", "-at", "-id"], name="workspaces_audit_newest"),
            models.Index(fields=["workspace", "object_id", "-at"], name="workspaces_audit_object"),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"
