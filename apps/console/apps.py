"""The console app: what the operators of the site look at and do."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "apps.console"
    label = "console"

    def ready(self) -> None:
        import apps.console.receivers  # noqa: F401 registered by being imported
