"""The thread that puts checkpoints of a run into the object storage while the run goes on."""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from apps.runs import checkpoints
from apps.runs.execution.thread import RunThread
from apps.runs.models import RunAttempt
from attractor import Session

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that is in the storage, and has no row yet."""

    content: str
    tick: int
    size: int


class Keeper(RunThread):
    """Keeps a checkpoint every `every` seconds.

    A storage that is away or full costs a checkpoint and not the run: the next one is due as if it had been kept.

    Args:
        scratch: a folder of this attempt alone.
        on_kept: is given every checkpoint whose files are in the storage.
    """

    def __init__(
        self, attempt: RunAttempt, every: float, scratch: Path, on_kept: Callable[[Kept], None],
        on_broken: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        super().__init__("run-keeper", on_broken)
        self._attempt = attempt
        self._every = every
        self._scratch = scratch
        self._on_kept = on_kept
        self._due = time.monotonic() + every
        self._counting = threading.Condition()
        self._jobs = 0
        self._work: queue.SimpleQueue[tuple[Path, int] | list[str] | None] = queue.SimpleQueue()

    def offer(self, session: Session) -> None:
        """Keep a checkpoint if one is due and the last one is under way no more. Call it between two blocks."""
        if time.monotonic() >= self._due and self._jobs == 0:
            self.keep(session)

    def keep(self, session: Session) -> None:
        """Keep a checkpoint. Call it between two blocks."""
        self._due = time.monotonic() + self._every
        try:
            folder = session.checkpoint(self._scratch)
        except Exception:
            # Whatever is wrong with it, memory included: the run can do without.
            logger.exception("a checkpoint at tick %d could not be written", session.tick)
            return
        with self._counting:
            self._jobs += 1
        self._work.put((folder, session.tick))

    def drop(self, contents: list[str]) -> None:
        """Delete checkpoints that have no row any more."""
        if contents:
            self._work.put(contents)

    def settle(self, seconds: float) -> None:
        """Wait until every checkpoint is in the storage, or so long."""
        with self._counting:
            self._counting.wait_for(lambda: self._jobs == 0, seconds)

    def close(self) -> None:
        """End when the work at hand is done; nobody waits for it."""
        self._work.put(None)

    def work(self) -> None:
        run, workspace = self._attempt.run_id, self._attempt.workspace_id
        while (job := self._work.get()) is not None:
            if isinstance(job, list):
                checkpoints.delete(workspace, run, job)
                continue
            folder, tick = job
            try:
                size = checkpoints.save(workspace, run, folder)
            except checkpoints.AWAY as error:
                logger.warning("a checkpoint at tick %d was not kept: %s", tick, error)
            except Exception:
                # As above; and the next one may succeed, for which this thread has to go on.
                logger.exception("a checkpoint at tick %d was not kept", tick)
            else:
                self._on_kept(Kept(folder.name, tick, size))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                with self._counting:
                    self._jobs -= 1
                    self._counting.notify_all()
