"""Child processes waiting for a run: Python, Django, torch and the node kinds are imported before they are needed."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import Future

from apps.runs.execution.pipe import Pipe

logger = logging.getLogger(__name__)

REPLACE_AFTER_SECONDS = 1.0
"""A spare that was taken is replaced this much later, so that its imports do not delay the run's first ticks."""


class Child:
    """A child process and the pipe to it."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: Pipe) -> None:
        self.process = process
        self.pipe = pipe

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self, patience: float) -> int:
        """Close the pipe, wait, kill when it takes longer than `patience` seconds; the exit status."""
        self.pipe.close()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Nursery:
    """Keeps `spares` warm children and gives one to each run. A child serves one run and is never used again.

    Every child is started by one thread that lives as long as the process: the system's parent-death signal follows
    the *thread* that started a child, so a thread of the pool that ended would take its children along.
    """

    def __init__(self, spares: int, command: tuple[str, ...] = (sys.executable, "-m", "apps.runs.execution.child")):
        self._spares = spares
        self._command = command
        self._idle: list[Child] = []
        self._used: set[Child] = set()
        self._lock = threading.Lock()
        self._orders: queue.SimpleQueue[Future[Child]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._replace_at: float | None = None
        self._stopping = threading.Event()
        self._closed = threading.Event()

    def open(self) -> None:
        """Start warming spares. Does nothing when they are being kept already."""
        with self._lock:
            if self._thread is None:
                self._replace_at = 0.0
                self._thread = threading.Thread(target=self._tend, name="run-nursery", daemon=True)
                self._thread.start()

    def take(self) -> Child:
        """A child of one's own: a spare when there is one that lives, else a fresh one that still has to import."""
        self.open()
        with self._lock:
            while self._idle:
                child = self._idle.pop(0)
                if child.alive:
                    self._used.add(child)
                    self._replace_at = time.monotonic() + REPLACE_AFTER_SECONDS
                    return child
                child.end(0.0)
        order: Future[Child] = Future()
        self._orders.put(order)
        child = order.result()
        with self._lock:
            self._used.add(child)
        return child

    def bury(self, child: Child, patience: float = 0.0) -> int:
        """Make sure that a child that was taken is gone; its exit status (negative: the signal)."""
        status = child.end(patience)
        with self._lock:
            self._used.discard(child)
        return status

    @property
    def idle(self) -> bool:
        """Whether no child is taken."""
        with self._lock:
            return not self._used

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ask running children to stop and let the spares go. Safe in a signal handler: another thread does it."""
        self._stopping.set()

    def close(self) -> None:
        """Stop and wait until the spares are gone. No child can be taken any more."""
        self._stopping.set()
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _tend(self) -> None:
        # Orders are served to the very end: whoever waits for a child gets one, and it is told to stop.
        told: set[Child] = set()
        while not self._closed.is_set():
            with contextlib.suppress(queue.Empty):
                self._fill(self._orders.get(timeout=0.1))
            if self.stopping:
                told |= self._tell_to_stop(told)
            else:
                self._replace()
        self._tell_to_stop(told)

    def _tell_to_stop(self, told: set[Child]) -> set[Child]:
        with self._lock:
            idle, self._idle = self._idle, []
            running = self._used - told
        for child in running:
            child.pipe.send({"op": "stop"})
        for child in idle:
            child.end(1.0)
        return running

    def _fill(self, order: Future[Child]) -> None:
        try:
            order.set_result(self._start())
        except OSError as error:
            order.set_exception(error)

    def _replace(self) -> None:
        with self._lock:
            due = self._replace_at is not None and time.monotonic() >= self._replace_at
            missing = self._spares - len(self._idle)
            if due:
                self._replace_at = None
        for _ in range(missing if due else 0):
            try:
                child = self._start()
            except OSError:
                logger.exception("a spare child process could not be started; the next run starts its own")
                return
            with self._lock:
                self._idle.append(child)

    def _start(self) -> Child:
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: S603 our own module by our own interpreter
                [*self._command, str(os.getpid()), str(down_read), str(up_write)],
                stdin=subprocess.DEVNULL,
                pass_fds=(down_read, up_write),
            )
        except OSError:
            os.close(down_write)
            os.close(up_read)
            raise
        finally:
            os.close(down_read)
            os.close(up_write)
        return Child(process, Pipe(up_read, down_write))
