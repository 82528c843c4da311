"""Addresses of the pages."""

from django.urls import path

from apps.web.views import compare, graph, keys, landing, preset, project, run, theme, webhooks, workspace

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
    path("w/<slug:slug>/webhooks/", webhooks.webhooks, name="webhooks"),
    path("w/<slug:slug>/webhooks/<uuid:webhook_id>/", webhooks.webhook, name="webhook"),
    path("w/<slug:slug>/webhooks/<uuid:webhook_id>/secret/", webhooks.rotate_webhook, name="rotate_webhook"),
    path("w/<slug:slug>/webhooks/<uuid:webhook_id>/switch/", webhooks.switch_webhook, name="switch_webhook"),
    path("w/<slug:slug>/webhooks/<uuid:webhook_id>/ping/", webhooks.ping_webhook, name="ping_webhook"),
    path("w/<slug:slug>/webhooks/<uuid:webhook_id>/delete/", webhooks.delete_webhook, name="delete_webhook"),
    path(
        "w/<slug:slug>/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay/",
        webhooks.replay_delivery,
        name="replay_delivery",
    ),
    path("w/<slug:slug>/projects/", project.projects, name="projects"),
    path("w/<slug:slug>/projects/<uuid:project_id>/", project.project, name="project"),
    path("w/<slug:slug>/graphs/<uuid:graph_id>/", graph.graph, name="graph"),
    path("w/<slug:slug>/graphs/<uuid:graph_id>/run/", graph.submit_run, name="submit_run"),
    path("w/<slug:slug>/runs/", run.runs, name="runs"),
    path("w/<slug:slug>/runs/compare/", compare.compare_runs, name="compare"),
    path("w/<slug:slug>/runs/<uuid:run_id>/", run.run, name="run"),
]
