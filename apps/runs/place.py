"""Where a queued run stands, and when it will begin."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the queue.

    Attributes:
        position: 1 for the run that is taken next.
        starts_in_s: estimated seconds until a worker takes it; None where there is nothing to estimate from.
    """

    position: int
    starts_in_s: float | None


def starts_in(running: Sequence[float | None], ahead: Sequence[float | None]) -> float | None:
    """Seconds until a run begins that waits behind others.

    There are as many places as runs are running: while runs wait, all are taken.

    Args:
        running: seconds left of every running run; None where it is not known.
        ahead: seconds that the runs before it will take, in their order.

    Returns:
        None where nothing is running, or something is not known.
    """
    free = [seconds for seconds in running if seconds is not None]
    if not free or len(free) < len(running):
        return None
    heapq.heapify(free)
    for seconds in ahead:
        if seconds is None:
            return None
        heapq.heapreplace(free, free[0] + seconds)
    return free[0]
