"""Reads on projects and graphs. Call them inside the workspace's scope."""

from uuid import UUID

from django.db.models import QuerySet

from apps.projects.models import Graph, GraphVersion, Project
from apps.workspaces.missing import NotFound


def projects() -> QuerySet[Project]:
    """The workspace's projects, newest first."""
    return Project.objects.order_by("-created_at", "-id")


def project(project_id: UUID | str) -> Project:
    """One project. Raises `NotFound`."""
    found = Project.objects.filter(pk=project_id).first()
    if found is None:
        raise NotFound(f"project {project_id}")
    return found


def graphs(of: Project | None = None) -> QuerySet[Graph]:
    """The graphs of the workspace, or of one project, newest first, with preset and project."""
    rows = Graph.objects.select_related("preset", "project").order_by("-created_at", "-id")
    return rows if of is None else rows.filter(project=of)


def graph(graph_id: UUID | str) -> Graph:
    """One graph with preset and project. Raises `NotFound`."""
    found = graphs().filter(pk=graph_id).first()
    if found is None:
        raise NotFound(f"graph {graph_id}")
    return found


def latest_version(of: Graph) -> GraphVersion:
    """The newest version of a graph."""
    return GraphVersion.objects.get(graph=of, number=of.latest_number)
