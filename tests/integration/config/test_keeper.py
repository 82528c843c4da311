"""The keeper leaves nothing of its program behind, whoever dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from config.launch.keeper import LINUX
from config.launch.process import Process
from config.launch.step import StepFailed

pytestmark = pytest.mark.skipif(not LINUX, reason="subreaper and parent-death signal are Linux's")

# A program that ignores the polite signals and has a child, which has a child in a session of its own.
STUBBORN = """
import os, signal, subprocess, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
depth = int(sys.argv[1])
open(sys.argv[2], "a").write(f"{os.getpid()}\\n")
if depth:
    subprocess.Popen([sys.executable, __file__, str(depth - 1), sys.argv[2]], start_new_session=True)
    if depth == 1:
        sys.exit()  # the grandchild becomes an orphan
time.sleep(600)
"""

LAUNCHER = """
import sys, time
from pathlib import Path
from config.launch.process import Process
process = Process("stubborn", [sys.executable, *sys.argv[2:]], Path(sys.argv[1]), grace=0.3)
process.start()
time.sleep(600)
"""


@pytest.fixture
def stubborn(tmp_path: Path) -> list[str]:
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    return [str(program), "2", str(tmp_path / "pids")]


def started(tmp_path: Path) -> list[psutil.Process]:
    """The program, its child and its grandchild; the child may be gone already."""
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


def three_started(tmp_path: Path) -> bool:
    path = tmp_path / "pids"
    return path.exists() and len(path.read_text().split()) == 3


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_killing_the_launcher_ends_the_program_and_its_orphans(
    tmp_path: Path, stubborn: list[str], eventually: Callable[..., None]
) -> None:
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(tmp_path), *stubborn])
    eventually(lambda: three_started(tmp_path), "the program's grandchild")
    below = psutil.Process(launcher.pid).children(recursive=True) + started(tmp_path)
    assert len(alive(below)) >= 3  # keeper, program, orphaned grandchild

    launcher.kill()
    launcher.wait()

    eventually(lambda: not alive(below), "every process to end")


def test_stop_kills_what_ignores_the_stop_signal(
    tmp_path: Path, stubborn: list[str], eventually: Callable[..., None]
) -> None:
    process = Process("stubborn", [sys.executable, *stubborn], tmp_path, grace=0.2)
    process.start()
    eventually(lambda: three_started(tmp_path), "the program's grandchild")
    running = started(tmp_path)

    process.stop()

    assert alive(running) == []


def test_a_killed_keeper_takes_its_program_along(tmp_path: Path, eventually: Callable[..., None]) -> None:
    process = Process("sleep", ["sleep", "600"], tmp_path)
    process.start()
    me = psutil.Process()
    eventually(lambda: any(p.name() == "sleep" for p in me.children(recursive=True)), "the program")
    (program,) = [p for p in me.children(recursive=True) if p.name() == "sleep"]
    keeper = program.parent()
    assert keeper is not None

    keeper.kill()

    eventually(lambda: not alive([program]), "the program to end")
    process.stop()


def test_orphans_end_with_a_program_that_ends_by_itself(tmp_path: Path, eventually: Callable[..., None]) -> None:
    marker = tmp_path / "orphan"
    process = Process("parent", ["sh", "-c", f"sleep 600 & echo $! > {marker}; exit 3"], tmp_path)
    process.start()
    eventually(lambda: process.exit_status() is not None, "the keeper to end")

    assert process.exit_status() == 3
    assert not psutil.pid_exists(int(marker.read_text()))


def test_the_stop_signal_reaches_the_program(tmp_path: Path, eventually: Callable[..., None]) -> None:
    process = Process(
        "polite", ["sh", "-c", "trap 'echo asked; exit 7' INT; echo up; while :; do sleep 0.05; done"],
        tmp_path, stop="SIGINT",
    )  # fmt: skip
    process.start()
    eventually(lambda: "up" in process.log.read_text(), "the program")

    process.ask_to_stop()

    eventually(lambda: process.exit_status() == 7, "its exit status")
    assert "asked" in process.log.read_text()


def test_a_death_by_signal_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    process = Process("killed", ["sh", "-c", "kill -SEGV $$"], tmp_path)
    with pytest.raises(StepFailed, match=str(128 + signal.SIGSEGV)):
        process.run("it failed", "mend it")


def test_a_second_instance_waits_until_the_first_is_gone(tmp_path: Path, eventually: Callable[..., None]) -> None:
    first = Process("one", ["sh", "-c", "echo first; exec sleep 600"], tmp_path)
    first.start()
    eventually(lambda: "first" in first.log.read_text(), "the first instance")
    second = Process("one", ["sh", "-c", "echo second; exec sleep 600"], tmp_path)
    second.start()
    time.sleep(0.3)
    assert "second" not in second.log.read_text()

    first.stop()

    eventually(lambda: "second" in second.log.read_text(), "the second instance")
    second.stop()


def test_a_program_gets_only_the_files_handed_to_it(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        write = [sys.executable, "-c", f"import os; os.write({writing}, b'through')"]
        process = Process("fds", write, tmp_path, pass_fds=[writing])
        process.run("the open file did not arrive", "pass it")
        assert os.read(reading, 100) == b"through"
        other = Process("none", write, tmp_path)
        with pytest.raises(StepFailed):
            other.run("as it must", "nothing")
    finally:
        os.close(reading)
        os.close(writing)


def test_a_failed_step_shows_the_log_and_the_mend(tmp_path: Path) -> None:
    process = Process("loud", ["sh", "-c", "echo the reason; exit 1"], tmp_path)
    with pytest.raises(StepFailed) as failed:
        process.run("loud failed", "turn it down")
    report = failed.value.report()
    assert "loud failed" in report
    assert "the reason" in report
    assert "Mend: turn it down" in report
