"""Ask the services that the site stands on."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.ops import health


class Command(BaseCommand):
    """`manage.py check_services`: each service, and what is wrong with it. Fails if the site cannot serve."""

    help = "Ask PostgreSQL and Valkey, as this process knows them; fails where /health/ready would answer 503."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        found = health.Found((health.database(), health.valkey()))
        for one in found.checks:
            self.stdout.write(f"{one.name}: {'can be used' if one.ok else f'{one.message} {one.mend}'}")
        if found.status == "unavailable":
            raise CommandError("The site cannot serve.")
