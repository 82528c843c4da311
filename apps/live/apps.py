from django.apps import AppConfig


class LiveConfig(AppConfig):
    """Run streams: what a worker publishes while it runs, and the sockets that watch it."""

    name = "apps.live"
    label = "live"
    verbose_name = "Live streams"
