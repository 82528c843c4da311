from django.apps import AppConfig


class SharingConfig(AppConfig):
    name = "apps.sharing"
    label = "sharing"

    def ready(self) -> None:
        from apps.sharing.services import revoke_links
        from apps.workspaces.members import member_leaving

        member_leaving.connect(revoke_links, dispatch_uid="apps.sharing.services")
