from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "apps.runs"
    label = "runs"

    def ready(self) -> None:
        from apps.runs.closing import cancel_runs, delete_files
        from apps.workspaces.deletion import workspace_closing, workspace_purging

        workspace_closing.connect(cancel_runs, dispatch_uid="apps.runs.closing")
        workspace_purging.connect(delete_files, dispatch_uid="apps.runs.closing")
