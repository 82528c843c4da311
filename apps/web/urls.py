"""Addresses of the pages."""

from django.urls import path

from apps.web.views import compare, graph, keys, landing, preset, project, run, theme, workspace

app_name = "web"

urlpatterns = [
    path("", landing.landing, name="landing"),
    path("theme/", theme.theme, name="theme"),
    path("presets/", preset.gallery, name="gallery"),
    path("presets/<slug:preset_id>/", preset.preset, name="preset"),
    path("presets/<slug:preset_id>/use/", preset.use_preset, name="use_preset"),
    path("w/<slug:slug>/", workspace.workspace, name="workspace"),
    path("w/<slug:slug>/keys/", keys.keys, name="keys"),
    path("w/<slug:slug>/keys/<uuid:key_id>/revoke/", keys.revoke, name="revoke_key"),
    path("w/<slug:slug>/projects/", project.projects, name="projects"),
    path("w/<slug:slug>/projects/<uuid:project_id>/", project.project, name="project"),
    path("w/<slug:slug>/graphs/<uuid:graph_id>/", graph.graph, name="graph"),
    path("w/<slug:slug>/graphs/<uuid:graph_id>/run/", graph.submit_run, name="submit_run"),
    path("w/<slug:slug>/runs/", run.runs, name="runs"),
    path("w/<slug:slug>/runs/compare/", compare.compare_runs, name="compare"),
    path("w/<slug:slug>/runs/<uuid:run_id>/", run.run, name="run"),
]
