"""What a run records while it computes, from where its earlier attempts stopped. Imports torch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from apps.runs import recordings
from apps.runs.models import Run, RunAttempt
from attractor import Session
from attractor.recording.column import columns
from attractor.recording.recorder import Recorder, Segment
from attractor.session import BlockReport

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 2**23
"""A segment is cut when so much is held, or with the next checkpoint, or when `runs.checkpoint` seconds have passed."""


class Tape:
    """The recorder of an attempt.

    Args:
        session: about to go on; it is told what to report.
        scratch: a folder of this attempt alone.
        on_stopped: is told, once and with the tick, why nothing more is recorded.

    Raises:
        Fenced: the attempt does not hold the run any more.
    """

    def __init__(
        self, attempt: RunAttempt, run: Run, session: Session, scratch: Path, on_stopped: Callable[[str, int], None]
    ) -> None:
        plan = session.plan
        wanted = columns(plan, [(one["node"], one["port"], one["every"]) for one in run.recording])
        before = recordings.go_on_from(attempt, session.tick)
        last = {} if before is None else before.last
        facts = {
            "tick_seconds": plan.clock.tick_seconds, "ticks": run.ticks, "seed": run.seed,
            "graph_hash": plan.spec.content_hash,
        }  # fmt: skip
        # A recording that had become too large ends where it ended, also in the attempts that follow.
        self._on = (0 if before is None else before.until) == session.tick
        self._recorder = Recorder(wanted, facts, session.tick, last)
        self._on_stopped = on_stopped
        self._folder = scratch / "segments"
        self._every = settings.ATTRACTOR.runs.checkpoint
        self._cut_at = time.monotonic()
        if self._on:
            for one in wanted:
                session.record(one.node, one.port, one.every, last.get(one.name))

    def take(self, report: BlockReport) -> bool:
        """Take what a block recorded; whether it is time for a segment."""
        if not self._on:
            return False
        self._recorder.take(report.recorded, report.tick)
        return self._recorder.held_bytes >= SEGMENT_BYTES or time.monotonic() - self._cut_at >= self._every

    def cut(self) -> Segment | None:
        """What was recorded since the last segment, written to a file; a disk that is full ends the recording."""
        self._cut_at = time.monotonic()
        if not self._on:
            return None
        try:
            return self._recorder.cut(self._folder)
        except Exception as error:
            # Whatever is wrong with it, memory included: the run can do without.
            logger.exception("a segment of the recording could not be written")
            self.stop(f"What it records could not be written ({error})", self._recorder.first)
            return None

    def stop(self, why: str, tick: int) -> None:
        """Record no more."""
        if self._on:
            self._on = False
            self._on_stopped(f"{why}: what follows tick {tick} is not recorded.", tick)
