"""Addresses under /api/v1/workspaces/<slug>/."""

from django.urls import path

from apps.projects.api import GraphDetail, GraphList, ProjectList

urlpatterns = [
    path("projects/", ProjectList.as_view(), name="api-projects"),
    path("graphs/", GraphList.as_view(), name="api-graphs"),
    path("graphs/<uuid:graph_id>/", GraphDetail.as_view(), name="api-graph"),
]
