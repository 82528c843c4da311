"""The thread that puts checkpoints of a run into the object storage while the run goes on."""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from apps.runs import checkpoints, files
from apps.runs.execution.thread import RunThread
from apps.runs.models import RunAttempt
from apps.runs.recordings import StoredSegment
from attractor import Session
from attractor.recording.recorder import Segment

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that is in the storage, and has no row yet."""

    content: str
    tick: int
    size: int


class Keeper(RunThread):
    """Keeps a checkpoint every `every` seconds, and what the run recorded.

    A storage that is away or full costs a checkpoint and not the run: the next one is due as if it had been kept.
    A segment of the recording waits for the storage; until it is there no checkpoint after it is kept, for a run that
    went on from that would have lost it.

    Args:
        scratch: a folder of this attempt alone.
        on_kept: is given every checkpoint and segment whose files are in the storage, in their order.
    """

    def __init__(
        self, attempt: RunAttempt, every: float, scratch: Path, on_kept: Callable[[Kept | StoredSegment], None],
        on_broken: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        super().__init__("run-keeper", on_broken)
        self._attempt = attempt
        self._every = every
        self._scratch = scratch
        self._on_kept = on_kept
        self._due = time.monotonic() + every
        self._counting = threading.Condition()
        self._cutting = threading.Lock()
        self._jobs = 0
        self._work: queue.SimpleQueue[tuple[Path, int] | tuple[()] | Segment | list[str] | None] = queue.SimpleQueue()
        self._segments: deque[Segment] = deque()
        self._cut: Callable[[], Segment | None] = lambda: None

    def record(self, cut: Callable[[], Segment | None]) -> None:
        """Have what was recorded kept before every checkpoint; `cut` gives it."""
        self._cut = cut

    def keep_recorded(self) -> None:
        """Keep what was recorded since the last time."""
        # The thread that ends an overdue run cuts beside that of the session: segments come in the order of their cuts.
        with self._cutting:
            segment = self._cut()
            if segment is not None:
                self._begin(segment)

    def offer(self, session: Session) -> None:
        """Keep a checkpoint if one is due and the last one is under way no more. Call it between two blocks."""
        if time.monotonic() >= self._due and self._jobs == 0:
            self.keep(session)

    def keep(self, session: Session) -> None:
        """Keep a checkpoint. Call it between two blocks."""
        self._due = time.monotonic() + self._every
        self.keep_recorded()
        try:
            folder = session.checkpoint(self._scratch)
        except Exception:
            # Whatever is wrong with it, memory included: the run can do without.
            logger.exception("a checkpoint at tick %d could not be written", session.tick)
            return
        self._begin((folder, session.tick))

    def _begin(self, job: tuple[Path, int] | Segment) -> None:
        with self._counting:
            self._jobs += 1
        self._work.put(job)

    def drop(self, contents: list[str]) -> None:
        """Delete checkpoints that have no row any more."""
        if contents:
            self._work.put(contents)

    def retry_recorded(self) -> None:
        """Try segments again that the storage did not take, unless they are under way."""
        with self._counting:
            if self._jobs or not self._segments:
                return
            self._jobs += 1
        self._work.put(())

    def settle(self, seconds: float) -> None:
        """Wait until every checkpoint and segment was tried, or so long."""
        with self._counting:
            self._counting.wait_for(lambda: self._jobs == 0, seconds)

    @property
    def all_recorded(self) -> bool:
        """Whether every segment is in the storage."""
        return self._jobs == 0 and not self._segments

    def close(self) -> None:
        """End when the work at hand is done; nobody waits for it."""
        self._work.put(None)

    def work(self) -> None:
        run, workspace = self._attempt.run_id, self._attempt.workspace_id
        while (job := self._work.get()) is not None:
            if isinstance(job, list):
                checkpoints.delete(workspace, run, job)
                continue
            try:
                if isinstance(job, Segment):
                    self._segments.append(job)
                self._save_segments()
                if isinstance(job, tuple) and job:
                    folder, tick = job
                    size = checkpoints.save(workspace, run, folder)
                    self._on_kept(Kept(folder.name, tick, size))
            except checkpoints.AWAY as error:
                logger.warning("what the run did was not kept: %s", error)
            except Exception:
                # As above; and the next one may succeed, for which this thread has to go on.
                logger.exception("what the run did was not kept")
            finally:
                if isinstance(job, tuple) and job:
                    shutil.rmtree(job[0], ignore_errors=True)
                with self._counting:
                    self._jobs -= 1
                    self._counting.notify_all()

    def _save_segments(self) -> None:
        """Put the segments that wait into the storage, in their order."""
        while self._segments:
            one = self._segments[0]
            files.put(files.segment(self._attempt.workspace_id, self._attempt.run_id, one.content), one.path)
            self._on_kept(StoredSegment(one.content, one.first, one.until, one.size, one.last, one.raw))
            self._segments.popleft()
            one.path.unlink()
