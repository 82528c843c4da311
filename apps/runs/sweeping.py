"""One round of the sweeper: what dies or gets lost between queue and worker ends or starts again."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from apps.runs import selectors, services
from apps.workspaces.scope import scope

RESEND_AFTER_SECONDS = 10.0
"""A run whose message was sent longer ago and that still waits gets another: the first may be lost. When all workers
are busy it is merely one message too many, which the claim makes harmless."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a round did: runs failed because their worker was lost, messages sent again."""

    lost: int = 0
    resent: int = 0


def sweep() -> Swept:
    """Fail runs whose lease is over and send the messages of runs that wait too long.

    Any number of sweepers may run at once: each step is decided under the run's lock.
    """
    lost = resent = 0
    for workspace_id, run_id in selectors.expired_leases():
        with scope(workspace_id):
            failed = services.fail_lost(run_id)
        if failed:
            log.error("run_worker_lost", workspace_id=str(workspace_id), run_id=str(run_id))
            lost += 1
    for workspace_id, run_id in selectors.queued_for(RESEND_AFTER_SECONDS):
        with scope(workspace_id):
            sent = services.resend(run_id)
        if sent:
            log.info("run_message_resent", workspace_id=str(workspace_id), run_id=str(run_id))
            resent += 1
    return Swept(lost, resent)
