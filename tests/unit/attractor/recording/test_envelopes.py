"""A long series in few points: every extreme is kept, at its place, whatever the length, and little is held."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from attractor.recording.column import Column
from attractor.recording.envelope import Envelope, envelope
from attractor.recording.recording import Recording
from attractor.recording.table import schema, tables

TICK = 0.01


def written(path: Path, one: Column, ticks: Any, data: Any) -> Path:
    """A recording of one column, as a recorder writes it."""
    known = schema([one], {"tick_seconds": TICK})
    with pq.ParquetWriter(path, known, compression="zstd", use_dictionary=False) as writer:
        for table in tables(known, {one.name: (np.asarray(ticks, np.int64), np.asarray(data, one.dtype))}):
            writer.write_table(table)
    return path


def scalar(**more: Any) -> Column:
    return Column(
        **{"node": "a", "port": "x", "kind": "scalar", "unit": "V", "shape": (), "every": 1, "rate": 100.0, **more}
    )


def folded(x: Any, y: Any, points: int, cuts: int, end: float) -> Envelope:
    found = Envelope(0.0, end, points)
    for piece in np.array_split(np.arange(len(x)), cuts):
        found.take(x[piece], y[piece])
    return found


@pytest.mark.parametrize("cuts", [1, 7, 1000])
def test_each_interval_keeps_its_extremes_at_their_places(cuts: int) -> None:
    rng = np.random.default_rng(5)
    ticks, values = np.arange(50_000), np.cumsum(rng.normal(size=50_000))
    found = folded(ticks, values, 102, cuts, 49_999.0)
    x, y = (np.array(one) for one in found.points())
    assert found.thinned
    assert len(x) <= 102
    assert (np.diff(x) > 0).all()
    np.testing.assert_array_equal(values[x.astype(int)], y)
    assert (x[0], x[-1]) == (0, 49_999)
    # As pandas says, which was written by others: the extremes of 50 intervals of one width.
    pandas = pytest.importorskip("pandas")
    grouped = pandas.Series(values).groupby(np.minimum((ticks / (49_999 / 50)).astype(int), 49))
    expected = {*grouped.idxmin(), *grouped.idxmax(), 0, 49_999}
    assert set(x.astype(int)) == expected


def test_one_spike_in_a_million_is_seen() -> None:
    values = np.zeros(1_000_000)
    values[777_777], values[123_456] = 5.0, -3.0
    x, y = folded(np.arange(1_000_000), values, 100, 11, 999_999.0).points()
    assert (777_777, 5.0) in zip(x, y, strict=True)
    assert (123_456, -3.0) in zip(x, y, strict=True)


def test_a_series_that_is_short_enough_stays_as_it_is() -> None:
    ticks, values = np.arange(0, 300, 3), np.sin(np.arange(100))
    found = folded(ticks, values, 100, 3, 299.0)
    assert not found.thinned
    assert found.points() == (ticks.tolist(), values.tolist())
    assert folded(ticks, values, 99, 3, 299.0).thinned
    assert Envelope(0.0, 9.0, 4).points() == ([], [])
    with pytest.raises(ValueError, match="4 points or more"):
        Envelope(0.0, 1.0, 3)


def test_what_is_not_finite_is_counted_and_leaves_gaps() -> None:
    values = np.ones(1000)
    values[200:400], values[700] = np.nan, np.inf
    found = folded(np.arange(1000), values, 22, 9, 999.0)
    x, y = found.points()
    assert found.not_finite == 201
    gaps = [place for place, value in zip(x, y, strict=True) if value is None]
    assert gaps
    assert all(200 <= place < 400 for place in gaps)
    assert {value for value in y if value is not None} == {1.0}
    assert folded(np.arange(3), np.array([1.0, np.nan, 2.0]), 9, 1, 2.0).points()[1] == [1.0, None, 2.0]


def test_a_recording_is_read_on_either_axis_as_parquet_holds_it(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=(5000, 3)).astype(np.float32)
    one = scalar(kind="vector", shape=(3,), every=2)
    path = written(tmp_path / "a.parquet", one, np.arange(0, 10_000, 2), values)
    # Read by somebody else.
    table = pq.read_table(path)
    column = np.array(table["a.x"].to_pylist())[:, 2]
    with path.open("rb") as stream, Recording(stream) as recording:
        by_tick = envelope(recording, one, 10_000, 200, 2)
        by_time = envelope(recording, one, 10_000, 200, 2, seconds=True)
        with pytest.raises(ValueError, match="has 3 elements, and none of number 3"):
            envelope(recording, one, 10_000, 200, 3)
    x, y = by_tick.points()
    assert by_tick.taken == 5000
    assert max(y) == column.max()
    assert min(y) == column.min()
    at = dict(zip(table["tick"].to_pylist(), column, strict=True))
    assert [at[int(place)] for place in x] == y
    np.testing.assert_allclose(by_time.points()[0], np.array(x) * TICK, rtol=1e-12)
    assert by_time.points()[1] == y


def test_a_signal_is_its_samples_and_a_complex_number_its_magnitude(tmp_path: Path) -> None:
    signal = scalar(kind="signal", shape=(4,), rate=100.0)
    samples = np.arange(80, dtype=np.float32).reshape(20, 4)
    path = written(tmp_path / "s.parquet", signal, np.arange(20), samples)
    with Recording(path) as recording:
        x, y = envelope(recording, signal, 20, 100, seconds=True).points()
    # 400 samples a second.
    np.testing.assert_allclose(x, np.arange(80) / 400)
    assert y == list(range(80))
    wave = scalar(kind="cfield", shape=(2,))
    path = written(tmp_path / "c.parquet", wave, np.arange(3), np.array([[1, 3 + 4j]] * 3))
    with Recording(path) as recording:
        assert envelope(recording, wave, 3, 100, 1).points() == ([0, 1, 2], [5.0] * 3)


def test_nothing_is_held_of_a_file_but_a_row_group_of_its_column(tmp_path: Path) -> None:
    """Four times the rows, no more memory."""
    peaks, one = {}, scalar()
    for rows in (1_000_000, 4_000_000):
        known = schema([one], {"tick_seconds": TICK})
        path = tmp_path / f"{rows}.parquet"
        with pq.ParquetWriter(path, known, compression="zstd", use_dictionary=False) as writer:
            for first in range(0, rows, 500_000):
                ticks = np.arange(first, first + 500_000)
                for table in tables(known, {one.name: (ticks, np.sin(ticks / 1000).astype(np.float32))}):
                    writer.write_table(table)
        import pyarrow as pa

        pool = pa.proxy_memory_pool(pa.default_memory_pool())
        before = pa.default_memory_pool()
        pa.set_memory_pool(pool)
        tracemalloc.start()
        try:
            with path.open("rb") as stream, Recording(stream) as recording:
                found = envelope(recording, one, rows, 1000)
            peaks[rows] = tracemalloc.get_traced_memory()[1] + pool.max_memory()
        finally:
            tracemalloc.stop()
            pa.set_memory_pool(before)
        assert found.taken == rows
    assert peaks[4_000_000] < 1.25 * peaks[1_000_000]
    assert peaks[4_000_000] < 128 * 2**20
