"""The web app."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Pages as Django templates."""

    name = "apps.web"
    label = "web"
