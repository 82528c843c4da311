"""How many ticks a block should have, so that a run reacts quickly whatever its speed."""

from __future__ import annotations

FIRST_BLOCK = 4
TARGET_SECONDS = 0.025
LONGEST_BLOCK = 256


def next_block(ticks: int, seconds: float) -> int:
    """Ticks of the next block after one of `ticks` took `seconds`: about 25 ms worth, at most twice as many.

    Block length changes speed and reaction time only, never a result.
    """
    return max(1, min(int(ticks * TARGET_SECONDS / max(seconds, 1e-9)), 2 * ticks, LONGEST_BLOCK))
