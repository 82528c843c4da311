"""Block lengths that keep a run responsive."""

from hypothesis import given
from hypothesis import strategies as st

from apps.runs.execution.pace import FIRST_BLOCK, LONGEST_BLOCK, TARGET_SECONDS, next_block


def settled(seconds_a_tick):
    block = FIRST_BLOCK
    for _ in range(20):
        block = next_block(block, block * seconds_a_tick)
    return block


@given(st.floats(1e-7, 30.0))
def test_a_block_of_a_steady_run_lasts_no_longer_than_the_target(seconds_a_tick):
    block = settled(seconds_a_tick)
    assert 1 <= block <= LONGEST_BLOCK
    assert block == 1 or block * seconds_a_tick <= TARGET_SECONDS * (1 + 1e-9)
    assert block == LONGEST_BLOCK or (block + 1) * seconds_a_tick > TARGET_SECONDS * (1 - 1e-9)


@given(st.integers(1, LONGEST_BLOCK), st.floats(0, 100))
def test_a_block_at_most_doubles_and_is_never_empty(ticks, seconds):
    assert 1 <= next_block(ticks, seconds) <= min(2 * ticks, LONGEST_BLOCK)
