"""Addresses under /api/v1/."""

from django.urls import path

from apps.workspaces.api import WorkspaceList

urlpatterns = [path("workspaces/", WorkspaceList.as_view(), name="api-workspaces")]
