"""Reads on projects and graphs. Call them inside the workspace's scope."""

from uuid import UUID

from django.db.models import Q, QuerySet

from apps.projects.models import Graph, GraphVersion, Project
from apps.workspaces.missing import NotFound


def projects(*, archived: bool = False) -> QuerySet[Project]:
    """The workspace's projects, newest first: those in use, or those that were archived."""
    return Project.objects.filter(archived_at__isnull=not archived).order_by("-created_at", "-id")


def project(project_id: UUID | str) -> Project:
    """One project. Raises `NotFound`."""
    found = Project.objects.filter(pk=project_id).first()
    if found is None:
        raise NotFound(f"project {project_id}")
    return found


def graphs(of: Project | None = None, *, archived: bool = False) -> QuerySet[Graph]:
    """The graphs of the workspace, or of one project, newest first.

    Those in use, or those that were archived, alone or with their project.
    """
    away = Q(archived_at__isnull=False) | Q(project__archived_at__isnull=False)
    rows = Graph.objects.filter(away if archived else ~away).order_by("-created_at", "-id")
    return rows if of is None else rows.filter(project=of)


def graph(graph_id: UUID | str) -> Graph:
    """One graph, archived or not, with preset and project, as a run of it needs. Raises `NotFound`."""
    return _graph(Graph.objects.select_related("preset", "project"), graph_id)


def graph_alone(graph_id: UUID | str) -> Graph:
    """One graph, archived or not. Raises `NotFound`."""
    return _graph(Graph.objects.all(), graph_id)


def _graph(rows: QuerySet[Graph], graph_id: UUID | str) -> Graph:
    found = rows.filter(pk=graph_id).first()
    if found is None:
        raise NotFound(f"graph {graph_id}")
    return found


def latest_version(of: Graph) -> GraphVersion:
    """The newest version of a graph."""
    return GraphVersion.objects.get(graph=of, number=of.latest_number)


def versions(of: Graph) -> QuerySet[GraphVersion]:
    """The versions of a graph with who made them, newest first, without their documents."""
    rows = GraphVersion.objects.select_related("created_by").defer("document")
    return rows.filter(graph=of).order_by("-number")


def version(of: Graph, number: int) -> GraphVersion:
    """One version of a graph with who made it. Raises `NotFound`."""
    found = GraphVersion.objects.select_related("created_by").filter(graph=of, number=number).first()
    if found is None:
        raise NotFound(f"version {number} of graph {of.pk}")
    return found
