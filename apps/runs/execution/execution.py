"""One run in its child process: the session, and the threads around it. Importing this module imports torch."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from apps.live import valkey
from apps.live.frame import LiveFrame
from apps.live.messages import event_message, progress_message
from apps.live.subscription import Subscription
from apps.runs import checkpoints, recordings, scratch, selectors, services
from apps.runs.execution import mortality
from apps.runs.execution.away import is_away
from apps.runs.execution.computation import Computation
from apps.runs.execution.diagnosis import diagnose
from apps.runs.execution.keeper import Keeper
from apps.runs.execution.lease import Lease
from apps.runs.execution.ledger import Answer, Ledger, Progress, status_payload
from apps.runs.execution.pace import FIRST_BLOCK, next_block
from apps.runs.execution.pipe import Pipe
from apps.runs.execution.publisher import PortRefused, Publisher
from apps.runs.execution.tape import Tape
from apps.runs.failure import Failure, out_of_time
from apps.runs.models import Run, RunAttempt, RunCommand
from apps.runs.refusals import Fenced
from apps.runs.services import Happening
from apps.runs.states import RunState
from apps.runs.verdicts import KeptTrail
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan, Session
from attractor.control import ControlChange
from attractor.errors import CheckpointRefused, ControlRejected
from attractor.frame import Frame

logger = logging.getLogger(__name__)

T = TypeVar("T")

STOP_SECONDS = 1.5
"""A session that has not reached a block boundary this long after it was told to stop is ended from outside."""
LAST_FRAMES_SECONDS = 1.0
CANCEL_SECONDS = 1.8
"""How long after a run was cancelled its end waits for the storage, at most."""
LEAST_SECONDS = 0.2
"""What a storage that is there may take for it even when the run came to its end late."""
LAST_CHECKPOINT_SECONDS = 3.0
"""How long a worker that shuts down waits for the storage."""
STORAGE_SECONDS = 60.0
"""How long a run waits for a storage that is away before another attempt tries."""
STORAGE_RETRY_SECONDS = 2.0
MANIFEST = (
    "graph_hash", "seed", "ticks", "tier", "tier_reason", "device", "versions", "kinds", "weights", "control_log",
)  # fmt: skip
END_TRIES = 3
STOPPED = "worker_stopped"
LATE = "the database could not be reached until the lease ran out"


class NotReached(Exception):
    """What a run goes on from could not be fetched for as long as anybody would wait."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends. `queued`: the run goes on, and the error says why this attempt does not."""

    state: RunState
    error: Failure | None
    result: dict[str, Any] | None
    trail: KeptTrail | None = None


class Execution:
    """Runs one attempt to its end and writes that end exactly once.

    The attempt goes on from the run's last checkpoint. What earlier attempts did after it is done again at the same
    ticks: controls that were set and triggers that were fired are replayed, and what the session says again is not
    recorded twice. So the end is that of a run that was never disturbed.
    """

    def __init__(self, workspace_id: str, run_id: str, number: int, pipe: Pipe) -> None:
        self._pipe = pipe
        with scope(workspace_id):
            self._attempt = RunAttempt.objects.select_related("run__graph_version").get(run_id=run_id, number=number)
            self._followed = selectors.reproduction(self._attempt.run)
        self._run: Run = self._attempt.run
        self._session: Computation | None = None
        self._progress = Progress(0, 0.0, None, None, paused=False)
        self._early: list[RunCommand] = []
        self._replayed: Counter[tuple[int, str]] = Counter()
        self._told: Counter[tuple[int | None, Any, Any]] = Counter()
        self._unanswered: defaultdict[str, deque[int]] = defaultdict(deque)
        self._telling = threading.Lock()
        self._ending = threading.Lock()
        self._ended = False
        self._gone = threading.Event()
        self._outcome: Ending | None = None
        self._lost = threading.Event()
        self._late = threading.Event()
        # Set with whatever interrupts the run, for those who wait for something else.
        self._interrupted = threading.Event()
        self._cancelled = False
        self._cancelled_at: float | None = None
        self._out_of_time: Failure | None = None
        self._stop_reason: Failure | None = None
        self._fault: BaseException | None = None
        config = settings.ATTRACTOR
        self._publisher = Publisher(
            run_id, self, valkey.client(), config.live.frame_rate, config.live.stream_length, self._on_deaf
        )
        self._ledger = Ledger(
            self._attempt, self, self._publisher, config.runs.command_poll, self._on_lost, self._on_fault
        )
        self._scratch = scratch.named(f"{run_id}-{number}")
        self._keeper = Keeper(self._attempt, config.runs.checkpoint, self._scratch, self._ledger.kept, self._on_unkept)
        self._tape: Tape | None = None
        self._lease = Lease(
            self._attempt,
            config.runs.renew,
            config.runs.lease,
            pipe,
            lambda: self._progress.tick,
            self._on_lost,
            self._on_late,
            self._on_fault,
        )

    def run(self) -> None:
        """Compute the run and write its end. Raises nothing: whatever happens is the run's outcome."""
        scratch.sweep()
        structlog.contextvars.bind_contextvars(
            run_id=str(self._run.pk), workspace_id=str(self._run.workspace_id), attempt=self._attempt.number
        )
        self._lease.start()
        self._ledger.start()
        clock = None
        try:
            clock = self._clock()
            self._advance()
        except Exception as error:  # noqa: BLE001 every fault of any node is an outcome of the run
            self._fault = self._fault or error
        if not self._end():
            # The process must not go before the thread that ends it has tidied up.
            self._gone.wait()
        if clock is not None:
            clock.cancel()
        self._lease.close()

    def _clock(self) -> threading.Timer:
        """Ends the run when its attempts have taken the time that it may take."""
        # Of this attempt, the time in which its process started counts too: a worker was held.
        since = (timezone.now() - self._attempt.started_at).total_seconds()
        left = self._run.max_seconds - since - self._patiently(lambda: selectors.seconds_held(self._run))
        clock = threading.Timer(max(0.0, left), self._on_out_of_time)
        clock.daemon = True
        clock.start()
        return clock

    # What the ledger and the publisher ask for, on their threads.

    def progress(self) -> Progress:
        return self._progress

    def obey(self, command: RunCommand) -> None:
        """Do a command; one that takes hold at the next block is answered when it has.

        While the session is still being prepared only cancel is done at once; the others wait for it.
        """
        if command.kind == RunCommand.Kind.CANCEL:
            self._cancelled, self._cancelled_at = True, time.monotonic()
            self._interrupt()
            self._ledger.answer(Answer(command.seq, self._progress.tick))
            return
        with self._telling:
            if self._session is None:
                self._early.append(command)
            else:
                self._do(self._session, command)

    def _do(self, session: Computation, command: RunCommand) -> None:
        """Do a command while `_telling` is held: the session's report of it must find its number."""
        payload = command.payload
        try:
            if command.kind == RunCommand.Kind.CONTROL:
                session.set_control(payload["target"], payload["value"])
                self._unanswered[payload["target"]].append(command.seq)
            elif command.kind == RunCommand.Kind.TRIGGER:
                session.trigger(payload["target"])
                self._unanswered[payload["target"]].append(command.seq)
            else:
                pause = command.kind == RunCommand.Kind.PAUSE
                (session.pause if pause else session.resume)()
                self._note(paused=pause)
                self._ledger.answer(Answer(command.seq, session.tick))
        except ControlRejected as rejected:
            self._ledger.answer(Answer(command.seq, session.tick, rejected.problem.as_dict()))

    def dropped(self, contents: list[str]) -> None:
        self._keeper.drop(contents)

    def recorded_too_much(self, tick: int) -> None:
        if self._tape is not None:
            self._tape.stop("The recording is as large as it may be", tick)

    def _say(self, message: str, tick: int, level: str = "warning") -> None:
        said: dict[str, Any] = {"level": level, "node": None, "message": message, "data": {}}
        self._ledger.tell(Happening("log", said, tick))

    def subscribe(self, wanted: Subscription) -> None:
        """Have the session give frames of a port. Raises PortRefused."""
        try:
            self._running_session().subscribe(wanted.node, wanted.port, take=wanted.take)
        except ControlRejected as rejected:
            raise PortRefused(rejected.problem.as_dict()) from rejected

    def unsubscribe(self, node: str, port: str) -> None:
        self._running_session().unsubscribe(node, port)

    def stop(self) -> None:
        """The worker shuts down: keep a checkpoint and hand the run over."""
        self._stop_reason = Failure(
            STOPPED, "The worker that ran it was shut down.", "It goes on by itself.", None, self._progress.tick
        )
        if self._late.is_set():
            self._on_lost(LATE)
        self._interrupt()

    # Computing.

    def _advance(self) -> None:
        """Compute until the end, or until told to stop."""
        session = self._prepared()
        self._patiently(lambda: services.record_manifest(self._attempt, session.manifest()))
        if self._run.recording:
            self._tape = self._patiently(lambda: Tape(self._attempt, self._run, session, self._scratch, self._say))
            self._keeper.record(self._tape.cut)
        self._take_up(session)
        self._publisher.start()
        self._keeper.start()
        self._compute(session)

    def _take_up(self, session: Computation) -> None:
        """Let the threads around it have what is computed, and do what was told it so far."""
        with self._telling:
            self._session = session
            for command in self._early:
                self._do(session, command)

    def _prepared(self) -> Session:
        spec = GraphSpec.parse(self._run.graph_version.spec)
        plan = Plan.of(spec)
        again = self._attempt.number > 1
        session = self._resumed(plan) if again else None
        if session is None:
            past = self._past(0) if again or self._followed is not None else ()
            tier = "auto" if self._followed is None else self._followed.manifest["tier"]
            session = Session(
                plan, self._run.seed, self._run.ticks, FIRST_BLOCK, tier=tier, controls=past, trail=True
            )  # fmt: skip
        if self._run.paused:
            session.pause()
        self._note(tick=session.tick, progress=session.tick / session.ticks, paused=session.paused)
        return session

    def _resumed(self, plan: Plan) -> Session | None:
        """The session of the furthest checkpoint that can be read; None when there is none."""
        away = None
        deadline = time.monotonic() + STORAGE_SECONDS
        for one in self._patiently(lambda: selectors.checkpoints(self._run)):
            try:
                folder = self._fetched(one.content, deadline)
                session = Session.restore(folder, plan, controls=self._past(one.tick))
            except NotReached as error:
                away = error
            except CheckpointRefused as refused:
                logger.warning("a checkpoint is not usable: %s", refused)
            else:
                session.block = FIRST_BLOCK
                logger.info("the run goes on from tick %d", session.tick)
                return session
        if away is not None:
            raise away
        return None

    def _patiently(self, read: Callable[[], T]) -> T:
        """What is read of the run's rows, however long the database is away while the lease lasts."""
        while True:
            try:
                with scope(self._run.workspace_id):
                    return read()
            except (OperationalError, InterfaceError) as error:
                connection.close()
                if self._interrupted.wait(1.0):
                    raise NotReached(f"The database cannot be reached: {error}") from error
                logger.warning("the run's rows cannot be read just now: %s", error)

    def _fetched(self, content: str, deadline: float) -> Path:
        """A checkpoint from the storage, for which it waits. Raises `NotReached`."""
        while True:
            try:
                return checkpoints.load(self._run.workspace_id, self._run.pk, content, self._scratch)
            except checkpoints.AWAY as error:
                shutil.rmtree(self._scratch / content, ignore_errors=True)
                if time.monotonic() > deadline or self._interrupted.is_set():
                    raise NotReached(f"The storage of checkpoints cannot be reached: {error}") from error
                logger.warning("a checkpoint cannot be fetched just now: %s", error)
                self._interrupted.wait(STORAGE_RETRY_SECONDS)

    def _past(self, tick: int) -> list[ControlChange]:
        """What earlier attempts did after a tick, or the run that this one reproduces. What they said after it is
        remembered: it will be said again."""
        self._told = Counter(self._patiently(lambda: selectors.told_from(self._run, tick)))
        if self._followed is None:
            commands = self._patiently(lambda: selectors.controls_from(self._run, tick))
            changes = [ControlChange(one.applied_tick or 0, one.payload["target"], _value(one)) for one in commands]
        else:
            log = [ControlChange(**one) for one in self._followed.manifest["control_log"]]
            changes = [change for change in log if change.tick >= tick]
        self._replayed = Counter((change.tick, change.target) for change in changes)
        return changes

    def _running_session(self) -> Computation:
        if self._session is None:
            raise RuntimeError("the session is made before the threads that use it are started")
        return self._session

    def _compute(self, session: Session) -> None:
        if self._cancelled or self._out_of_time or self._stop_reason or self._lost.is_set():
            return
        begun = time.perf_counter()
        for report in session:
            self._note(
                tick=report.tick,
                progress=report.progress,
                eta_s=report.eta_s,
                ticks_per_s=report.ticks_per_s,
                paused=session.paused,
            )
            if report.frames:
                self._publisher.offer([self._live(frame) for frame in report.frames])
            if report.events:
                self._tell(report.events)
            if self._tape is not None and self._tape.take(report):
                self._keeper.keep_recorded()
            self._keeper.offer(session)
            session.block = next_block(report.tick - report.first, time.perf_counter() - begun)
            begun = time.perf_counter()

    def _note(self, **changes: Any) -> None:
        known = self._progress
        self._progress = Progress(
            **{name: changes.get(name, getattr(known, name)) for name in Progress.__dataclass_fields__}
        )

    def _live(self, frame: Frame) -> LiveFrame:
        return LiveFrame(
            run=str(self._run.pk),
            node=frame.node,
            port=frame.port,
            kind=frame.kind,
            source=frame.source,
            ticks=frame.ticks,
            t=frame.t,
            data=frame.data,
            seq=frame.seq,
        )

    def _tell(self, events: Any) -> None:
        if self._outcome is not None:
            return  # the end is being written without waiting for this block
        happenings = []
        for event in events:
            if event.kind == "control":
                # The command's own event tells it, with the same tick.
                with self._telling:
                    if self._replayed[event.tick, event.data["target"]] > 0:
                        self._replayed[event.tick, event.data["target"]] -= 1
                        continue
                    seq = self._unanswered[event.data["target"]].popleft()
                self._ledger.answer(Answer(seq, event.tick))
                continue
            payload = {"level": event.level, "node": event.node, "message": event.message, "data": event.data}
            if self._told[event.tick, event.node, event.message] > 0:
                self._told[event.tick, event.node, event.message] -= 1
                continue
            happenings.append(Happening(event.kind, payload, event.tick))
        self._ledger.record(happenings)

    # Ending.

    def _interrupt(self) -> None:
        """Have the session stop at its next block boundary, or be stopped if it does not get there."""
        self._interrupted.set()
        if self._session is not None:
            self._session.cancel()
        overdue = threading.Timer(STOP_SECONDS, self._end_overdue)
        overdue.daemon = True
        overdue.start()

    def _on_lost(self, reason: str) -> None:
        if not self._ended:
            logger.warning("this attempt has lost its run and stops: %s", reason)
        self._lost.set()
        self._ledger.give_up()
        self._interrupt()

    def _on_late(self) -> bool:
        """The lease has run out because the database is away; whether the run is given up.

        An end that has come is written when the database is back, unless somebody else has the run by then: the fence
        tells. Nobody waits for that whose worker is shut down.
        """
        self._late.set()
        if self._outcome is not None and self._stop_reason is None:
            return False
        self._on_lost(LATE)
        return True

    def _on_deaf(self, _: BaseException) -> None:
        """The publisher broke, which its thread has logged: the run goes on unwatched."""

    def _on_unkept(self, error: BaseException) -> None:
        """The keeper broke, which its thread has logged: the run goes on without further checkpoints."""

    def _on_out_of_time(self) -> None:
        self._out_of_time = out_of_time(self._run.max_seconds, self._progress.tick)
        self._interrupt()

    def _on_fault(self, error: BaseException) -> None:
        self._fault = self._fault or error
        if self._session is not None:
            self._session.cancel()

    def _end_overdue(self) -> None:
        """Runs when the session was told to stop and is still in a block, or in its preparation."""
        if not self._ended and self._end(overdue=True):
            os._exit(0)

    def _end(self, *, overdue: bool = False) -> bool:
        """Write the end and tell everybody; False when that has been done already.

        Args:
            overdue: the session is in the middle of a block and has no state to keep.
        """
        with self._ending:
            if self._ended:
                return False
            mortality.lift_memory_limit()
            self._outcome = outcome = self._found()
            self._pipe.send({"op": "ending"})
            if outcome.state is not RunState.QUEUED:
                # What a run that goes on has not done yet is still to be done by its next attempt.
                self._refuse_unanswered()
                if self._tape is not None and self._keeper.ident is not None and not self._lost.is_set():
                    self._keep_tape()
            elif self._may_keep(overdue) and isinstance(self._session, Session):
                self._keeper.keep(self._session)
                self._keeper.settle(LAST_CHECKPOINT_SECONDS)
            last_event = self._ledger.close() if self._ledger.ident is not None else 0
            self._keeper.close()
            run = None if self._lost.is_set() else self._finished(outcome)
            self._ended = True
        try:
            if run is not None:
                self._publish_end(run, last_event)
            if self._publisher.ident is not None:
                self._publisher.close(LAST_FRAMES_SECONDS)
            if run is not None:
                self._gather(run)
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._pipe.send({"op": "done", "state": run.state if run is not None else "lost"})
        finally:
            self._gone.set()
        return True

    def _may_keep(self, overdue: bool) -> bool:
        return self._keeper.ident is not None and not (overdue or self._lost.is_set())

    def _keep_tape(self) -> None:
        """Keep what was recorded up to the end, for which the run waits as long as for its checkpoints; who cancels,
        now or while it waits, does not wait for a storage that is away."""
        since = time.monotonic()
        self._keeper.keep_recorded()
        while not self._keeper.all_recorded and self._keeper.is_alive() and not self._lost.is_set():
            deadline = since + STORAGE_SECONDS
            if self._cancelled_at is not None:
                deadline = min(deadline, max(self._cancelled_at + CANCEL_SECONDS, since + LEAST_SECONDS))
            left = deadline - time.monotonic()
            if left <= 0.0:
                break
            self._keeper.settle(min(STORAGE_RETRY_SECONDS / 4, left))
            if not self._keeper.all_recorded:
                self._lost.wait(max(0.0, min(STORAGE_RETRY_SECONDS / 4, deadline - time.monotonic())))
                self._keeper.retry_recorded()
        if not self._keeper.all_recorded:
            message = "The storage did not take the end of what the run recorded: the recording is incomplete."
            self._say(message, self._progress.tick, "error")

    def _gather(self, run: Run) -> None:
        """Put the recording together; what hinders it now does not hinder the sweeper later."""
        if self._tape is None or not run.is_final:
            return
        try:
            recordings.gather(run.workspace_id, run.pk)
        except (OperationalError, InterfaceError, *checkpoints.AWAY) as error:
            logger.warning("the recording is not put together yet: %s", error)
        except Exception:
            # The run is over, and how it ended is written.
            logger.exception("the recording could not be put together")

    def _refuse_unanswered(self) -> None:
        tick = self._progress.tick
        with self._telling:
            left = sorted((seq, target) for target, seqs in self._unanswered.items() for seq in seqs)
            self._unanswered.clear()
        for seq, target in left:
            problem = {"place": target, "message": "The run ended before the next block.", "mend": "Run it again."}
            self._ledger.answer(Answer(seq, tick, problem))

    def _finished(self, outcome: Ending) -> Run | None:
        """Write the end, however long the database is away; the run, or None when lost.

        What a database that is there refuses is tried `END_TRIES` times; then the run fails of it.
        """
        state, error, result = outcome.state, outcome.error, outcome.result
        since, tries = time.monotonic(), 0
        while not self._lost.is_set():
            try:
                if state is RunState.QUEUED and error is not None:
                    stopped = self._stop_reason is not None
                    return services.hand_over(self._attempt, error, counts=False, at_once=stopped)
                return services.finish(
                    self._attempt,
                    state,
                    tick=self._progress.tick,
                    result=result,
                    result_hash=result["result_hash"] if result else "",
                    error=error,
                    manifest={name: result[name] for name in MANIFEST} if result else self._manifest(),
                    trail=outcome.trail if result else None,
                    waited=time.monotonic() - since,
                )
            except Fenced as fenced:
                logger.warning("the end of this run is not written: %s", fenced)
                return None
            except (OperationalError, InterfaceError) as failure:
                connection.close()
                logger.warning("the end of the run cannot be written just now: %s", failure)
                tries += not is_away(failure)
                if tries >= END_TRIES:
                    if error is not None:
                        raise
                    state, error, result, tries = RunState.FAILED, diagnose(failure, self._progress.tick), None, 0
                self._lost.wait(1.0)
            except Exception as failure:
                if error is not None:
                    raise
                # A result that has no form in the database, for one.
                logger.exception("the result of the run could not be written")
                state, error, result = RunState.FAILED, diagnose(failure, self._progress.tick), None
        return None

    def _manifest(self) -> dict[str, Any] | None:
        """What was computed with and done to a run that ends before its end; None when nothing was."""
        return self._session.manifest() if isinstance(self._session, Session) else None

    def _trail(self) -> KeptTrail | None:
        trail = self._session.finished_trail() if isinstance(self._session, Session) else None
        return None if trail is None else KeptTrail(trail.describe(), trail.packed())

    def _found(self) -> Ending:
        """How the run ends, as things stand."""
        if self._session is not None and self._session.tick == self._session.ticks and self._fault is None:
            return Ending(RunState.SUCCEEDED, None, self._session.result().as_dict(), self._trail())
        if self._cancelled and (self._fault is None or isinstance(self._fault, NotReached)):
            return Ending(RunState.CANCELLED, None, None)
        if self._out_of_time is not None and (self._fault is None or isinstance(self._fault, NotReached)):
            return Ending(RunState.FAILED, self._out_of_time, None)
        if isinstance(self._fault, NotReached):
            away = Failure("not_reached", str(self._fault), "It goes on by itself.", None, self._progress.tick)
            return Ending(RunState.QUEUED, away, None)
        if self._fault is not None:
            logger.error("the run failed", exc_info=self._fault)
            return Ending(RunState.FAILED, diagnose(self._fault, self._progress.tick), None)
        if self._stop_reason is not None:
            return Ending(RunState.QUEUED, self._stop_reason, None)
        return Ending(RunState.CANCELLED, None, None)

    def _publish_end(self, run: Run, last_event: int) -> None:
        """Tell viewers the last events, which the ending transaction wrote. They find them in any case."""
        try:
            with scope(run.workspace_id):
                rows = selectors.events_after(run, last_event, limit=20)
            self._publisher.tell([event_message(row) for row in rows])
            there = {"tick": run.tick, "progress": run.progress, "paused": run.paused}
            payload = status_payload(self._progress) | there | {"state": run.state, "eta_s": None}
            self._publisher.tell_status(progress_message(payload, rows[-1].seq if rows else None))
        except (OperationalError, InterfaceError) as error:
            logger.warning("the last events were not published: %s", error)


def _value(command: RunCommand) -> Any:
    return command.payload["value"] if command.kind == RunCommand.Kind.CONTROL else True
