"""Addresses under /api/v1/."""

from django.urls import path

from apps.workspaces.api import WorkspaceDetail, WorkspaceList
from apps.workspaces.keys_api import KeyList, KeyRevoke
from apps.workspaces.security_api import WorkspaceSecurity

_KEYS = "workspaces/<slug:slug>/keys/"

urlpatterns = [
    path("workspaces/<slug:slug>/security/", WorkspaceSecurity.as_view(), name="api-workspace-security"),
    path("workspaces/", WorkspaceList.as_view(), name="api-workspaces"),
    path("workspaces/<slug:slug>/", WorkspaceDetail.as_view(), name="api-workspace"),
    path(_KEYS, KeyList.as_view(), name="api-keys"),
    path(f"{_KEYS}<uuid:key_id>/revoke/", KeyRevoke.as_view(), name="api-key-revoke"),
]
