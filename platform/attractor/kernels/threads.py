"""Independent pieces of a CPU kernel's work, spread over threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Final

import torch

SMALL: Final = 1e-4
"""Seconds of work that are not worth a second thread."""

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
_lock = threading.Lock()


def threads_for(pieces: int, seconds: float) -> int:
    """On how many threads `in_pieces` does so much work."""
    return max(1, min(torch.get_num_threads(), pieces, int(seconds / SMALL)))


def in_pieces(run: Callable[[int, int], None], pieces: int, seconds: float) -> None:
    """Call ``run(first, last)`` on ranges that make up 0 … pieces − 1, on as many threads as torch may use.

    The pieces must be independent, so that the result does not depend on who computes which; `run` must leave the
    interpreter's lock alone, as compiled functions do.

    Args:
        seconds: rough estimate of the whole work; what is quick stays on the calling thread.
    """
    threads = threads_for(pieces, seconds)
    if threads == 1:
        run(0, pieces)
        return
    cuts = [pieces * i // threads for i in range(threads + 1)]
    (low, high), *rest = pairwise(cuts)
    others = [_pool(threads - 1).submit(run, *piece) for piece in rest]
    try:
        run(low, high)
    finally:
        # Also after a failure: nobody may go on with arrays into which another thread still writes.
        wait(others)
    for other in others:
        other.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    # By process: threads do not live on in a forked child.
    key = (os.getpid(), threads)
    with _lock:
        if key not in _pools:
            _pools[key] = ThreadPoolExecutor(threads, thread_name_prefix="kernel")
        return _pools[key]
