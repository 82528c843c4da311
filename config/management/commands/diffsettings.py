"""Django's `diffsettings`, which prints settings as they are, without their secrets."""

from typing import Any

from django.core.management.commands import diffsettings

from config.secrets.redactor import REDACTOR


class Command(diffsettings.Command):
    """`manage.py diffsettings`."""

    def handle(self, **options: Any) -> str:
        return REDACTOR.hide(super().handle(**options))
