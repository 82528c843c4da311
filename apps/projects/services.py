"""Writes on projects and graphs."""

import json
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.presets.models import Preset
from apps.presets.selectors import preset as preset_of
from apps.projects.models import Graph, GraphVersion, Project
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

FIRST_PROJECT = "My first project"


def create_project(actor: "User", workspace: Workspace, name: str) -> Project:
    """A new, empty project. Raises `PermissionDenied` for a viewer."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_PROJECT)
        project = Project.objects.create(workspace_id=workspace.id, name=name, created_by=actor)
        audit(actor, "project.create", project, name=name)
    return project


def create_graph(
    actor: "User",
    workspace: Workspace,
    project: Project,
    name: str,
    spec: dict[str, Any],
    preset: Preset | None = None,
) -> Graph:
    """A graph with its first version.

    Args:
        spec: the graph's JSON document (nodes, edges, routes).
        preset: where it came from; its controls and actions go with it.

    Raises:
        GraphRejected: the engine found problems; all are listed and nothing is written.
        PermissionDenied: the actor may not write graphs.
    """
    from apps.projects.checking import checked

    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_GRAPH)
        graph_spec, _ = checked(spec)
        graph = Graph.objects.create(
            workspace_id=workspace.id, project=project, preset=preset, name=name, created_by=actor
        )
        version = _append_version(actor, graph, graph_spec.document(), graph_spec.content_hash)
        audit(actor, "graph.create", graph, name=name, content_hash=version.content_hash)
    return graph


def add_version(actor: "User", workspace: Workspace, graph: Graph, spec: dict[str, Any]) -> GraphVersion:
    """The next version of a graph; the versions before stay as they are. Raises as `create_graph` does."""
    from apps.projects.checking import checked

    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_GRAPH)
        graph_spec, _ = checked(spec)
        version = _append_version(actor, graph, graph_spec.document(), graph_spec.content_hash)
        audit(actor, "graph.version", graph, number=version.number, content_hash=version.content_hash)
    return version


def use_preset(actor: "User", workspace: Workspace, project: Project, preset_id: str) -> Graph:
    """A graph of one's own made from a built-in preset. Raises `NotFound` for an unknown preset."""
    preset = preset_of(preset_id)
    return create_graph(actor, workspace, project, preset.title, preset.document["graph"], preset)


@transaction.atomic
def _append_version(actor: "User", graph: Graph, document: dict[str, Any], content_hash: str) -> GraphVersion:
    # The lock on the graph's row numbers versions without gaps when two are saved at once.
    held = Graph.objects.select_for_update().get(pk=graph.pk)
    version = GraphVersion.objects.create(
        workspace_id=held.workspace_id,
        graph=held,
        number=held.latest_number + 1,
        document=json.dumps(document, separators=(",", ":"), allow_nan=False),
        content_hash=content_hash,
        created_by=actor,
    )
    held.latest_number = version.number
    held.save(update_fields=["latest_number"])
    graph.latest_number = version.number
    return version


def first_project(user: "User", workspace: Workspace) -> Project:
    """The project that a new workspace starts with."""
    return create_project(user, workspace, FIRST_PROJECT)
