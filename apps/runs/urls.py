"""Addresses under /api/v1/workspaces/<slug>/."""

from django.urls import path

from apps.runs import (
    api,
    artifacts_api,
    comparisons_api,
    exports_api,
    overlays_api,
    points_api,
    provenance_api,
    recordings_api,
)
from apps.runs.attempts_api import RunAttempts, RunCheckpoints
from apps.runs.checks_api import GraphCheck
from apps.runs.imports_api import ImportList
from apps.runs.retention_api import RetentionView
from apps.runs.usage_api import Usage

_RUN = "runs/<uuid:run_id>/"

urlpatterns = [
    path("usage/", Usage.as_view(), name="api-usage"),
    path("graphs/check/", GraphCheck.as_view(), name="api-graph-check"),
    path("runs/", api.RunList.as_view(), name="api-runs"),
    path("runs/cancel/", api.RunsCancel.as_view(), name="api-runs-cancel"),
    path("runs/compare/", comparisons_api.RunsCompare.as_view(), name="api-runs-compare"),
    path("runs/compare/curves/", comparisons_api.RunsCurves.as_view(), name="api-runs-curves"),
    path("runs/compare/series/", overlays_api.RunsSeries.as_view(), name="api-runs-series"),
    path(_RUN, api.RunDetail.as_view(), name="api-run"),
    path(f"{_RUN}events/", api.RunEvents.as_view(), name="api-run-events"),
    path(f"{_RUN}attempts/", RunAttempts.as_view(), name="api-run-attempts"),
    path(f"{_RUN}checkpoints/", RunCheckpoints.as_view(), name="api-run-checkpoints"),
    path(f"{_RUN}result/", api.RunResultView.as_view(), name="api-run-result"),
    path(f"{_RUN}cancel/", api.RunCancel.as_view(), name="api-run-cancel"),
    path(f"{_RUN}pause/", api.RunPause.as_view(), name="api-run-pause"),
    path(f"{_RUN}resume/", api.RunResume.as_view(), name="api-run-resume"),
    path(f"{_RUN}controls/", api.RunControls.as_view(), name="api-run-controls"),
    path(f"{_RUN}triggers/", api.RunTriggers.as_view(), name="api-run-triggers"),
    path(f"{_RUN}points/", points_api.RunPoints.as_view(), name="api-run-points"),
    path(f"{_RUN}rerun/", points_api.RunRerun.as_view(), name="api-run-rerun"),
    path(f"{_RUN}manifest/", provenance_api.RunManifest.as_view(), name="api-run-manifest"),
    path(f"{_RUN}reproducibility/", provenance_api.RunReproducibility.as_view(), name="api-run-reproducibility"),
    path(f"{_RUN}reproduce/", provenance_api.RunReproduce.as_view(), name="api-run-reproduce"),
    path(f"{_RUN}verdict/", provenance_api.RunVerdict.as_view(), name="api-run-verdict"),
    path(f"{_RUN}apply/", points_api.RunApply.as_view(), name="api-run-apply"),
    path(f"{_RUN}formats/", exports_api.RunFormats.as_view(), name="api-run-formats"),
    path(f"{_RUN}exports/", exports_api.RunExports.as_view(), name="api-run-exports"),
    path(f"{_RUN}recording/", recordings_api.RunRecording.as_view(), name="api-run-recording"),
    path(f"{_RUN}recording/retry/", recordings_api.RunRecordingRetry.as_view(), name="api-run-recording-retry"),
    path("exports/<uuid:export_id>/", exports_api.ExportDetail.as_view(), name="api-export"),
    path("exports/<uuid:export_id>/cancel/", exports_api.ExportCancel.as_view(), name="api-export-cancel"),
    path("artifacts/", artifacts_api.ArtifactList.as_view(), name="api-artifacts"),
    path("artifacts/<uuid:artifact_id>/", artifacts_api.ArtifactDetail.as_view(), name="api-artifact"),
    path("artifacts/<uuid:artifact_id>/content/", artifacts_api.ArtifactContent.as_view(), name="api-artifact-content"),
    path("imports/", ImportList.as_view(), name="api-imports"),
    path("retention/", RetentionView.as_view(), name="api-retention"),
    path("sweeps/", points_api.SweepList.as_view(), name="api-sweeps"),
    path("fits/", points_api.FitList.as_view(), name="api-fits"),
]
