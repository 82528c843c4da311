"""The configuration as a Django app: it has a management command and brings the Celery application."""

from django.apps import AppConfig


class Configuration(AppConfig):
    """Makes the Celery application the current one in every process, so that tasks reach our broker."""

    name = "config"

    def ready(self) -> None:
        import config.celery  # noqa: F401
