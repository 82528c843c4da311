"""What a session records, however it is cut into segments and wherever it stops."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attractor import GraphSpec, Plan, Session
from attractor.errors import GraphRejected
from attractor.recording.column import Column, columns, raw_bytes, usual_columns
from attractor.recording.recorder import Recorder
from attractor.recording.recording import Recording, join

TICKS = 80
SPEC: dict[str, Any] = {
    "nodes": [
        {"id": "osc", "kind": "osc.array", "params": {"cell": "lorenz", "N": 6, "noise": 0.1}},
        {"id": "spins", "kind": "ebm.ising", "params": {"N": 9}},
        {"id": "show", "kind": "viz.timeseries", "params": {}},
    ],
    "edges": [{"src": "osc.x", "dst": "show.series"}],
}
PLAN = Plan.of(GraphSpec.parse(SPEC))
WANTED = [("osc", "x", 1), ("osc", "sync", 7), ("spins", "spins", 10), ("osc", "state", 3)]


def facts(plan: Plan) -> dict[str, Any]:
    return {"tick_seconds": plan.clock.tick_seconds, "seed": 3}


def recorded(session: Session, recorder: Recorder, folder: Path, cuts: int, until: int = TICKS) -> list[Path]:
    """Run to a tick, cutting a segment every so many blocks."""
    paths, blocks = [], 0
    if session.tick < until:
        for report in session:
            recorder.take(report.recorded, report.tick)
            blocks += 1
            if blocks % cuts == 0 and (segment := recorder.cut(folder)):
                paths.append(segment.path)
            if report.tick >= until:
                break
    if (segment := recorder.cut(folder)) is not None:
        paths.append(segment.path)
    return paths


def whole(folder: Path, block: int, cuts: int) -> Path:
    session = Session(PLAN, 3, TICKS, block=block, tier="eager")
    found = columns(PLAN, WANTED)
    for one in found:
        session.record(one.node, one.port, one.every)
    segments = recorded(session, Recorder(found, facts(PLAN)), folder / "segments", cuts)
    join(segments, folder / "whole.parquet")
    return folder / "whole.parquet"


def test_a_recording_holds_what_a_watcher_sees(tmp_path: Path) -> None:
    session = Session(PLAN, 3, TICKS, block=13, tier="eager")
    for node, port, _ in WANTED:
        session.subscribe(node, port)
    seen: dict[str, list[Any]] = {f"{node}.{port}": [] for node, port, _ in WANTED}
    for report in session:
        for frame in report.frames:
            seen[f"{frame.node}.{frame.port}"].append(frame.data)
    with Recording(whole(tmp_path, 13, 2)) as recording:
        for node, port, every in WANTED:
            ticks, data = recording.series(f"{node}.{port}")
            assert ticks.tolist() == list(range(0, TICKS, every))
            np.testing.assert_array_equal(data, np.concatenate(seen[f"{node}.{port}"])[::every])
            assert data.dtype == np.concatenate(seen[f"{node}.{port}"]).dtype
        assert recording.rows == TICKS


def test_blocks_and_segments_leave_no_trace_in_the_file(tmp_path: Path) -> None:
    files = [whole(tmp_path / f"{block}-{cuts}", block, cuts) for block, cuts in ((1, 50), (64, 1), (80, 1))]
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in files}) == 1


@pytest.mark.parametrize("stop", [1, 20, 47])
def test_a_session_that_goes_on_records_what_one_does_that_never_stopped(tmp_path: Path, stop: int) -> None:
    found = columns(PLAN, WANTED)
    session, recorder = Session(PLAN, 3, TICKS, block=stop, tier="eager"), Recorder(found, facts(PLAN))
    for one in found:
        session.record(one.node, one.port, one.every)
    segments = recorded(session, recorder, tmp_path / "a", 1, until=stop)
    resumed = Session.restore(session.checkpoint(tmp_path / "kept"), PLAN)
    last = {one.name: recorder.last(one.name) for one in found}
    again = Recorder(found, facts(PLAN), stop, {name: tick for name, tick in last.items() if tick is not None})
    for one in found:
        resumed.record(one.node, one.port, one.every, last[one.name])
    segments += recorded(resumed, again, tmp_path / "b", 4)
    join(segments, tmp_path / "joined.parquet")
    assert (tmp_path / "joined.parquet").read_bytes() == whole(tmp_path / "whole", 32, 3).read_bytes()


def test_the_file_is_plain_parquet_that_says_what_its_columns_are(tmp_path: Path) -> None:
    path = whole(tmp_path, 32, 3)
    table = pq.read_table(path)
    assert table.column_names == ["tick", "t", "osc.x", "osc.sync", "spins.spins", "osc.state"]
    np.testing.assert_allclose(table["t"].to_numpy(), np.arange(TICKS) / 100)
    assert table["osc.sync"].null_count == TICKS - len(range(0, TICKS, 7))
    assert path.stat().st_size < raw_bytes(columns(PLAN, WANTED), TICKS) + 2**14


def test_every_port_that_cannot_be_recorded_is_named() -> None:
    with pytest.raises(GraphRejected) as rejected:
        columns(PLAN, [("osc", "x", 0), ("osc", "nothing", 1), ("no", "x", 1), ("spins", "model", 1), ("show", "x", 1)])
    assert {one.place for one in rejected.value.problems} >= {"osc.x", "osc.nothing", "no.x", "show.x"}


@pytest.mark.parametrize("ticks", [1, 1000, 10**6])
def test_what_is_recorded_unasked_is_bounded(ticks: int) -> None:
    found = usual_columns(PLAN, ticks)
    assert "osc.x" in {one.name for one in found}
    assert any(one.kind == "scalar" for one in found)
    assert raw_bytes(found, ticks) <= 1.1 * 2**24


def test_complex_and_boolean_values_come_back(tmp_path: Path) -> None:
    from attractor.frame import Frame

    made = [Column("f", "e", "cfield", "sqrt(W)", (2, 3), 1, 100.0), Column("f", "hit", "trigger", "", (), 1, 100.0)]
    rng = np.random.default_rng(1)
    field = (rng.normal(size=(4, 2, 3)) + 1j * rng.normal(size=(4, 2, 3))).astype(np.complex64)
    hits = np.array([True, False, True])
    recorder = Recorder(made, {"tick_seconds": 0.01})
    ticks = np.array([0, 2, 5, 6])
    recorder.take([Frame("f", "e", "f.e", "cfield", 6, 0.06, ticks, field, 1)], 4)
    recorder.take([Frame("f", "hit", "f.hit", "trigger", 6, 0.06, ticks[1:], hits, 1)], 7)
    segment = recorder.cut(tmp_path)
    assert segment is not None
    assert (segment.first, segment.until, segment.rows) == (0, 7, 4)
    with Recording(segment.path) as recording:
        for name, when, data in (("f.e", ticks, field), ("f.hit", ticks[1:], hits)):
            got_ticks, got = recording.series(name)
            np.testing.assert_array_equal(got_ticks, when)
            np.testing.assert_array_equal(got, data)


def test_cells_without_a_value_cost_no_memory(tmp_path: Path) -> None:
    from attractor.frame import Frame

    cells, ticks = 128 * 128, 4000
    made = [
        Column("f", "seldom", "field", "", (128, 128), 1000, 100.0), Column("f", "often", "scalar", "", (), 1, 100.0)
    ]  # fmt: skip
    recorder = Recorder(made, {"tick_seconds": 0.01})
    field = np.random.default_rng(1).normal(size=(ticks // 1000, 128, 128)).astype(np.float32)
    often = np.arange(ticks)
    for name, kind, when, data in (
        ("seldom", "field", often[::1000], field), ("often", "scalar", often, often.astype(np.float32)),
    ):  # fmt: skip
        recorder.take([Frame("f", name, f"f.{name}", kind, 0, 0.0, when, data, 1)], ticks)
    dense = 4 * cells * ticks
    pa.default_memory_pool().release_unused()
    tracemalloc.start()
    segment = recorder.cut(tmp_path)
    assert segment is not None
    assert segment.raw == field.nbytes + 4 * ticks
    join([segment.path, segment.path], tmp_path / "joined.parquet")
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    groups = [pq.ParquetFile(path).metadata for path in (segment.path, tmp_path / "joined.parquet")]
    assert taken < dense / 3, "the array of a column over all rows"
    assert all(one.row_group(n).num_rows * 4 * cells <= 2**24 for one in groups for n in range(one.num_row_groups))
    with Recording(segment.path) as recording:
        got_ticks, got = recording.series("f.seldom")
        assert got_ticks.tolist() == often[::1000].tolist()
        np.testing.assert_array_equal(got, field)


def test_a_segment_that_cannot_be_written_is_lost_from_where_it_began(tmp_path: Path) -> None:
    recorder = Recorder(columns(PLAN, WANTED), facts(PLAN), 5)
    recorder.take([], 20)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        recorder.cut(tmp_path / "file")
    assert recorder.first == 5
