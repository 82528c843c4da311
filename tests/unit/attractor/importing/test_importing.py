"""Files that are good, files in which everything is wrong at once, hostile ones, and damaged ones."""

from __future__ import annotations

import json
import pickle
import random
import stat
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.io import wavfile

from attractor.importing.archive import judge
from attractor.importing.check import check
from attractor.importing.report import Report

RNG = np.random.default_rng(3)
X = RNG.normal(size=(50, 3)).astype(np.float32)


def csv_file(path: Path) -> None:
    rows = [f"{n},{value!r},name {n}" for n, value in enumerate(RNG.normal(size=50).tolist())]
    path.write_text("\n".join(["n,p [Pa],label", *rows]) + "\n", "utf-8")


def parquet_file(path: Path) -> None:
    fields = [pa.field("n", pa.int64()), pa.field("x", pa.list_(pa.float32(), 3), metadata={"unit": "Pa"})]
    x = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 3)
    pq.write_table(pa.Table.from_arrays([pa.array(range(50)), x], schema=pa.schema(fields)), path)


def npz_file(path: Path) -> None:
    np.savez(path, x=X, n=np.arange(50), label=np.array(["a", "b"]), f=np.asfortranarray(X), z=X[:, 0] + 1j * X[:, 1])


def hdf5_file(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("osc/x/values", data=X, compression="gzip").attrs["unit"] = "Pa"
        file.create_dataset("osc/label", data=["a", "b"])


def wav_file(path: Path) -> None:
    wavfile.write(path, 8000, X[:, 0])


GOOD: dict[str, Callable[[Path], None]] = {
    "a.csv": csv_file, "a.parquet": parquet_file, "a.npz": npz_file, "a.h5": hdf5_file, "a.wav": wav_file,
}  # fmt: skip


def made(folder: Path, name: str) -> Path:
    path = folder / name
    GOOD[name](path)
    return path


@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_has_no_problem_and_says_what_is_in_it(name: str, tmp_path: Path) -> None:
    report = check(made(tmp_path, name), name)
    assert [str(one) for one in report.problems] == []
    assert report.total == 0
    kinds = {one.name: (one.kind, one.shape, one.unit) for one in report.columns}
    assert kinds == {
        "a.csv": {"n": ("number", (50,), ""), "p": ("number", (50,), "Pa"), "label": ("text", (50,), "")},
        "a.parquet": {"n": ("number", (50,), ""), "x": ("number", (50, 3), "Pa")},
        "a.npz": {
            "x": ("number", (50, 3), ""), "n": ("number", (50,), ""), "label": ("text", (2,), ""),
            "f": ("number", (50, 3), ""), "z": ("complex", (50,), ""),
        },
        "a.h5": {"osc/x/values": ("number", (50, 3), "Pa"), "osc/label": ("text", (2,), "")},
        "a.wav": {"samples": ("number", (50,), "1/8000 s")},
    }[name]  # fmt: skip


def places(path: Path, name: str, expected: list[dict[str, Any]] | None = None) -> list[str]:
    return [one.place for one in check(path, name, expected or ()).problems]


def test_every_problem_of_a_csv_is_told_at_once_with_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("a [m],b,b,\n1,2,3,4\nnan,x,3,4\n1,2\n7,1_0,3,inf\n", "utf-8")
    expected = [{"name": "a", "unit": "km", "max": 5}, {"name": "gone"}]
    found = places(path, "bad.csv", expected)
    assert set(found) == {
        "row 1, column 3", "row 1, column 4", "row 3, column a", "row 3, column b", "row 4", "row 5, column a",
        "row 5, column b", "row 5, column ", "column a", "column gone",
    }  # fmt: skip


def test_every_problem_of_arrays_is_told_at_once(tmp_path: Path) -> None:
    bad = X.copy()
    bad[4, 1], bad[40, 2] = np.nan, np.inf
    np.savez(tmp_path / "bad.npz", x=bad, y=np.arange(5), f=np.asfortranarray(bad))
    expected = [{"name": "y", "max": 2}, {"name": "z"}, {"name": "x", "unit": "Pa", "kind": "text"}]
    assert places(tmp_path / "bad.npz", "bad.npz", expected) == [
        "row 5, column x at [1]", "row 41, column x at [2]", "row 4, column y", "row 5, column y",
        "row 5, column f at [1]", "row 41, column f at [2]", "column z", "column x", "column x",
    ]  # fmt: skip
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["x"] = bad
    assert places(tmp_path / "bad.h5", "bad.h5") == ["row 5, column x at [1]", "row 41, column x at [2]"]
    assert places(tmp_path / "bad.h5", "bad.h5", [{"name": "x", "nan": True}]) == []
    table = pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.array(bad.reshape(-1)), 3)})
    pq.write_table(table, tmp_path / "bad.parquet")
    assert places(tmp_path / "bad.parquet", "bad.parquet") == ["row 5, column x at [1]", "row 41, column x at [2]"]
    wavfile.write(tmp_path / "bad.wav", 8000, bad[:, 2])
    assert places(tmp_path / "bad.wav", "bad.wav") == ["row 41, column samples"]


@pytest.mark.parametrize("name", ["a\x00b", "a\x1bb", "x" * 201, "a [\x00]", f"a [{'m' * 41}]"])
def test_a_name_or_unit_that_cannot_be_shown_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"n,{name}\n1,2\n", "utf-8")
    (problem,) = check(tmp_path / "x.csv", "x.csv").problems
    assert "not printable" in problem.message
    assert str(problem).isprintable()
    title, _, unit = name.removesuffix("]").partition(" [")
    field = pa.field(title, pa.int64(), metadata={"unit": unit})
    pq.write_table(pa.Table.from_arrays([pa.array([1])], schema=pa.schema([field])), tmp_path / "x.parquet")
    (problem,) = check(tmp_path / "x.parquet", "x.parquet").problems
    assert str(problem).isprintable()


def test_problems_of_one_column_do_not_hide_those_of_others(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.full(10_000, np.nan), b=np.array([1.0, np.nan]))
    report = check(tmp_path / "x.npz", "x.npz")
    assert report.total == 10_001
    assert "row 2, column b" in [one.place for one in report.problems]
    assert any("9980 more" in one.message for one in report.problems)


class Bomb:
    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> Any:
        return (self._mark.touch, ())


def test_a_pickle_is_refused_and_never_loaded(tmp_path: Path) -> None:
    mark = tmp_path / "was-here"
    np.savez(tmp_path / "x.npz", x=np.array([Bomb(mark)], dtype=object))
    (problem,) = check(tmp_path / "x.npz", "x.npz").problems
    assert "pickles" in problem.message
    (tmp_path / "y.npz").write_bytes(pickle.dumps(Bomb(mark)))
    assert check(tmp_path / "y.npz", "y.npz").total == 1
    assert not mark.exists()


# Hostile archives.


def plain(entries: dict[str, bytes], **attributes: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in entries.items():
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = attributes.get("attr", 0)
                archive.writestr(info, data)

    return write


def overlapping(path: Path) -> None:
    """Two entries of one content, as in a bomb whose entries share their bytes."""
    plain({"a.npy": bytes(2000), "b.npy": bytes(2000)})(path)
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, second + 42, 0)
    path.write_bytes(data)


def million(path: Path) -> None:
    """10⁶ entries: a directory of 51 MB."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.npy"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        for _ in range(1000):
            file.write(entry * 1000)
        size = 1_000_000 * len(entry)
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**6, 10**6, size, 4))
        file.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, 4 + size, 1))
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def lying(path: Path) -> None:
    """10⁵ entries, of which the end tells of one."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.npy"
    size = 100_000 * len(entry)
    path.write_bytes(b"PK\x03\x04" + entry * 100_000 + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, 4, 0))


def two_ends(path: Path) -> None:
    """10⁵ entries, of which the ZIP64 end tells; the older one, which is asked first, tells of a directory of one."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.npy"
    size = 100_000 * len(entry)
    with path.open("wb") as file:
        file.write(b"PK\x03\x04" + entry * 100_000)
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**5, 10**5, size, 4))
        file.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, 4 + size, 1))
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), 4, 0))


def told_of_one(path: Path) -> None:
    """10⁴ entries in a directory that is not too large; the end tells of one."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.npy"
    size = 10_000 * len(entry)
    path.write_bytes(b"PK\x03\x04" + entry * 10_000 + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, 4, 0))


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "bomb": (plain({"a.npy": bytes(50_000_000)}), "bomb"),
    "slip": (plain({"../../etc/cron.d/a.npy": b"x"}), "outside"),
    "absolute": (plain({"/etc/a.npy": b"x"}), "outside"),
    "backslash": (plain({"..\\a.npy": b"x"}), "outside"),
    "folder": (plain({"a/": b""}), "outside"),
    "symlink": (plain({"a.npy": b"/etc/passwd"}, attr=(stat.S_IFLNK | 0o777) << 16), "symbolic link"),
    "million": (million, "1,000,000 entries"),
    "lying": (lying, "directory"),
    "two ends": (two_ends, "contradict"),
    "told of one": (told_of_one, "10,000 entries"),
    "overlap": (overlapping, "shares"),
    "many": (plain({f"{n}.npy": b"x" for n in range(1001)}), "1,001 entries"),
    "no end": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "no end"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_before_it_is_unpacked(name: str, tmp_path: Path) -> None:
    write, why = HOSTILE[name]
    path = tmp_path / "hostile.npz"
    write(path)
    report = Report()
    tracemalloc.start()
    begun = time.process_time()
    assert not judge(path, report)
    seconds = time.process_time() - begun
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert any(why in one.message for one in report.problems), report.problems
    assert most < 50_000_000
    print(f"{name}: {1e3 * seconds:.1f} ms of processor, {most / 1e6:.2f} MB")


def test_an_archive_with_a_zip64_end_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)  # what makes zipfile write one
    npz_file(tmp_path / "a.npz")
    assert b"PK\x06\x06" in (tmp_path / "a.npz").read_bytes()
    assert check(tmp_path / "a.npz", "a.npz").problems == []


def test_hdf5_that_reaches_out_of_its_file_is_refused(tmp_path: Path) -> None:
    hdf5_file(tmp_path / "other.h5")
    (tmp_path / "raw").write_bytes(bytes(80))
    layout = h5py.VirtualLayout((50, 3), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "osc/x/values", (50, 3))
    with h5py.File(tmp_path / "out.h5", "w") as file:
        file["external"] = h5py.ExternalLink("/etc/passwd", "x")
        file["soft"] = h5py.SoftLink("/gone")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (10,), "f8", external=[(str(tmp_path / "raw"), 0, 80)])
        file["loop"] = file["/"]
        file.create_dataset("objects", (2,), h5py.ref_dtype)
    assert set(places(tmp_path / "out.h5", "out.h5")) == {"external", "soft", "virtual", "raw", "loop", "objects"}
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("x", (10**6, 10**6), "f8", chunks=(10, 10))
    assert places(tmp_path / "huge.h5", "huge.h5") == ["file"]


def test_a_parquet_file_that_unpacks_to_a_lot_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attractor.importing.report.UNPACKED", 10**7)
    pq.write_table(pa.table({"x": np.zeros(2 * 10**6)}), tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size < 10**5
    assert places(tmp_path / "x.parquet", "x.parquet") == ["file"]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The file, cut off, with some bytes changed, or with a part of it put elsewhere."""
    changed = bytearray(data)
    how = rng.randrange(3)
    if how == 0:
        return bytes(changed[: rng.randrange(len(changed))])
    if how == 1:
        for _ in range(rng.randint(1, 8)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)
    at, to, length = rng.randrange(len(changed)), rng.randrange(len(changed)), rng.randint(1, 64)
    part = changed[at : at + length]
    changed[to : to + len(part)] = part
    return bytes(changed)


FUZZ = """
import json, random, sys
from pathlib import Path
from attractor.importing.check import check
sys.path.insert(0, sys.argv[3])
from test_importing import GOOD, damaged
folder, rng, refused = Path(sys.argv[1]), random.Random(7), dict.fromkeys(GOOD, 0)
for name in GOOD:
    data, path = (folder / name).read_bytes(), folder / "damaged"
    for _ in range(int(sys.argv[2])):
        path.write_bytes(damaged(data, rng))
        refused[name] += check(path, name).total > 0
print(json.dumps(refused))
"""


@pytest.mark.parametrize("number", [40, pytest.param(3000, marks=pytest.mark.exhaustive)])
def test_a_damaged_file_is_refused_or_read_and_nothing_breaks(number: int, tmp_path: Path) -> None:
    """Also by death: the checks run in a process of their own, which must come to its end."""
    for name in GOOD:
        made(tmp_path, name)
    here = str(Path(__file__).parent)
    ended = subprocess.run(
        [sys.executable, "-c", FUZZ, str(tmp_path), str(number), here], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    refused = json.loads(ended.stdout)
    print(f"refused of {number} damaged files each: {refused}")
    assert all(count > number // 5 for count in refused.values())


def test_the_process_of_its_own_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.array([1.0, np.nan]))
    job = {"path": str(path), "name": "x.npz", "expected": [{"name": "y"}], "memory": 2**28, "seconds": 30}
    ended = subprocess.run(
        [sys.executable, "-m", "attractor.importing"], input=json.dumps(job), capture_output=True, text=True, check=True
    )
    said = json.loads(ended.stdout)
    assert [one["place"] for one in said["problems"]] == ["row 2, column x", "column y"]
    assert said["columns"][0]["shape"] == [2]
