from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from apps.ops.away import DATABASE_AWAY
from apps.presets.services import seed_presets


class Command(BaseCommand):
    help = "Bring the preset files of presets/ into the database. Refuses all of them if one is broken."

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.presets.shelf import PresetsRefused

        try:
            report = seed_presets()
        except PresetsRefused as refused:
            raise CommandError(f"Nothing was seeded; these files must be mended first:\n{refused}") from None
        except OperationalError as error:
            raise CommandError(f"{DATABASE_AWAY}\n{error}") from None
        for word, names in vars(report).items():
            if names:
                self.stdout.write(f"{word.replace('_', ' ')}: {', '.join(names)}")
