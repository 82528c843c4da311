"""Entry of a child process: `python -m apps.runs.execution.child PARENT_PID READ_FD WRITE_FD`.

Imports everything a run needs, waits for one run, executes it and ends. The end of the pipe is the end of
the parent, at which the child ends at once, whatever it is doing.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from apps.runs.execution import mortality
from apps.runs.execution.pipe import Pipe

logger = logging.getLogger("apps.runs.execution.child")

STACK_BYTES = 2 * 2**20


def main(parent: int, read_fd: int, write_fd: int) -> None:
    mortality.die_with(parent)
    # Ctrl-C reaches the whole terminal group; the parent decides what it means for runs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A thread's stack counts as the run's memory in full, and the system's usual 8 MiB each would be most of it.
    threading.stack_size(STACK_BYTES)
    pipe = Pipe(read_fd, write_fd)
    begun = time.monotonic()
    # What is imported lives as long as the process. Nothing of it is garbage, and looking for some in half a million
    # objects again and again would take a quarter of the start, and some of it once more in the run and at the end.
    gc.disable()
    memory = _warm_up()
    gc.freeze()
    gc.enable()
    logger.info("a run process is warm after %.1f s", time.monotonic() - begun)
    job = pipe.receive()
    if job is None or job["op"] != "run":
        return

    from apps.runs.execution.choice import execution_of

    mortality.limit_memory(memory)
    execution = execution_of(job["workspace_id"], job["run_id"], job["attempt"], pipe)
    # In a thread: a signal handler that takes a lock may have interrupted the holder of that very lock.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=execution.stop).start())
    threading.Thread(target=_watch_parent, args=(pipe, execution.stop), name="run-parent", daemon=True).start()
    pipe.send({"op": "started"})
    execution.run()


def _warm_up() -> int:
    """Import Django, torch, Numba and every node kind; the bytes a run may take."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    import torch
    from django.conf import settings

    from apps.runs.execution import choice  # noqa: F401 with all that it imports
    from attractor import Registry
    from attractor.kernels.jit import warm_up

    config = settings.ATTRACTOR
    torch.set_num_threads(config.runs.torch_threads)
    torch.set_num_interop_threads(1)
    Registry.default()
    warm_up()
    memory: int = config.worker.memory
    return memory


def _watch_parent(pipe: Pipe, stop: Callable[[], None]) -> None:
    while (message := pipe.receive()) is not None:
        if message["op"] == "stop":
            stop()
    # The parent is gone; nobody would end this process any more. The sweeper hands the run over.
    os._exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
