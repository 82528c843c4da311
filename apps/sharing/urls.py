"""Addresses under /api/v1/workspaces/<slug>/."""

from django.urls import path

from apps.sharing.api import LinkList, LinkRevoke

urlpatterns = [
    path("shares/", LinkList.as_view(), name="api-shares"),
    path("shares/<uuid:link_id>/revoke/", LinkRevoke.as_view(), name="api-share-revoke"),
]
