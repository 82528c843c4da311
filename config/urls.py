"""Every address of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from apps.ops.schema_view import SchemaView
from apps.ops.security_txt import security_txt

urlpatterns = [
    path(f"{settings.ATTRACTOR.console.path}/", admin.site.urls),
    path("accounts/", include("apps.accounts.door_urls")),  # over allauth's own, where something is asked first
    path("accounts/", include("allauth.urls")),
    path("api/v1/schema/", SchemaView.as_view(), name="schema"),
    path("api/v1/", include("apps.accounts.urls")),
    path("api/v1/", include("apps.workspaces.urls")),
    path("api/v1/", include("apps.presets.urls")),
    path("api/v1/workspaces/<slug:slug>/", include("apps.projects.urls")),
    path("api/v1/workspaces/<slug:slug>/", include("apps.runs.urls")),
    path("api/v1/workspaces/<slug:slug>/", include("apps.webhooks.urls")),
    path("api/v1/workspaces/<slug:slug>/", include("apps.sharing.urls")),
    path("health/", include("apps.ops.urls")),
    path(".well-known/security.txt", security_txt, name="security-txt"),
    path("", include("apps.web.urls")),
]

handler400 = "apps.web.views.errors.bad_request"
handler404 = "apps.web.views.errors.not_found"
handler500 = "apps.web.views.errors.server_error"
