"""One round of the sweeper: what dies or gets lost between queue and worker ends or starts again."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.conf import settings

from apps.accounts.sessions import SessionStore
from apps.runs import artifacts, checkpoints, files, selectors, services, trails
from apps.workspaces import deletion
from apps.workspaces.scope import scope

RESEND_AFTER_SECONDS = 10.0
"""A run whose message was sent longer ago and that still waits gets another: the first may be lost. When all workers
are busy it is merely one message too many, which the claim makes harmless."""

LATE_SECONDS = 3600.0
"""For so long after its run is over a checkpoint may still come, of a process that has lost it and does not know."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a round did: runs taken from workers that were lost, messages sent again, runs whose checkpoints went,
    files of artifacts that went, workspaces that were deleted."""

    lost: int = 0
    resent: int = 0
    forgotten: int = 0
    dropped: int = 0
    purged: int = 0


def sweep() -> Swept:
    """Hand over runs whose lease is over, send the messages of runs that wait too long, tidy up after those that ended,
    and after sessions that did.

    Any number of sweepers may run at once: each step is decided under the run's lock.
    """
    lost = resent = forgotten = 0
    for workspace_id, run_id in selectors.expired_leases():
        with scope(workspace_id):
            handed_over = services.hand_over_lost(run_id)
        if handed_over:
            log.error("run_worker_lost", workspace_id=str(workspace_id), run_id=str(run_id))
            lost += 1
    for workspace_id, run_id in selectors.queued_for(RESEND_AFTER_SECONDS):
        with scope(workspace_id):
            sent = services.resend(run_id)
        if sent:
            log.info("run_message_resent", workspace_id=str(workspace_id), run_id=str(run_id))
            resent += 1
    for workspace_id, run_id in selectors.finished_with_checkpoints():
        # Files first: what a storage that is away keeps is found again by its rows.
        if checkpoints.delete_all(workspace_id, run_id):
            with scope(workspace_id):
                services.forget_checkpoints(run_id)
            forgotten += 1
    _tidy_late()
    dropped = _tidy()
    SessionStore.clear_expired()
    purged = sum(deletion.purge(workspace_id, files.AWAY) for workspace_id in deletion.to_purge())
    return Swept(lost, resent, forgotten, dropped, purged)


def _tidy_late() -> None:
    """Delete files of checkpoints that no row names: they came when their run was over, or as its process died."""
    for workspace_id, run_id in selectors.untidied(LATE_SECONDS):
        if not checkpoints.delete_all(workspace_id, run_id):
            return  # a storage that is away is not waited for twice in a round
        with scope(workspace_id):
            services.note_tidied(run_id)


def _tidy() -> int:
    """Delete artifacts and trails that were kept long enough, and files that no artifact has any more; how many
    files."""
    days = settings.ATTRACTOR.runs.keep_days
    for workspace_id, artifact_id in artifacts.outdated(days):
        with scope(workspace_id):
            artifacts.expire(artifact_id)
    for workspace_id, run_id in trails.outdated_trails(days):
        with scope(workspace_id):
            trails.expire_trail(run_id)
    return sum(artifacts.drop_file(workspace_id, content) for workspace_id, content in artifacts.discarded())
