"""manage.py reseal_second_factors: after a change of the site's key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.mfa import enrolment
from apps.accounts.mfa.secret import Unopened
from apps.accounts.models import TotpDevice


class Command(BaseCommand):
    help = (
        "Seal the secrets of all authenticators under security.secret_key, so that security.old_secret_key, under "
        "which they were sealed, can be forgotten. May be repeated."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        done, closed = 0, 0
        for device_id in TotpDevice.objects.values_list("pk", flat=True):
            try:
                enrolment.reseal(device_id)
                done += 1
            except TotpDevice.DoesNotExist:  # switched off since they were listed
                continue
            except Unopened:
                closed += 1
        self.stdout.write(f"Sealed the secrets of {done} authenticators under the present key.")
        if closed:
            raise CommandError(
                f"{closed} authenticators have secrets of another key. Give that key as security.old_secret_key and "
                "run this again, or have their people sign in with recovery codes and set up new ones."
            )
