"""Every format, read again by a program that is not ours."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import h5py
import mido
import netCDF4
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import xarray
from PIL import Image

from attractor.exporting.formats import FORMATS, NotAllowed, allowed, chosen, estimated_bytes
from attractor.frame import Frame
from attractor.recording.column import Column
from attractor.recording.recorder import Recorder
from attractor.recording.recording import Recording, join

RNG = np.random.default_rng(5)
TICKS = 500
COLUMNS = [
    Column("osc", "sync", "scalar", "", (), 1, 100.0),
    Column("osc", "x", "vector", "", (4,), 1, 100.0),
    Column("osc", "state", "state3", "", (3, 3), 50, 100.0),
    Column("p", "spins", "spin", "", (1, 5), 2, 100.0),
    Column("wave", "u", "field", "Pa", (6, 7), 100, 100.0, 0.5),
    Column("light", "e", "cfield", "sqrt(W)", (4,), 10, 100.0),
    Column("beat", "hit", "trigger", "", (), 1, 100.0),
    Column("mic", "out", "signal", "", (480,), 1, 100.0),
]


def values(one: Column) -> tuple[Any, Any]:
    """Ticks and values; the trigger speaks seldom."""
    ticks = np.arange(0, TICKS, one.every)
    if one.kind == "trigger":
        return np.array([3, 50, 51, 400]), np.array([True, True, False, True])
    shape = (len(ticks), *one.shape)
    if one.kind == "spin":
        return ticks, (2 * RNG.integers(0, 2, shape) - 1).astype(np.int8)
    data = RNG.normal(size=shape)
    if one.kind == "cfield":
        data = data + 1j * RNG.normal(size=shape)
    return ticks, data.astype(one.dtype)


@pytest.fixture(scope="module")
def said() -> dict[str, tuple[Any, Any]]:
    return {one.name: values(one) for one in COLUMNS}


@pytest.fixture(scope="module")
def recorded(said: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    recorder = Recorder(COLUMNS, {"tick_seconds": 0.01, "seed": 5, "graph_hash": "sha256:x", "ticks": TICKS})
    for one in COLUMNS:
        ticks, data = said[one.name]
        recorder.take([Frame(one.node, one.port, one.name, one.kind, 0, 0.0, ticks, data, 1)], TICKS)
    segment = recorder.cut(folder)
    assert segment is not None
    join([segment.path], folder / "whole.parquet")
    return folder / "whole.parquet"


def written(recorded: Path, folder: Path, name: str, *ports: str) -> Path:
    into, shares = folder / f"out.{FORMATS[name].suffix}", []
    with Recording(recorded) as recording:
        FORMATS[name].write(recording, chosen(name, recording.columns, ports), into, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert sorted(path.name for path in folder.iterdir()) == [into.name]
    return into


def test_hdf5(recorded: Path, said: Any, tmp_path: Path) -> None:
    with h5py.File(written(recorded, tmp_path, "hdf5")) as file:
        for one in COLUMNS:
            ticks, data = said[one.name]
            group = file[one.node][one.port]
            np.testing.assert_array_equal(group["values"][:], data)
            np.testing.assert_array_equal(group["ticks"][:], ticks)
            np.testing.assert_allclose(group["t"][:], ticks / 100)
            assert group["values"].dtype == data.dtype
            assert (group.attrs["unit"], group.attrs["kind"]) == (one.unit, one.kind)
        assert file["mic/out"].attrs["fs"] == 48_000
        assert file.attrs["seed"] == 5


def test_netcdf(recorded: Path, said: Any, tmp_path: Path) -> None:
    path = written(recorded, tmp_path, "netcdf")
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        assert file.Conventions == "CF-1.11"
        for one in COLUMNS:
            ticks, data = said[one.name]
            name = one.name.replace(".", "_")
            got = file[name][:] if one.kind != "cfield" else file[f"{name}_re"][:] + 1j * file[f"{name}_im"][:]
            np.testing.assert_array_equal(got, data)
            variable = file[name if one.kind != "cfield" else f"{name}_re"]
            time = variable.dimensions[0]
            np.testing.assert_allclose(file[time][:], ticks / 100)
            np.testing.assert_array_equal(file[f"tick_{time}"][:], ticks)
            assert variable.units == (one.unit or "1")
        # CF, 5 and 2.3: every dimension has its coordinate, names begin with a letter, the axes say which they are.
        for name in file.dimensions:
            assert file[name].dimensions == (name,)
            assert file[name].units
            assert name[0].isalpha()
        assert {file[d].getncattr("axis") for d in file["wave_u"].dimensions[1:]} == {"X", "Y"}
        assert file["osc_sync"].dimensions == file["osc_x"].dimensions[:1]
        np.testing.assert_array_equal(file[file["wave_u"].dimensions[2]][:], np.arange(7) * 0.5)
    with xarray.open_dataset(path, engine="netcdf4") as data:
        assert data["wave_u"].sel({data["wave_u"].dims[0]: 1.0}).shape == (6, 7)


def test_parquet(recorded: Path, said: Any, tmp_path: Path) -> None:
    table = pq.read_table(written(recorded, tmp_path, "parquet", "osc.sync", "beat.hit"))
    assert table.column_names == ["tick", "t", "osc.sync", "beat.hit"]
    np.testing.assert_array_equal(table["osc.sync"].to_numpy(), said["osc.sync"][1])
    assert table["beat.hit"].drop_null().to_pylist() == said["beat.hit"][1].tolist()


def test_csv(recorded: Path, said: Any, tmp_path: Path) -> None:
    with written(recorded, tmp_path, "csv", "osc.x", "light.e", "p.spins", "beat.hit").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == TICKS
    x = np.array([[np.float32(row[f"osc.x[{k}]"]) for k in range(4)] for row in rows])
    np.testing.assert_array_equal(x, said["osc.x"][1])
    np.testing.assert_array_equal([float(row["t"]) for row in rows], np.arange(TICKS) * 0.01)
    e = [np.complex64(complex(float(row["light.e[3].re"]), float(row["light.e[3].im"]))) for row in rows[::10]]
    np.testing.assert_array_equal(e, said["light.e"][1][:, 3])
    assert [int(row["p.spins[0,4]"]) for row in rows[::2]] == said["p.spins"][1][:, 0, 4].tolist()
    assert rows[1]["p.spins[0,4]"] == ""
    assert [n for n, row in enumerate(rows) if row["beat.hit"] == "true"] == [3, 50, 400]


def test_npz(recorded: Path, said: Any, tmp_path: Path) -> None:
    with np.load(written(recorded, tmp_path, "npz"), allow_pickle=False) as file:
        for one in COLUMNS:
            np.testing.assert_array_equal(file[one.name], said[one.name][1])
            np.testing.assert_array_equal(file[f"{one.name}:ticks"], said[one.name][0])
            assert file[one.name].dtype == one.dtype
        assert file["tick_seconds"] == 0.01


def test_wav(recorded: Path, said: Any, tmp_path: Path) -> None:
    samples, rate = soundfile.read(written(recorded, tmp_path, "wav", "mic.out"), dtype="float32")
    assert rate == 48_000
    np.testing.assert_array_equal(samples, said["mic.out"][1].reshape(-1))


def made_of(folder: Path, ticks: int, said: list[tuple[Column, Any, Any]]) -> Path:
    """A recording of a run at 100 ticks a second: columns with their ticks and values."""
    recorder = Recorder([one for one, _, _ in said], {"tick_seconds": 0.01, "seed": 5, "ticks": ticks})
    frames = [Frame(one.node, one.port, one.name, one.kind, 0, 0.0, at, data, 1) for one, at, data in said]
    recorder.take(frames, ticks)
    segment = recorder.cut(folder / "segments")
    assert segment is not None
    join([segment.path], folder / "made.parquet")
    return folder / "made.parquet"


@pytest.mark.parametrize(("every", "apart", "rate"), [(1, 10, 10), (5, 10, 10), (20, 20, 5), (15, 15, None)])
def test_wav_of_a_node_that_is_slower_than_its_run(tmp_path: Path, every: int, apart: int, rate: int | None) -> None:
    """It speaks every 10 ticks. Of every `every` ticks the first value is recorded."""
    one = Column("slow", "y", "scalar", "", (), every, 10.0)
    ticks = np.arange(0, 201, apart)
    data = np.arange(len(ticks)).astype(one.dtype)
    with Recording(made_of(tmp_path, 201, [(one, ticks, data)])) as recording:
        if rate is None:
            with pytest.raises(ValueError, match="not evenly"):
                FORMATS["wav"].write(recording, [one], tmp_path / "x.wav", lambda _: None)
            return
        FORMATS["wav"].write(recording, [one], tmp_path / "x.wav", lambda _: None)
    samples, found = soundfile.read(tmp_path / "x.wav", dtype="float32")
    assert found == rate
    np.testing.assert_array_equal(samples, data)


def test_no_file_is_larger_than_its_estimate(recorded: Path, tmp_path: Path) -> None:
    """Rarely recorded long rows beside a number at every tick are mostly empty cells of a CSV."""
    every = [Column("a", "x", "scalar", "", (), 1, 100.0), Column("b", "x", "vector", "", (1000,), 2000, 100.0)]
    said = [(one, ticks, RNG.normal(size=(len(ticks), *one.shape)).astype(one.dtype))
            for one in every for ticks in [np.arange(0, 2000, one.every)]]  # fmt: skip
    for path in (recorded, made_of(tmp_path, 2000, said)):
        with Recording(path) as recording:
            for name in ("csv", "hdf5", "netcdf", "npz", "parquet"):
                columns = chosen(name, recording.columns, ())
                into = tmp_path / f"{path.stem}-out.{name}"
                FORMATS[name].write(recording, columns, into, lambda _: None)
                guess = estimated_bytes(name, columns, recording.facts["ticks"], recording.rows)
                print(f"{path.stem} {name}: {into.stat().st_size} of {guess} bytes")
                assert into.stat().st_size <= guess


def test_midi(recorded: Path, tmp_path: Path) -> None:
    file = mido.MidiFile(written(recorded, tmp_path, "midi"))
    now, ons, sounding = 0.0, [], 0
    for message in file:
        now += message.time
        if message.type == "note_on":
            ons.append(round(now, 3))
        sounding += {"note_on": 1, "note_off": -1}.get(message.type, 0)
        assert sounding in (0, 1)
    assert ons == [0.03, 0.5, 4.0]
    assert sounding == 0


@pytest.mark.parametrize(("port", "picture"), [("osc.x", lambda data: data.T), ("wave.u", lambda data: data[-1])])
def test_png(recorded: Path, said: Any, tmp_path: Path, port: str, picture: Any) -> None:
    with Image.open(written(recorded, tmp_path, "png", port)) as image:
        data = picture(said[port][1])
        least, greatest = float(image.text["min"]), float(image.text["max"])
        assert (least, greatest) == (data.min(), data.max())
        assert image.size == (data.shape[1], data.shape[0])
        back = np.asarray(image) / 65535 * (greatest - least) + least
        np.testing.assert_allclose(back, data, atol=(greatest - least) / 65535)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_png_of_what_is_not_finite_is_refused(tmp_path: Path, wrong: float) -> None:
    one = Column("a", "x", "vector", "", (4,), 1, 100.0)
    data = np.ones((5, 4), one.dtype)
    data[2, 3] = wrong
    path = made_of(tmp_path, 5, [(one, np.arange(5), data)])
    with Recording(path) as recording, pytest.raises(ValueError, match="not finite"):
        FORMATS["png"].write(recording, [one], tmp_path / "x.png", lambda _: None)


def test_a_format_that_a_port_does_not_allow_names_those_that_it_does() -> None:
    assert allowed(COLUMNS)["midi"] == ["beat.hit"]
    assert allowed(COLUMNS)["wav"] == ["osc.sync", "mic.out"]
    assert "midi" not in allowed(COLUMNS[:1])
    with pytest.raises(NotAllowed) as refused:
        chosen("midi", COLUMNS, ["osc.x"])
    assert {"hdf5", "csv", "png"} <= set(refused.value.mend.replace(",", " ").split())
    for name, ports in (("wav", []), ("csv", ["no.port"])):
        with pytest.raises(NotAllowed):
            chosen(name, COLUMNS, ports)


TABLE = pa.table(
    {
        "index": pa.array([0, 1, 2]), "=cmd": ["=1+1", "-2", "fine"], "osc.sync": pa.array([0.1, None, 1e-300]),
        "error": ["", None, "@SUM(A1), \"quoted\"\nand more"],
    }
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name, one in FORMATS.items() if one.write_table])
def test_a_table_comes_back(name: str, tmp_path: Path) -> None:
    known = FORMATS[name]
    assert known.write_table is not None
    path = tmp_path / f"table.{known.suffix}"
    known.write_table(TABLE, path)
    if name == "hdf5":
        with h5py.File(path) as file:
            sync = file["osc.sync"][:].tolist()
    elif name == "parquet":
        sync = pq.read_table(path)["osc.sync"].to_pylist()
    elif name == "npz":
        sync = np.load(path, allow_pickle=False)["osc.sync"].tolist()
    else:
        with path.open(newline="") as text:
            sync = [float(row["osc.sync"] or "nan") for row in csv.DictReader(text)]
    assert [sync[0], sync[2]] == [0.1, 1e-300]


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path) -> None:
    known = FORMATS["csv"]
    assert known.write_table is not None
    known.write_table(TABLE, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][1] == "'=cmd"
    assert [row[1] for row in rows[1:]] == ["'=1+1", "'-2", "fine"]
    assert rows[3][3] == "'" + TABLE["error"][2].as_py()
