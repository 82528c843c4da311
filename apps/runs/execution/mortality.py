"""How a child is bound to its parent's life and to its share of memory."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the system kill this process when the parent's thread that started it ends, where it can (Linux).

    Elsewhere, and for what happened before the call, the end of the pipe tells (see `child`). Exits when the parent
    is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def limit_memory(more: int) -> None:
    """Let this process take at most `more` bytes on top of what it has now; past it allocation fails.

    Only private data counts (RLIMIT_DATA): mapped libraries, of which torch has gigabytes, are no memory of the run.
    Linux only, because only there the limit covers what malloc maps.
    """
    if sys.platform == "linux":
        limit = _data_bytes() + more
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def lift_memory_limit() -> None:
    """Undo `limit_memory`, so that a run that met its limit can still write its end."""
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _data_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status names no VmData; this kernel is not supported for memory limits")
