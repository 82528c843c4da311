"""Addresses under /api/v1/workspaces/<slug>/."""

from django.urls import path

from apps.runs import api

_RUN = "runs/<uuid:run_id>/"

urlpatterns = [
    path("runs/", api.RunList.as_view(), name="api-runs"),
    path("runs/cancel/", api.RunsCancel.as_view(), name="api-runs-cancel"),
    path(_RUN, api.RunDetail.as_view(), name="api-run"),
    path(f"{_RUN}events/", api.RunEvents.as_view(), name="api-run-events"),
    path(f"{_RUN}result/", api.RunResultView.as_view(), name="api-run-result"),
    path(f"{_RUN}cancel/", api.RunCancel.as_view(), name="api-run-cancel"),
    path(f"{_RUN}pause/", api.RunPause.as_view(), name="api-run-pause"),
    path(f"{_RUN}resume/", api.RunResume.as_view(), name="api-run-resume"),
    path(f"{_RUN}controls/", api.RunControls.as_view(), name="api-run-controls"),
    path(f"{_RUN}triggers/", api.RunTriggers.as_view(), name="api-run-triggers"),
]
