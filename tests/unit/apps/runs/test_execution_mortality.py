"""Children that go with their parent, and that may take only so much memory. In processes of their own."""

import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from config.layers import ROOT

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own means are Linux'")


def python(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=120, **options,
    )  # fmt: skip


@linux
def test_a_child_dies_with_a_parent_that_is_killed():
    """No pipe, no handler: the kernel alone."""
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import os, subprocess, sys, time
            child = subprocess.Popen([sys.executable, "-c",
                "import sys, time; from apps.runs.execution.mortality import die_with;"
                f"die_with({os.getpid()}); print('bound', flush=True); time.sleep(600)"], stdout=subprocess.PIPE)
            child.stdout.readline()
            print(child.pid, flush=True)
            time.sleep(600)
        """)],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.is_running()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert psutil.wait_procs([child], timeout=20)[1] == [], "the child lives on"


def test_a_child_whose_parent_is_gone_already_does_not_begin():
    done = python(
        "import os; from apps.runs.execution.mortality import die_with; die_with(os.getppid() + 1); print('alive')"
    )
    assert (done.returncode, done.stdout) == (0, "")
    done = python(
        "import os; from apps.runs.execution.mortality import die_with; die_with(os.getppid()); print('alive')"
    )
    assert done.stdout == "alive\n"


@linux
def test_memory_over_the_limit_is_refused_until_it_is_lifted():
    done = python("""
        from apps.runs.execution.mortality import lift_memory_limit, limit_memory
        limit_memory(64 * 2**20)
        small = bytearray(16 * 2**20)
        try:
            large = bytearray(256 * 2**20)
        except MemoryError:
            print("refused")
        lift_memory_limit()
        large = bytearray(256 * 2**20)
        print("given", len(large))
    """)
    assert done.stdout.split() == ["refused", "given", str(256 * 2**20)], done.stderr


@linux
def test_the_limit_comes_on_top_of_what_the_process_has():
    done = python("""
        held = bytearray(512 * 2**20)
        from apps.runs.execution.mortality import limit_memory
        limit_memory(64 * 2**20)
        print(len(bytearray(32 * 2**20)))
    """)
    assert done.stdout.strip() == str(32 * 2**20), done.stderr


@linux
def test_the_limit_never_exceeds_the_hard_one():
    done = python("""
        import resource
        resource.setrlimit(resource.RLIMIT_DATA, (2**32, 2**32))
        from apps.runs.execution.mortality import limit_memory
        limit_memory(2**50)
        print(resource.getrlimit(resource.RLIMIT_DATA) == (2**32, 2**32))
    """)
    assert done.stdout.strip() == "True", done.stderr
