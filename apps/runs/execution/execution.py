"""One run in its child process: the session, and the threads around it. Importing this module imports torch."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict, deque
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from apps.live import valkey
from apps.live.frame import LiveFrame
from apps.live.messages import event_message, progress_message
from apps.live.subscription import Subscription
from apps.runs import selectors, services
from apps.runs.execution import mortality
from apps.runs.execution.diagnosis import diagnose
from apps.runs.execution.lease import Lease
from apps.runs.execution.ledger import Answer, Ledger, Progress, status_payload
from apps.runs.execution.pace import FIRST_BLOCK, next_block
from apps.runs.execution.pipe import Pipe
from apps.runs.execution.publisher import PortRefused, Publisher
from apps.runs.failure import Failure
from apps.runs.models import Run, RunAttempt, RunCommand
from apps.runs.refusals import Fenced
from apps.runs.services import Happening
from apps.runs.states import RunState
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan, Session
from attractor.errors import ControlRejected
from attractor.frame import Frame

logger = logging.getLogger(__name__)

STOP_SECONDS = 1.5
"""A session that has not reached a block boundary this long after it was told to stop is ended from outside."""
LAST_FRAMES_SECONDS = 1.0
MANIFEST = ("graph_hash", "seed", "ticks", "tier", "tier_reason", "device", "versions", "weights", "control_log")
STOPPED = "worker_stopped"


class Execution:
    """Runs one attempt to its end and writes that end exactly once."""

    def __init__(self, workspace_id: str, run_id: str, number: int, pipe: Pipe) -> None:
        self._pipe = pipe
        with scope(workspace_id):
            self._attempt = RunAttempt.objects.select_related("run__graph_version").get(run_id=run_id, number=number)
        self._run: Run = self._attempt.run
        self._session: Session | None = None
        self._progress = Progress(0, 0.0, None, None, paused=False)
        self._early: list[RunCommand] = []
        self._unanswered: defaultdict[str, deque[int]] = defaultdict(deque)
        self._telling = threading.Lock()
        self._ending = threading.Lock()
        self._ended = False
        self._lost = threading.Event()
        self._cancelled = False
        self._stop_reason: Failure | None = None
        self._fault: BaseException | None = None
        config = settings.ATTRACTOR
        self._publisher = Publisher(
            run_id, self, valkey.client(), config.live.frame_rate, config.live.stream_length, self._on_deaf
        )
        self._ledger = Ledger(
            self._attempt, self, self._publisher, config.runs.command_poll, self._on_lost, self._on_fault
        )
        self._lease = Lease(
            self._attempt,
            config.runs.renew,
            config.runs.lease,
            pipe,
            lambda: self._progress.tick,
            self._on_lost,
            self._on_fault,
        )

    def run(self) -> None:
        """Compute the run and write its end. Raises nothing: whatever happens is the run's outcome."""
        structlog.contextvars.bind_contextvars(
            run_id=str(self._run.pk), workspace_id=str(self._run.workspace_id), attempt=self._attempt.number
        )
        self._lease.start()
        self._ledger.start()
        try:
            session = self._prepared()
            self._publisher.start()
            self._compute(session)
        except Exception as error:  # noqa: BLE001 every fault of any node is an outcome of the run
            self._fault = self._fault or error
        self._end()
        self._lease.close()

    # What the ledger and the publisher ask for, on their threads.

    def progress(self) -> Progress:
        return self._progress

    def obey(self, command: RunCommand) -> None:
        """Do a command; one that takes hold at the next block is answered when it has.

        While the session is still being prepared only cancel is done at once; the others wait for it.
        """
        if command.kind == RunCommand.Kind.CANCEL:
            self._cancelled = True
            self._interrupt()
            self._ledger.answer(Answer(command.seq, self._progress.tick))
            return
        with self._telling:
            if self._session is None:
                self._early.append(command)
            else:
                self._do(self._session, command)

    def _do(self, session: Session, command: RunCommand) -> None:
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

    def subscribe(self, wanted: Subscription) -> None:
        """Have the session give frames of a port. Raises PortRefused."""
        try:
            self._running_session().subscribe(wanted.node, wanted.port, take=wanted.take)
        except ControlRejected as rejected:
            raise PortRefused(rejected.problem.as_dict()) from rejected

    def unsubscribe(self, node: str, port: str) -> None:
        self._running_session().unsubscribe(node, port)

    def stop(self) -> None:
        """The worker shuts down: end the run as failed, saying so."""
        self._stop_reason = Failure(
            STOPPED, "The worker that ran it was shut down.", "Submit the run again.", None, self._progress.tick
        )
        self._interrupt()

    # Computing.

    def _prepared(self) -> Session:
        spec = GraphSpec.parse(self._run.graph_version.spec)
        plan = Plan.of(spec)
        session = Session(plan, seed=self._run.seed, ticks=self._run.ticks, block=FIRST_BLOCK)
        with self._telling:
            self._session = session
            for command in self._early:
                self._do(session, command)
        return session

    def _running_session(self) -> Session:
        if self._session is None:
            raise RuntimeError("the session is made before the threads that use it are started")
        return self._session

    def _compute(self, session: Session) -> None:
        if self._cancelled or self._stop_reason is not None or self._lost.is_set():
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
        happenings = []
        for event in events:
            if event.kind == "control":
                # The command's own event tells it, with the same tick.
                with self._telling:
                    seq = self._unanswered[event.data["target"]].popleft()
                self._ledger.answer(Answer(seq, event.tick))
                continue
            payload = {"level": event.level, "node": event.node, "message": event.message, "data": event.data}
            happenings.append(Happening(event.kind, payload, event.tick))
        self._ledger.record(happenings)

    # Ending.

    def _interrupt(self) -> None:
        """Have the session stop at its next block boundary, or be stopped if it does not get there."""
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

    def _on_deaf(self, _: BaseException) -> None:
        """The publisher broke, which its thread has logged: the run goes on unwatched."""

    def _on_fault(self, error: BaseException) -> None:
        self._fault = self._fault or error
        if self._session is not None:
            self._session.cancel()

    def _end_overdue(self) -> None:
        """Runs when the session was told to stop and is still in a block, or in its preparation."""
        if not self._ended and self._end():
            os._exit(0)

    def _end(self) -> bool:
        """Write the end and tell everybody; False when that has been done already."""
        with self._ending:
            if self._ended:
                return False
            mortality.lift_memory_limit()
            self._refuse_unanswered()
            last_event = self._ledger.close() if self._ledger.ident is not None else 0
            state = None if self._lost.is_set() else self._finished()
            self._ended = True
        if state is not None:
            self._publish_end(state, last_event)
        if self._publisher.ident is not None:
            self._publisher.close(LAST_FRAMES_SECONDS)
        self._pipe.send({"op": "done", "state": state or "lost"})
        return True

    def _refuse_unanswered(self) -> None:
        tick = self._progress.tick
        with self._telling:
            left = sorted((seq, target) for target, seqs in self._unanswered.items() for seq in seqs)
            self._unanswered.clear()
        for seq, target in left:
            problem = {"place": target, "message": "The run ended before the next block.", "mend": "Run it again."}
            self._ledger.answer(Answer(seq, tick, problem))

    def _finished(self) -> str | None:
        """Write the end, however long the database is away while the lease lasts; the state, or None when lost."""
        state, error, result = self._outcome()
        while not self._lost.is_set():
            try:
                services.finish(
                    self._attempt,
                    state,
                    tick=self._progress.tick,
                    result=result,
                    result_hash=result["result_hash"] if result else "",
                    error=error,
                    manifest={name: result[name] for name in MANIFEST} if result else None,
                )
            except Fenced as fenced:
                logger.warning("the end of this run is not written: %s", fenced)
                return None
            except (OperationalError, InterfaceError) as failure:
                connection.close()
                logger.warning("the end of the run cannot be written just now: %s", failure)
                self._lost.wait(1.0)
            except Exception as failure:
                if error is not None:
                    raise
                # A result that has no form in the database, for one.
                logger.exception("the result of the run could not be written")
                state, error, result = RunState.FAILED, diagnose(failure, self._progress.tick), None
            else:
                return state
        return None

    def _outcome(self) -> tuple[str, Failure | None, dict[str, Any] | None]:
        if self._fault is not None:
            logger.error("the run failed", exc_info=self._fault)
            return RunState.FAILED, diagnose(self._fault, self._progress.tick), None
        if self._session is not None and self._session.tick == self._session.ticks:
            return RunState.SUCCEEDED, None, self._session.result().as_dict()
        if self._stop_reason is not None and not self._cancelled:
            return RunState.FAILED, self._stop_reason, None
        return RunState.CANCELLED, None, None

    def _publish_end(self, state: str, last_event: int) -> None:
        """Tell viewers the last events, which the ending transaction wrote. They find them in any case."""
        try:
            with scope(self._run.workspace_id):
                rows = selectors.events_after(self._run, last_event, limit=20)
            self._publisher.tell([event_message(row) for row in rows])
            payload = status_payload(self._progress) | {"state": str(state), "eta_s": None, "paused": False}
            self._publisher.tell_status(progress_message(payload, rows[-1].seq if rows else None))
        except (OperationalError, InterfaceError) as error:
            logger.warning("the last events were not published: %s", error)
