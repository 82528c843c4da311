"""The whole stack as a program of its own, for tests that use it from outside."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.launch.stack import RUNNING
from config.layers import ROOT


@dataclass(frozen=True)
class RunningStack:
    """The whole stack as `make run` starts it: where it is and how to log in."""

    pid: int
    url: str
    email: str
    password: str
    data_dir: Path


def free_port() -> int:
    """A TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started_stack(data_dir: Path, patience: float = 240.0, covered: bool = True, **more: str) -> Iterator[RunningStack]:
    """Run `python -m config.launch up` on a data folder until the block ends.

    Args:
        data_dir: of the stack.
        patience: seconds until it must be up.
        covered: whether its programs are traced when the tests measure coverage, which slows a run down three times.
        more: variables of its environment.
    """
    dropped = ("ATTRACTOR_DATABASE",) if covered else ("ATTRACTOR_DATABASE", "COVERAGE_PROCESS")
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith(dropped)},
        "ATTRACTOR_ENV": "test",
        "ATTRACTOR_DATA_DIR": str(data_dir),
        "ATTRACTOR__WEB__PORT": str(free_port()),
        **more,
    }
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / RUNNING).unlink(missing_ok=True)  # of a launcher that was killed
    output = data_dir / "launch.log"
    with output.open("wb") as log:
        launch = subprocess.Popen(
            [sys.executable, "-m", "config.launch", "up"], cwd=ROOT, env=env, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + patience
            while not (data_dir / RUNNING).exists():
                if launch.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the stack did not start:\n{output.read_text()}")
                time.sleep(0.05)
            running = json.loads((data_dir / RUNNING).read_text(encoding="utf-8"))
            yield RunningStack(data_dir=data_dir, **running)
        finally:
            if launch.poll() is None:
                launch.send_signal(signal.SIGINT)
            launch.wait(60)
