"""What the worker does while a child runs a run: claim, hand over, watch, and say what the child cannot say itself."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import time

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from apps.runs import selectors, services
from apps.runs.execution.nursery import Child, Nursery
from apps.runs.failure import Failure, out_of_time
from apps.runs.models import RunAttempt, RunCommand
from apps.runs.refusals import Fenced, NotClaimable
from apps.runs.states import RunState
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import scope

logger = logging.getLogger(__name__)

GOODBYE_SECONDS = 5.0
"""Time a child has to end after it has said that it is done."""
ROUNDS = 3
"""How often a worker looks at the queue for one message; whoever is left behind has a message of its own."""
GRACE_SECONDS = 10.0
"""Time that a child has to write that it has taken all its time, before that is done for it."""
STALLED_SECONDS = 60.0
"""A child that has not beaten for so long is killed: nothing inside it runs any more, and its lease is long over."""


def worker_name() -> str:
    """How this process is named in attempts."""
    return f"{socket.gethostname()}:{os.getpid()}"


def supervise(nursery: Nursery) -> None:
    """Execute the next queued run in a child of the nursery; returns when the run is over.

    A message may come twice or late, so there may be nothing to do. Every run is left alone once the worker is shutting
    down: its row stays queued and the sweeper sends its message again.
    """
    if nursery.stopping:
        logger.info("a run is left in the queue because the worker shuts down")
        return
    try:
        claimed = _claimed()
    finally:
        # The child works with connections of its own; none is held here for as long as the run takes.
        connection.close()
    if claimed is None:
        logger.info("nothing to do: no run waits")
        return
    attempt, held = claimed
    workspace_id, run_id = str(attempt.workspace_id), str(attempt.run_id)
    with structlog.contextvars.bound_contextvars(workspace_id=workspace_id, run_id=run_id):
        _follow(attempt, held, nursery)


def _claimed() -> tuple[RunAttempt, float] | None:
    """The first run of the queue that no other worker takes at the same moment, and what earlier attempts at it have
    taken of its time, s."""
    for _ in range(ROUNDS):
        for workspace_id, run_id in selectors.next_in_queue():
            try:
                with scope(workspace_id):
                    attempt = services.claim(run_id, worker_name())
                    return attempt, selectors.seconds_held(attempt.run)
            except (NotClaimable, NotFound) as reason:
                logger.info("a run is taken: %s", reason)
    return None


def _follow(attempt: RunAttempt, held: float, nursery: Nursery) -> None:
    try:
        child = nursery.take()
    except OSError as error:
        why = Failure("child_not_started", f"No process could be started for the run: {error}", _AGAIN)
        _hand_over(attempt, why, counts=False, at_once=False)
        return
    child.pipe.send({
        "op": "run", "workspace_id": str(attempt.workspace_id), "run_id": str(attempt.run_id),
        "attempt": attempt.number,
    })  # fmt: skip
    watched = _Watched(attempt, held, child)
    outcome = watched.follow()
    status = nursery.bury(child, 0.0 if watched.stalled or watched.overdue else GOODBYE_SECONDS)
    if watched.overdue:
        _end_overdue(attempt, watched.tick)
    elif outcome is None:
        _hand_over(attempt, watched.cause_of_death(status))
    else:
        logger.info("the run is over: %s", outcome)


_AGAIN = "Submit the run again. If it happens again, look for the last lines of the run in the worker's log."


class _Watched:
    """A child while it runs one attempt. `held`: seconds that earlier attempts have taken of the run's time."""

    def __init__(self, attempt: RunAttempt, held: float, child: Child) -> None:
        self._attempt = attempt
        self._left = max(0.0, attempt.run.max_seconds - held)
        self._child = child
        self._started = False
        self.stalled = False
        self.overdue = False
        self.tick: int | None = None

    def follow(self) -> str | None:
        """Wait until the child is done (how the run ended), or dead or to be killed (None).

        Until the child has begun it has no threads that keep the lease and read commands, so that is done here.
        """
        runs = settings.ATTRACTOR.runs
        beaten = renewed = time.monotonic()
        # The child counts for itself: this is for one that cannot any more.
        latest = beaten + self._left + GRACE_SECONDS
        while True:
            if time.monotonic() > latest:
                self.overdue = True
                return None
            try:
                message = self._child.pipe.receive(runs.renew if self._started else runs.command_poll)
            except TimeoutError:
                now = time.monotonic()
                if self._started:
                    if now - beaten > max(STALLED_SECONDS, 2 * runs.lease):
                        self.stalled = True
                        return None
                    continue
                if now - renewed > runs.renew:
                    self._renew()
                    renewed = now
                if self._cancelled():
                    return str(RunState.CANCELLED)
                continue
            if message is None:
                return None
            beaten = time.monotonic()
            match message["op"]:
                case "started":
                    self._started = True
                case "beat":
                    self.tick = message["tick"]
                case "ending":
                    # It has come to its end in time, and says which; that takes as long as the database is away.
                    latest = math.inf
                case "done":
                    return str(message["state"])

    def cause_of_death(self, status: int) -> Failure:
        if self.stalled:
            return Failure(
                "child_stalled", "The run's process stopped answering and was killed.", _AGAIN, None, self.tick
            )
        if not self._started and status >= 0:
            return Failure(
                "child_not_started", f"The run's process ended with status {status} before it began.", _AGAIN
            )
        if status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
            mend = f"{_AGAIN} SIGKILL often means that the machine ran out of memory."
        else:
            how, mend = f"ended with status {status}", _AGAIN
        return Failure("child_killed", f"The run's process {how} before the run was over.", mend, None, self.tick)

    def _renew(self) -> None:
        try:
            services.renew(self._attempt)
        except (Fenced, OperationalError, InterfaceError) as error:
            # The child finds out by itself: it can write nothing without the fence.
            logger.warning("the lease could not be renewed while the child starts: %s", error)
        finally:
            connection.close()

    def _cancelled(self) -> bool:
        """Whether the run was cancelled before its child could begin; ends it if so."""
        try:
            with scope(self._attempt.workspace_id):
                commands = selectors.pending_commands(self._attempt.run, 0)
                cancel = next((one for one in commands if one.kind == RunCommand.Kind.CANCEL), None)
                if cancel is None:
                    return False
                services.apply_command(self._attempt, cancel.seq, 0)
                services.finish(self._attempt, RunState.CANCELLED, tick=0)
        except (Fenced, OperationalError, InterfaceError) as error:
            logger.warning("commands could not be read while the child starts: %s", error)
            return False
        finally:
            connection.close()
        self._child.process.kill()
        return True


def _end_overdue(attempt: RunAttempt, tick: int | None) -> None:
    try:
        services.finish(
            attempt, RunState.FAILED, tick=tick, error=out_of_time(attempt.run.max_seconds, tick or attempt.run.tick)
        )
        logger.error("the run's process did not end with its time and was killed")
    except Fenced as fenced:
        logger.warning("the run was ended by somebody else: %s", fenced)
    except (OperationalError, InterfaceError):
        logger.exception("the run's end could not be written; its lease will run out")
    finally:
        connection.close()


def _hand_over(attempt: RunAttempt, why: Failure, **how: bool) -> None:
    try:
        run = services.hand_over(attempt, why, **how)
        logger.error("the attempt is over, the run is %s: %s", run.state, why.message)
    except Fenced as fenced:
        logger.warning("the run was handed over by somebody else: %s", fenced)
    except (OperationalError, InterfaceError):
        logger.exception("the run could not be handed over; its lease will run out")
    finally:
        connection.close()
