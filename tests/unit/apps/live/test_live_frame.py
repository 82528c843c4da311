"""Decimation, striding and joining of frames, against plain numpy indexing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.live.coalescer import OBJECT_FRAMES, Coalescer
from apps.live.frame import LiveFrame


def a_frame(first, data, kind="vector", seq=1):
    ticks = np.arange(first, first + len(data), dtype=np.int64)
    return LiveFrame("r", "n", "p", kind, "n.p", ticks, ticks[-1] / 100, data, seq)


@given(first=st.integers(0, 1000), n=st.integers(1, 50), every=st.integers(1, 60))
def test_a_port_that_speaks_at_every_tick_gives_the_multiples(first, n, every):
    frame = a_frame(first, np.arange(first, first + n, dtype=np.float32))
    expected = [tick for tick in range(first, first + n) if tick % every == 0]
    # The window in which the frame begins has been seen unless it begins exactly there.
    kept = frame.decimated(every, done=(first - 1) // every)
    assert (kept.ticks.tolist() if kept else []) == expected
    if kept:
        assert kept.data.tolist() == expected


@given(st.sets(st.integers(0, 400), min_size=1), st.integers(1, 60), st.integers(1, 8))
def test_decimation_gives_one_value_a_window_however_the_ticks_are_cut_into_frames(spoken, every, parts):
    ticks = np.array(sorted(spoken), dtype=np.int64)
    done, got = -1, []
    for chunk in np.array_split(ticks, parts):
        if chunk.size:
            frame = LiveFrame("r", "n", "p", "vector", "n.p", chunk, 0.0, chunk.astype(np.float32), 1)
            kept = frame.decimated(every, done)
            got += kept.ticks.tolist() if kept else []
            done = frame.tick // every
    assert got == [min(group) for _, group in itertools.groupby(ticks.tolist(), lambda tick: tick // every)]


def test_a_port_that_speaks_seldom_loses_nothing():
    ticks = np.arange(19, 400, 20)  # never a multiple of 8
    frame = LiveFrame("r", "n", "p", "vector", "n.p", ticks, 0.0, ticks.astype(np.float32), 1)
    assert frame.decimated(8, -1).ticks.tolist() == ticks.tolist()


@given(count=st.integers(1, 300), take=st.integers(1, 300))
def test_take_spreads_evenly_over_the_whole_axis(count, take):
    data = np.arange(2 * count * 3, dtype=np.float32).reshape(2, count, 3)
    taken = a_frame(0, data).taken(take).data
    assert taken.shape == (2, min(count, take), 3)
    elements = taken[0, :, 0] / 3
    if take > 1:
        assert (elements[0], elements[-1]) == (0, count - 1)
        gaps = np.diff(elements)
        assert gaps.size == 0 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)


def test_no_take_takes_everything_and_scalars_have_no_axis_to_take_from():
    data = np.zeros((2, 9), dtype=np.float32)
    assert a_frame(0, data).taken(None).data.shape == (2, 9)
    assert a_frame(0, np.zeros(4, dtype=np.float32), kind="scalar").taken(2).data.shape == (4,)


def test_waiting_frames_join_into_one_without_losing_a_tick():
    waiting = Coalescer()
    for first in (0, 4, 8):
        waiting.add(a_frame(first, np.full((4, 2), first, dtype=np.float32), seq=first))
    joined = waiting.take()
    assert joined.ticks.tolist() == list(range(12))
    assert joined.data[:, 0].tolist() == [0] * 4 + [4] * 4 + [8] * 4
    assert joined.seq == 8
    assert joined.t == 0.11
    assert waiting.take() is None
    assert not waiting


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(8, 400))
def test_a_slow_sender_holds_bounded_bytes_and_the_newest_ticks(lengths, limit):
    waiting = Coalescer(limit)
    first = 0
    for n in lengths:
        waiting.add(a_frame(first, np.arange(first, first + n, dtype=np.float32)))
        first += n
        assert waiting.nbytes < 2 * limit + 4
    joined = waiting.take()
    assert joined.nbytes <= limit
    assert joined.ticks[-1] == first - 1
    assert np.all(np.diff(joined.ticks) == 1)
    assert len(joined.ticks) == min(first, limit // 4) or lengths[-1] * 4 > limit


def test_one_tick_larger_than_the_bound_still_travels():
    waiting = Coalescer(16)
    waiting.add(a_frame(5, np.ones((2, 100), dtype=np.float32)))
    assert waiting.take().ticks.tolist() == [6]


def test_a_change_of_shape_starts_anew():
    waiting = Coalescer()
    waiting.add(a_frame(0, np.zeros((2, 3), dtype=np.float32)))
    waiting.add(a_frame(2, np.ones((2, 5), dtype=np.float32)))
    joined = waiting.take()
    assert joined.data.shape == (2, 5)
    assert joined.ticks.tolist() == [2, 3]


def test_tables_wait_in_bounded_number():
    waiting = Coalescer()
    for tick in range(3 * OBJECT_FRAMES):
        waiting.add(a_frame(tick, [{"rows": [tick]}], kind="table"))
    joined = waiting.take()
    assert len(joined.data) == OBJECT_FRAMES
    assert joined.data[-1] == {"rows": [3 * OBJECT_FRAMES - 1]}
    assert joined.ticks.tolist() == list(range(2 * OBJECT_FRAMES, 3 * OBJECT_FRAMES))


def test_nothing_waits_at_first():
    assert Coalescer().take() is None
    with pytest.raises(IndexError):
        _ = a_frame(0, np.zeros((0, 1))[:0])
