"""The secret of a webhook on the page after the one that asked for it, once.

The session holds a note that it may be shown, not the secret, which stays sealed in its row: the address of the page,
the history of the browser and the table of sessions hold nothing that signs.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Final

from apps.web.views.request import WorkspaceRequest
from apps.webhooks import secret
from apps.webhooks.models import Webhook

SECONDS: Final = 300.0
"""For so long a note holds: who is led to the page reads it at once."""
_KEY: Final = "webhook_secrets"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page says of a secret: itself, that it was not looked at in time, or nothing."""

    secret: str = ""
    late: bool = False


def note(request: WorkspaceRequest, hook: Webhook) -> None:
    """Let this session see the secret that the webhook has now, once."""
    notes = request.session.get(_KEY, {})
    request.session[_KEY] = {**notes, str(hook.pk): {"kept": _digest(hook), "until": time.time() + SECONDS}}


def take(request: WorkspaceRequest, hook: Webhook) -> Shown:
    """What the session may see of the webhook's secret; the note is gone then. HEAD, which shows nothing, keeps it."""
    notes = dict(request.session.get(_KEY, {}))
    if request.method == "HEAD" or str(hook.pk) not in notes:
        return Shown()
    found = notes.pop(str(hook.pk))
    request.session[_KEY] = notes
    # Another secret than the one that was asked for, drawn since by somebody else, is theirs to see.
    if found["kept"] != _digest(hook):
        return Shown()
    if found["until"] < time.time():
        return Shown(late=True)
    return Shown(secret.opened(hook.secret))


def _digest(hook: Webhook) -> str:
    """Tells sealed secrets apart; no two are alike, not even of one secret."""
    return hashlib.sha256(hook.secret.encode()).hexdigest()
