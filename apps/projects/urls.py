"""Addresses under /api/v1/workspaces/<slug>/."""

from django.urls import path

from apps.projects import api

_GRAPH = "graphs/<uuid:graph_id>/"

urlpatterns = [
    path("projects/", api.ProjectList.as_view(), name="api-projects"),
    path("projects/<uuid:project_id>/", api.ProjectDetail.as_view(), name="api-project"),
    path("graphs/", api.GraphList.as_view(), name="api-graphs"),
    path(_GRAPH, api.GraphDetail.as_view(), name="api-graph"),
    path(f"{_GRAPH}versions/", api.GraphVersionList.as_view(), name="api-graph-versions"),
    path(f"{_GRAPH}versions/<int:number>/", api.GraphVersionDetail.as_view(), name="api-graph-version"),
    path(f"{_GRAPH}versions/<int:number>/restore/", api.GraphVersionRestore.as_view(), name="api-graph-restore"),
    path(f"{_GRAPH}diff/", api.GraphDifference.as_view(), name="api-graph-diff"),
]
