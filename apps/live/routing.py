"""Addresses of the sockets."""

from django.urls import path, re_path

from apps.live.consumers import RunConsumer
from apps.live.refusal import nothing_here

websocket_urlpatterns = [
    path("ws/v1/runs/<uuid:run_id>/", RunConsumer.as_asgi()),
    path("ws/v1/workspaces/<slug:slug>/runs/<uuid:run_id>/", RunConsumer.as_asgi()),
    re_path(r"", nothing_here),  # type: ignore[arg-type]
]
