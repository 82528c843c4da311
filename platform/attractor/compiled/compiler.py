"""The compiler behind the compiled tier: torch's inductor, with what it makes kept on disk.

Programs are kept under the hash of their graph, which the plan determines, so that a plan is compiled once for all
processes that share the folder. The folder is bounded: what was not used for longest goes first.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from attractor.cache_folder import cache_folder
from attractor.compiled.trace import Trace

MAX_CACHE_BYTES: Final = 1 << 30
# Whatever is younger may be in the making in another process.
_SETTLED_SECONDS: Final = 3600.0
_COMPILING: Final = threading.Lock()

Compiled = Callable[..., Sequence[torch.Tensor]]


def compiled(trace: Trace) -> Compiled:
    """The function of a trace, compiled.

    It runs on one thread, so that no sum depends on how many the machine has.
    """
    from torch._inductor.compile_fx import compile_fx

    # Whoever calls the function sees to the sizes of its inputs, once for many calls.
    options = {"cpp.threads": 1, "compile_threads": 1, "fx_graph_cache": True, "size_asserts": False}
    with _kept(), torch.no_grad():
        function: Any = compile_fx(trace.graph, list(trace.examples), config_patches=options)
        # The first call ends what is left to do; its results are of no interest.
        function(*(example.clone() for example in trace.examples))
    made: Compiled = function
    return made


@contextmanager
def _kept() -> Iterator[None]:
    """Have inductor keep what it makes in the engine's own cache."""
    folder = cache_folder("programs")
    # The compiler and the variable belong to the process: one thread at a time.
    with _COMPILING:
        if folder is None:
            yield
            return
        before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
        try:
            yield
        finally:
            if before is None:
                del os.environ["TORCHINDUCTOR_CACHE_DIR"]
            else:
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = before
            prune(folder, MAX_CACHE_BYTES)


def prune(folder: Path, most: int) -> None:
    """Delete the files that were not used for longest until the folder holds no more than `most` bytes."""
    files: list[tuple[float, int, Path]] = []
    for path in folder.rglob("*"):
        try:
            facts = path.stat()
        except FileNotFoundError:  # Another process prunes too.
            continue
        if path.is_file():
            files.append((max(facts.st_atime, facts.st_mtime), facts.st_size, path))
    size = sum(bytes_ for _, bytes_, _ in files)
    settled = time.time() - _SETTLED_SECONDS
    for used, bytes_, path in sorted(files):
        if size <= most or used > settled:
            return
        path.unlink(missing_ok=True)
        size -= bytes_
