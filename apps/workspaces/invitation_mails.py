"""How many invitations are mailed: each goes to somebody who has not asked for it, with words of the inviter's choice.

Counted in the cache for the address, whatever workspace it is invited to, and for a day for the inviter and for the
workspace. Taking an invitation back takes nothing off: its mail was sent. While Valkey is away nothing is counted,
which the log says.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from allauth.core.internal import ratelimit
from django.conf import settings

from apps.ops.refusal import Fault, Invalid

TO_ADDRESS: Final = 3
MINUTES: Final = 10
APP: Final = "apps.workspaces.invitations"


def count(inviter_id: UUID, workspace_id: UUID, email: str) -> None:
    """Count one mail; where it may not be sent nothing is counted.

    Raises:
        Invalid: too many went to the address, or were sent by the person or from the workspace.
    """
    most = settings.ATTRACTOR.workspaces.invitations_per_day
    wait = "Wait until tomorrow."
    limits = (
        ("address", f"{TO_ADDRESS}/{MINUTES}m/key", email.lower(), Fault(
            "email", f"{TO_ADDRESS} invitations went to this address within {MINUTES} minutes.",
            f"Wait {MINUTES} minutes.",
        )),
        ("inviter", f"{most}/1d/key", str(inviter_id), Fault(
            "email", f"You have sent {most} invitations within a day, as many as one person may.", wait
        )),
        ("workspace", f"{most}/1d/key", str(workspace_id), Fault(
            "email", f"{most} invitations were sent from this workspace within a day, as many as may be.", wait
        )),
    )  # fmt: skip
    done: list[Any] = []
    for action, rate, key, fault in limits:
        # The key is ours, so no request is looked at.
        usage = ratelimit.consume(None, app=APP, action=action, config={action: rate}, key=key, limit_get=True)
        if usage is None:
            # Else a refused one would lengthen the wait of others.
            for one in done:
                one.rollback()
            raise Invalid([fault])
        done.append(usage)
