from django.apps import AppConfig
from django.db.models.signals import pre_migrate


class WorkspacesConfig(AppConfig):
    name = "apps.workspaces"
    label = "workspaces"

    def ready(self) -> None:
        from apps.workspaces.grants import grant_before_migrate

        pre_migrate.connect(grant_before_migrate, sender=self, dispatch_uid="apps.workspaces.grants")
