from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "apps.ops"
    label = "ops"

    def ready(self) -> None:
        import apps.ops.security_txt  # noqa: F401 its check is registered by being imported
