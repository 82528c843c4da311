"""Writes on projects and graphs."""

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.ops.preconditions import Precondition
from apps.ops.refusal import Fault
from apps.presets.models import Preset
from apps.presets.selectors import preset as preset_of
from apps.projects.models import Graph, GraphVersion, Project
from apps.projects.refusals import Archived
from apps.projects.selectors import latest_version
from apps.projects.selectors import version as version_of
from apps.workspaces.missing import NotFound
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
        Archived: the project is.
        PermissionDenied: the actor may not write graphs.
    """
    from apps.projects.checking import checked

    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_GRAPH)
        refuse_archived(project)
        graph_spec, _ = checked(spec)
        graph = Graph.objects.create(
            workspace_id=workspace.id, project=project, preset=preset, name=name, created_by=actor
        )
        version = _append_version(actor, graph, graph_spec.document(), graph_spec.content_hash)
        audit(actor, "graph.create", graph, name=name, content_hash=version.content_hash)
    return graph


def add_version(
    actor: "User", workspace: Workspace, graph: Graph, spec: dict[str, Any], action: str = "graph.version", **facts: Any
) -> GraphVersion:  # fmt: skip
    """The next version of a graph; the versions before stay as they are. Raises as `create_graph` does.

    Args:
        action, facts: of the entry in the audit log.
    """
    from apps.projects.checking import checked

    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_GRAPH)
        graph_spec, _ = checked(spec)
        version = _append_version(actor, graph, graph_spec.document(), graph_spec.content_hash)
        audit(actor, action, graph, number=version.number, content_hash=version.content_hash, **facts)
    return version


def edit_graph(
    actor: "User",
    workspace: Workspace,
    graph_id: UUID | str,
    expected: Precondition,
    *,
    name: str | None = None,
    spec: dict[str, Any] | None = None,
    archived: bool | None = None,
) -> Graph:
    """Rename a graph, give it a next version, archive it or take it back; None leaves a thing as it is.

    A spec that is the newest version's makes no other version. An archived graph is in no list, takes no other edit and
    is not run; its versions and runs stay readable.

    Raises:
        NotFound, PermissionDenied: nothing to edit, for this actor.
        PreconditionRequired, PreconditionFailed: the edit was not made from the newest state.
        Archived: it must be taken back first.
        GraphRejected: the engine found problems in the spec; nothing is written.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_GRAPH)
        held = _locked_graph(graph_id)
        expected.check(held.revision, version=held.latest_number)
        changed = _edit(held, name, archived)
        appended = {} if spec is None else _next_version(actor, held, spec)
        if changed or appended:
            audit(actor, "graph.edit" if changed else "graph.version", held, **changed, **appended)
    return held


def restore_version(
    actor: "User", workspace: Workspace, graph_id: UUID | str, number: int, expected: Precondition
) -> Graph:
    """Make a next version of a graph that is equal to an old one; no version is overwritten. Raises as `edit_graph`."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_GRAPH)
        held = _locked_graph(graph_id)
        old = version_of(held, number)
        expected.check(held.revision, version=held.latest_number)
        refuse_archived(held)
        if appended := _next_version(actor, held, old.spec):
            audit(actor, "graph.version", held, **appended, restored=number)
    return held


def edit_project(
    actor: "User",
    workspace: Workspace,
    project_id: UUID | str,
    expected: Precondition,
    *,
    name: str | None = None,
    archived: bool | None = None,
) -> Project:
    """Rename a project, archive it with its graphs or take it back. Raises as `edit_graph`."""
    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_PROJECT)
        held = Project.objects.select_for_update(no_key=True).filter(pk=project_id).first()
        if held is None:
            raise NotFound(f"project {project_id}")
        expected.check(held.revision)
        if changed := _edit(held, name, archived):
            audit(actor, "project.edit", held, **changed)
    return held


def refuse_archived(what: Graph | Project) -> None:
    """Raises `Archived` if it is, or its project."""
    for one in (what.project, what) if isinstance(what, Graph) else (what,):
        if one.archived_at is not None:
            kind = "graph" if isinstance(one, Graph) else "project"
            raise Archived(
                [Fault(kind, f"The {kind} {one.name} is archived.", "Take it back first (archived: false).")]
            )


def _edit(held: Graph | Project, name: str | None, archived: bool | None) -> dict[str, Any]:
    """Change a locked row's name and place, if they are others; what has changed."""
    changed: dict[str, Any] = {}
    if archived is not None and archived != (held.archived_at is not None):
        held.archived_at = timezone.now() if archived else None
        changed["archived"] = archived
    if archived is None:
        refuse_archived(held)
    if name is not None and name != held.name:
        held.name = changed["name"] = name
    if changed:
        held.revision += 1
        held.save(update_fields=["name", "archived_at", "revision"])
    return changed


def _locked_graph(graph_id: UUID | str) -> Graph:
    rows = Graph.objects.select_for_update(of=("self",), no_key=True).select_related("project")
    held = rows.filter(pk=graph_id).first()
    if held is None:
        raise NotFound(f"graph {graph_id}")
    return held


def _next_version(actor: "User", held: Graph, spec: dict[str, Any]) -> dict[str, Any]:
    """Append a version to a locked graph, unless it would be the newest once more; what it is."""
    from apps.projects.checking import checked

    refuse_archived(held)
    graph_spec, _ = checked(spec)
    if _written(graph_spec.document()) == latest_version(held).document:
        return {}
    version = _append_version(actor, held, graph_spec.document(), graph_spec.content_hash)
    return {"number": version.number, "content_hash": version.content_hash}


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
        document=_written(document),
        content_hash=content_hash,
        created_by=actor,
    )
    held.latest_number = version.number
    held.revision += 1
    held.save(update_fields=["latest_number", "revision"])
    graph.latest_number, graph.revision = held.latest_number, held.revision
    return version


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def first_project(user: "User", workspace: Workspace) -> Project:
    """The project that a new workspace starts with."""
    return create_project(user, workspace, FIRST_PROJECT)
