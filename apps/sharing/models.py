"""Links by which people who do not belong to a workspace look at one thing of it."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.projects.models import Graph
from apps.runs.models import Run
from apps.workspaces.models import Visibility
from apps.workspaces.rows import OwnedForeignKey, WorkspaceModel


class ShareLink(WorkspaceModel):
    """A link to one run or one graph, to look at only. Only a digest of its token is kept."""

    run = OwnedForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="links")
    graph = OwnedForeignKey(Graph, null=True, on_delete=models.CASCADE, related_name="links")
    digest = models.CharField(max_length=64, unique=True, help_text="Of the token; see `apps.workspaces.digests`.")
    hint = models.CharField(max_length=16, help_text="How the token begins.")
    visibility = models.CharField(max_length=10, choices=Visibility.choices)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    # To find the link of a token before the workspace is known; row-level security gives only the row of which the
    # transaction names the digest.
    of_digest: ClassVar[models.Manager["ShareLink"]] = models.Manager()

    class Meta(WorkspaceModel.Meta):
        default_manager_name = "objects"
        indexes = (models.Index(fields=["workspace", "-created_at"], name="sharing_link_created"),)
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.CheckConstraint(
                name="sharing_link_target",
                condition=models.Q(run__isnull=False, graph__isnull=True)
                | models.Q(run__isnull=True, graph__isnull=False),
            ),
            models.CheckConstraint(
                name="sharing_link_visibility", condition=models.Q(visibility__in=Visibility.values)
            ),
        )

    def __str__(self) -> str:
        return f"{self.hint}…"

    @property
    def open(self) -> bool:
        """Whether it still leads anywhere."""
        return self.revoked_at is None and self.expires_at > timezone.now()
