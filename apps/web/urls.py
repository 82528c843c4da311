"""Addresses of the pages."""

from django.urls import path

from apps.web.views import (
    compare,
    graph,
    keys,
    landing,
    preset,
    project,
    run,
    theme,
    webhooks,
    workspace,
    workspace_security,
)
from apps.web.views.account import leaving, profile, prove, second_factor, security, sessions

app_name = "web"

urlpatterns = [
    path("", landing.landing, name="landing"),
    path("theme/", theme.theme, name="theme"),
    path("account/", profile.profile, name="account_profile"),
    path("account/export/", leaving.export_data, name="export_account"),
    path("account/delete/", leaving.delete_account, name="delete_account"),
    path("account/sessions/", sessions.sessions, name="account_sessions"),
    path("account/sessions/end/", sessions.end_other_sessions, name="end_other_sessions"),
    path("account/sessions/<uuid:session_id>/end/", sessions.end_session, name="end_session"),
    path("account/security/", security.security, name="account_security"),
    path("account/prove/", prove.prove, name="prove"),
    path("account/code/", second_factor.second_factor, name="second_factor"),
    path("account/code/abort/", second_factor.abort_sign_in, name="abort_sign_in"),
    path("account/two-step/", second_factor.enrol, name="enrol_second_factor"),
    path("account/two-step/off/", second_factor.switch_off, name="switch_off_second_factor"),
    path("account/two-step/recovery/", second_factor.renew_codes, name="renew_recovery_codes"),
    path("presets/", preset.gallery, name="gallery"),
    path("presets/<slug:preset_id>/", preset.preset, name="preset"),
    path("presets/<slug:preset_id>/use/", preset.use_preset, name="use_preset"),
    path("w/<slug:slug>/", workspace.workspace, name="workspace"),
    path("w/<slug:slug>/keys/", keys.keys, name="keys"),
    path("w/<slug:slug>/keys/<uuid:key_id>/revoke/", keys.revoke, name="revoke_key"),
    path("w/<slug:slug>/security/", workspace_security.workspace_security, name="workspace_security"),
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
