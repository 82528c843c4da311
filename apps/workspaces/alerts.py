"""Tells the owners and administrators of a workspace that a quota is nearly used up, once each time it comes to be.

`note` is called where something is used, in its transaction and while the workspace's row is held, so that of two who
pass the threshold together one tells it. Told are the quotas that nobody gets back by waiting for a run: storage and
the month's compute time. What is told is told again only after it has fallen well below the threshold.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.workspaces import mail
from apps.workspaces.models import QuotaAlert, Workspace
from apps.workspaces.scope import current_workspace_id
from apps.workspaces.selectors import managers_mails
from apps.workspaces.services import audit

THRESHOLD: Final = 0.8
CLEARED: Final = 0.75
"""Below this share it counts as fallen again: what goes up and down around the threshold is told once."""
TOLD: Final = {
    "storage": ("storage", "bytes", "Delete artifacts, or record less."),
    "compute": ("compute time of this month", "seconds", "Give runs a lower time limit; the next month begins anew."),
}
"""What it is called, its unit, and what helps."""


def note(name: str, used: float, allowed: float) -> None:
    """Note how much of a quota of the workspace in force is used, and tell it where that is due."""
    share = used / allowed if allowed else 1.0
    raised = QuotaAlert.objects.filter(name=name).first()
    if raised is not None and share < CLEARED:
        raised.delete()
    elif raised is None and share >= THRESHOLD:
        raised = QuotaAlert.objects.create(workspace_id=current_workspace_id(), name=name)
        audit(None, "quota.alert", raised, name=name, used=used, allowed=allowed)
        _tell(name, used, allowed, share)


def _tell(name: str, used: float, allowed: float, share: float) -> None:
    what, unit, mend = TOLD[name]
    context = {
        "workspace": Workspace.objects.get(pk=current_workspace_id()).name, "what": what, "mend": mend,
        "percent": int(share * 100), "used": f"{used:,.0f} {unit}", "allowed": f"{allowed:,.0f} {unit}",
    }  # fmt: skip
    to = managers_mails()
    transaction.on_commit(lambda: mail.send(to, "quota", context))
