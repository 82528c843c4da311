"""Projects, their graphs, and the immutable versions of a graph."""

import json
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.workspaces.rows import OwnedForeignKey, WorkspaceModel


class Project(WorkspaceModel):
    """A folder of graphs and their runs."""

    name = models.CharField(max_length=160)
    revision = models.PositiveIntegerField(default=0, editable=False, help_text="Counts its edits.")
    archived_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        indexes = (models.Index(fields=["workspace", "-created_at"], name="projects_project_created"),)

    def __str__(self) -> str:
        return self.name


class Graph(WorkspaceModel):
    """A named graph; what it is made of is in its versions, the newest of which `latest` holds."""

    project = OwnedForeignKey(Project, on_delete=models.CASCADE, related_name="graphs")
    preset = models.ForeignKey("presets.Preset", null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=160)
    latest_number = models.PositiveIntegerField(default=0, editable=False)
    revision = models.PositiveIntegerField(default=0, editable=False, help_text="Counts its edits, versions too.")
    archived_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        indexes = (models.Index(fields=["workspace", "project", "-created_at"], name="projects_graph_created"),)

    def __str__(self) -> str:
        return self.name


class GraphVersion(WorkspaceModel):
    """One state of a graph, numbered from 1; the database refuses to change it.

    `content_hash` is the engine's hash of what the graph computes, and the identity of what runs; titles and
    positions are in the document and not in the hash. The document is kept as text: PostgreSQL's jsonb would
    rewrite numbers (1e+22, -0.0) and with them the hash.
    """

    graph = OwnedForeignKey(Graph, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.TextField(help_text="The graph's JSON, as text.")
    content_hash = models.CharField(max_length=80)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(WorkspaceModel.Meta):
        constraints = (
            *WorkspaceModel.Meta.constraints,
            models.UniqueConstraint(fields=["graph", "number"], name="projects_graphversion_number"),
        )

    def __str__(self) -> str:
        return f"version {self.number}"

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The graph as the engine's JSON object: nodes, edges, routes."""
        spec: dict[str, Any] = json.loads(self.document)
        return spec
