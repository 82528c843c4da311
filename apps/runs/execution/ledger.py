"""The thread between a run and its rows: commands come from PostgreSQL, events and progress go there."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import InterfaceError, OperationalError, connection

from apps.live.messages import event_message, progress_message
from apps.runs import selectors, services
from apps.runs.execution.keeper import Kept
from apps.runs.execution.publisher import Publisher
from apps.runs.execution.thread import RunThread
from apps.runs.models import RunAttempt, RunCommand, RunEvent
from apps.runs.points import DonePoint, record_points
from apps.runs.recordings import StoredSegment, record_segment
from apps.runs.refusals import Fenced
from apps.runs.services import Happening
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import scope

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.5
RETRY_SECONDS = 1.0
EVENTS_HELD = 5000
"""Events waiting to be written; past it the run waits for PostgreSQL."""
EVENTS_A_WRITE = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; None where nothing was measured yet."""

    tick: int
    progress: float
    eta_s: float | None
    ticks_per_s: float | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command: done at a tick, or refused with {place, message, mend}."""

    seq: int
    tick: int
    refusal: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DonePoints:
    """Points of a sweep or fit, to be written and told together."""

    points: tuple[DonePoint, ...]


class Commanded(Protocol):
    """The run as the ledger sees it."""

    def obey(self, command: RunCommand) -> None:
        """Do a command; its answer goes to `Ledger.answer`, now or later."""

    def progress(self) -> Progress: ...

    def dropped(self, contents: list[str]) -> None:
        """Checkpoints have no row any more."""

    def recorded_too_much(self, tick: int) -> None:
        """The recording is as large as it may be: what was recorded from a tick on is not kept."""


class Ledger(RunThread):
    """Reads commands every `every` seconds and writes what happened, in order, each write under the fence.

    A database that is away delays the writes; the lease decides when the run has to give up. `on_lost` is called when
    the fence refuses a write, `on_broken` with any fault that waiting does not mend; the thread then ends.
    """

    def __init__(
        self,
        attempt: RunAttempt,
        commanded: Commanded,
        publisher: Publisher,
        every: float,
        on_lost: Callable[[str], None],
        on_broken: Callable[[BaseException], None],
    ) -> None:
        super().__init__("run-ledger", on_broken)
        self._attempt = attempt
        self._commanded = commanded
        self._publisher = publisher
        self._every = every
        self._on_lost = on_lost
        self._changed = threading.Condition()
        self._entries: deque[Happening | Answer | Kept | StoredSegment | DonePoints] = deque()
        self._closing = False
        self._given_up = False
        self._commands_read = 0
        self._commands_at = 0.0
        self._progress_at = 0.0
        self._written: Progress | None = None
        # Read after the run was claimed, since when nobody else tells anything of it.
        self._last_event: int = attempt.run.last_event

    def record(self, happenings: Sequence[Happening | DonePoints]) -> None:
        """Have events, or points, written. Blocks while too many wait: the run is no faster than PostgreSQL."""
        with self._changed:
            while len(self._entries) >= EVENTS_HELD and not self._given_up:
                self._changed.wait()
            self._entries.extend(happenings)
            self._changed.notify_all()

    def tell(self, happening: Happening) -> None:
        """Have an event written, without waiting: the writing thread itself may say something."""
        with self._changed:
            self._entries.append(happening)
            self._changed.notify_all()

    def answer(self, answer: Answer) -> None:
        """Have the answer to a command written, with an event that tells it."""
        with self._changed:
            self._entries.append(answer)
            self._changed.notify_all()

    def kept(self, kept: Kept | StoredSegment) -> None:
        """Have the row of a checkpoint or a segment written, after all that the run has told up to it: what it
        knows is then known."""
        with self._changed:
            self._entries.append(kept)
            self._changed.notify_all()

    def close(self) -> int:
        """Write everything that waits and end; the number of the last event written. Returns at once when lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self.join()
        return self._last_event

    def give_up(self) -> None:
        """End without writing any more: the run is lost."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    def work(self) -> None:
        try:
            while self._wait():
                try:
                    self._serve()
                except (OperationalError, InterfaceError) as error:
                    connection.close()
                    logger.warning("the run's rows cannot be written just now: %s", error)
                    self._pause(RETRY_SECONDS)
        except Fenced as error:
            self._on_lost(str(error))
        finally:
            self.give_up()

    def _wait(self) -> bool:
        """Wait until there is something to do; False when all is done or given up."""
        with self._changed:
            if not self._entries and not self._closing and not self._given_up:
                self._changed.wait(max(0.0, self._commands_at - time.monotonic()))
            return not self._given_up and (bool(self._entries) or not self._closing)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._given_up, seconds)

    def _serve(self) -> None:
        now = time.monotonic()
        if now >= self._commands_at and not self._closing:
            self._read_commands()
            self._commands_at = now + self._every
        self._write_entries()
        if now >= self._progress_at and not self._closing:
            self._write_progress(self._commanded.progress())
            self._progress_at = now + PROGRESS_SECONDS

    def _read_commands(self) -> None:
        with scope(self._attempt.workspace_id):
            commands = selectors.pending_commands(self._attempt.run, self._commands_read)
        for command in commands:
            self._commands_read = command.seq
            self._commanded.obey(command)

    def _write_entries(self) -> None:
        while batch := self._next_batch():
            rows: list[RunEvent] = []
            match batch[0]:
                case Answer(seq, tick, refusal):
                    rows = self._answered(seq, tick, refusal)
                case Kept(content, tick, size):
                    self._commanded.dropped(services.record_checkpoint(self._attempt, content, tick, size))
                case StoredSegment() as segment:
                    if not record_segment(self._attempt, segment):
                        self._commanded.recorded_too_much(segment.first)
                case DonePoints(done):
                    rows = record_points(self._attempt, done, after=self._last_event)
                case _:
                    happenings = [one for one in batch if isinstance(one, Happening)]
                    rows = services.record_events(self._attempt, happenings, after=self._last_event)
            with self._changed:
                for _ in batch:
                    self._entries.popleft()
                self._changed.notify_all()
            if rows:
                self._last_event = rows[-1].seq
                self._publisher.tell([event_message(row) for row in rows])

    def _answered(self, seq: int, tick: int, refusal: dict[str, str] | None) -> list[RunEvent]:
        try:
            return [services.apply_command(self._attempt, seq, tick, refusal)]
        except NotFound:
            # Written already by a try whose success was not heard of.
            return services.record_events(self._attempt, [], after=self._last_event)

    def _next_batch(self) -> list[Happening | Answer | Kept | StoredSegment | DonePoints]:
        """The entries of the next write, left in place until it has succeeded: a row of events, or one other."""
        with self._changed:
            batch: list[Happening | Answer | Kept | StoredSegment | DonePoints] = []
            for entry in self._entries:
                if not isinstance(entry, Happening):
                    return batch or [entry]
                batch.append(entry)
                if len(batch) == EVENTS_A_WRITE:
                    break
            return batch

    def _write_progress(self, progress: Progress) -> None:
        if progress != self._written:
            services.record_progress(
                self._attempt, progress.tick, progress.progress, progress.eta_s, progress.ticks_per_s
            )
            self._written = progress
        self._publisher.tell_status(progress_message(status_payload(progress), self._last_event or None))


def status_payload(progress: Progress) -> dict[str, Any]:
    """The payload of a running run's transient status."""
    return {
        "state": "running",
        "tick": progress.tick,
        "progress": progress.progress,
        "eta_s": progress.eta_s,
        "ticks_per_s": progress.ticks_per_s,
        "paused": progress.paused,
    }
