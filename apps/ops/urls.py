"""Addresses under /health/."""

from django.urls import path

from apps.ops import api

urlpatterns = [
    path("live", api.live, name="health-live"),
    path("ready", api.ready, name="health-ready"),
]
