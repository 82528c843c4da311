"""Runs one program and leaves nothing of it behind. Started as a script, one keeper for each program.

    python -I keeper.py --lock FILE --stop SIGNAL --grace SECONDS -- PROGRAM ARGUMENT…

The keeper's standard input is a pipe whose other end the launcher holds and never writes to. The pipe ends when the
launcher closes it or dies, be it by `kill -9`; then the keeper sends the stop signal, waits for the grace period and
kills whatever is left. On Linux it is the subreaper of everything below it: a grandchild whose parent has died
becomes the keeper's child and is found, wherever it has moved its session or process group. Should the keeper itself
be killed, the kernel kills the program (PR_SET_PDEATHSIG).

The lock keeps a second instance from starting on the same data while the first is still going down.

Only the standard library is imported, so that a keeper starts quickly and weighs little.
"""

import argparse
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOPPED_BEFORE_START = 0


def prctl(option: int, argument: int) -> None:
    """Call prctl(2); raises OSError when the kernel refuses."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def die_with_keeper() -> None:
    """Runs between fork and exec of the program: no death of the keeper leaves it behind."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """The program and every orphan below it: one place that waits for them, so that no zombie is kept."""

    def __init__(self, command: list[str], passed: list[int]) -> None:
        self.process = subprocess.Popen(  # noqa: S603 the launcher hands in its own command lines
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=passed,
            preexec_fn=die_with_keeper if LINUX else os.setpgrp,  # noqa: PLW1509 single-threaded
        )
        self.pid = self.process.pid
        self.status: int | None = None

    def reap(self, options: int = os.WNOHANG) -> bool:
        """Wait for any child that has ended. False: there is no child left at all."""
        while True:
            try:
                pid, status = os.waitpid(-1, options)
            except ChildProcessError:
                return False
            if pid == self.pid:
                self.status = self.process.returncode = os.waitstatus_to_exitcode(status)
            if pid == 0 or options == 0:
                return True


def children() -> list[int]:
    """Process ids whose parent is this keeper (Linux)."""
    me, found = os.getpid(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # "pid (name) state ppid …"; the name may hold anything, so count from its last bracket.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            if int(fields[1]) == me:
                found.append(int(entry.name))
    return found


def kill_all(program: Program) -> None:
    """Kill everything below the keeper and wait until nothing is left."""
    if not LINUX:
        # No subreaper here: the program leads a process group of its own.
        try:
            os.killpg(program.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
    left = True
    while left:
        if LINUX:
            for pid in children():
                os.kill(pid, signal.SIGKILL)
        # Children of a killed child become ours only when it is reaped, hence one at a time.
        left = program.reap(options=0)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lock", required=True)
    parser.add_argument("--stop", default="SIGTERM")
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument("--pass", type=int, action="append", default=[], dest="passed", metavar="FD")
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()

    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    stop = False

    def on_terminate(*_: object) -> None:
        nonlocal stop
        stop = True

    def wait(timeout: float | None) -> None:
        """Sleep until a child ends, a signal comes, the launcher is gone or the time is over."""
        nonlocal stop
        readable, _, _ = select.select([woken] if stop else [sys.stdin, woken], [], [], timeout)
        if woken in readable:
            os.read(woken, 4096)
        if sys.stdin in readable and os.read(sys.stdin.fileno(), 1) == b"":
            stop = True

    signal.signal(signal.SIGTERM, on_terminate)
    # Handlers, not SIG_IGN: what is ignored would stay ignored in the program.
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the launcher's to handle
    signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken
    if LINUX:
        prctl(PR_SET_CHILD_SUBREAPER, 1)

    with Path(options.lock).open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                wait(0.05)
            if stop:
                return STOPPED_BEFORE_START
        program = Program(options.program, options.passed)
        while program.status is None and not stop:
            wait(None)
            program.reap()
        if program.status is None:
            os.kill(program.pid, getattr(signal, options.stop))
            deadline = time.monotonic() + options.grace
            while program.status is None and (left := deadline - time.monotonic()) > 0:
                wait(left)
                program.reap()
        kill_all(program)
    assert program.status is not None
    return program.status if program.status >= 0 else 128 - program.status


if __name__ == "__main__":
    sys.exit(main())
