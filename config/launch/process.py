"""A program that runs under a keeper and is gone when the launcher is."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from config.launch.endpoints import private_folder
from config.launch.step import StepFailed

KEEPER = Path(__file__).with_name("keeper.py")


class Process:
    """One program of the stack: its command line, its log, and how it is stopped.

    name: unique in the data folder; names the log and the lock.
    stop: signal that asks for an orderly end; grace: seconds until it is killed.
    pass_fds: open files the program inherits, e.g. the socket it listens on.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        data_dir: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop: str = "SIGTERM",
        grace: float = 10.0,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._pass_fds = pass_fds
        self.log = private_folder(data_dir / "logs") / f"{name}.log"
        self._lock = private_folder(data_dir / "locks") / f"{name}.lock"
        keeper = [sys.executable, "-I", str(KEEPER)]
        how = ["--lock", str(self._lock), "--stop", stop, "--grace", str(grace)]
        how += [part for fd in pass_fds for part in ("--pass", str(fd))]
        self._command = [*keeper, *how, "--", *map(str, command)]
        self._env, self._cwd = env, cwd
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program; its output goes to the log, which holds one earlier start too."""
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            self._keeper = subprocess.Popen(  # noqa: S603 our own command lines
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=None if self._env is None else dict(self._env),
                cwd=self._cwd,
                start_new_session=True,
                pass_fds=self._pass_fds,
            )

    def exit_status(self) -> int | None:
        """The program's exit status (128 + n after signal n); None while it runs or was never started."""
        return None if self._keeper is None else self._keeper.poll()

    def is_running(self) -> bool:
        return self._keeper is not None and self._keeper.poll() is None

    def ask_to_stop(self) -> None:
        """Begin the end: the keeper sees its pipe end. Returns at once."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()

    def wait_stopped(self) -> None:
        """Wait until the program and all of its children are gone."""
        if self._keeper is not None:
            self._keeper.wait()
            self._keeper = None

    def stop(self) -> None:
        self.ask_to_stop()
        self.wait_stopped()

    def run(self, failure: str, mend: str) -> None:
        """Run the program to its end. Raises `StepFailed` unless it exits with 0."""
        self.start()
        try:
            assert self._keeper is not None
            status = self._keeper.wait()
        finally:
            self.stop()
        if status != 0:
            raise StepFailed(f"{failure} (exit status {status})", mend, self.log)


def stop_all(processes: Sequence[Process]) -> None:
    """Stop several programs at the same time."""
    for process in processes:
        process.ask_to_stop()
    for process in processes:
        process.wait_stopped()


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with some variables set."""
    return {**os.environ, **changes}
