"""A process of the site that a test asks what it uses now: one word a line in, one JSON a line out.

`python -m tests.integration.config.rotating_site`
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402 once Django is set up
from django.core import signing  # noqa: E402
from django.core.files.base import ContentFile  # noqa: E402
from django.core.files.storage import storages  # noqa: E402
from django.core.mail import send_mail  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from apps.accounts.other_sites import OtherSitesAdapter  # noqa: E402
from apps.ops import health  # noqa: E402
from apps.webhooks import secret  # noqa: E402
from apps.workspaces import digests  # noqa: E402


def outcome(act: Callable[[], object]) -> str:
    """What came of it: a word, or the class of the error."""
    try:
        return str(act())
    except Exception as error:  # noqa: BLE001 the test is to see whatever there is
        return type(error).__name__


def connected() -> str:
    """Who a new connection of the pool is; it is kept, so that the next is a new one too."""
    found: list[str] = []
    done = threading.Event()

    def ask() -> None:
        def act() -> str:
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_user")
                return str(cursor.fetchone()[0])

        found.append(outcome(act))
        done.set()
        threading.Event().wait()

    threading.Thread(target=ask, daemon=True).start()
    done.wait()
    return found[0]


def stored() -> str:
    name = storages["default"].save("rotating", ContentFile(b"x"))
    return storages["default"].open(name).read().decode()


ACTS: dict[str, Callable[..., Any]] = {
    "sign": lambda: signing.dumps("signed"),
    "unsign": lambda text: outcome(lambda: signing.loads(text)),
    "seal": lambda: secret.sealed("whsec_x"),
    "open": lambda text: outcome(lambda: secret.opened(text)),
    "digests": lambda: digests.digests_of("atk_x"),
    "connect": connected,
    "mail": lambda: outcome(lambda: send_mail("x", "y", "a@example.org", ["b@example.org"])),
    "store": lambda: outcome(stored),
    "site": lambda: OtherSitesAdapter().list_apps(None, provider="campus")[0].secret,
    "standing": lambda: asdict(settings.ROTATION.standing()),
    "ready": lambda: asdict(found := health.look()) | {"status": found.status},
    "probe": lambda: Client().get("/health/ready").json(),
}

if __name__ == "__main__":
    for line in sys.stdin:
        word, *rest = line.split()
        print(json.dumps(ACTS[word](*rest)), flush=True)
