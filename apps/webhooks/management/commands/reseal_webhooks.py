"""manage.py reseal_webhooks: after a change of the site's key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.webhooks import selectors, services
from apps.webhooks.secret import Unopened
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import scope


class Command(BaseCommand):
    help = (
        "Seal the secrets of all webhooks under security.secret_key, so that security.old_secret_key, under which they "
        "were sealed, can be forgotten. May be repeated."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        done, closed = 0, []
        for workspace_id, webhook_id in selectors.everywhere():
            try:
                with scope(workspace_id):
                    services.reseal(webhook_id)
                done += 1
            except NotFound:  # deleted since they were listed
                continue
            except Unopened:
                closed.append(str(webhook_id))
        self.stdout.write(f"Sealed the secrets of {done} webhooks under the present key.")
        if closed:
            raise CommandError(
                f"{len(closed)} webhooks have secrets of another key: {', '.join(closed)}. Give that key as "
                "security.old_secret_key and run this again, or have their owners draw new secrets."
            )
