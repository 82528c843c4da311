"""The configuration as a Django app: it has management commands and brings the Celery application."""

from django.apps import AppConfig


class Configuration(AppConfig):
    """Makes the Celery application the current one in every process, so that tasks reach our broker, and has every
    process take new values of secrets."""

    name = "config"

    def ready(self) -> None:
        from django.conf import settings

        import config.celery  # noqa: F401

        settings.ROTATION.start()
