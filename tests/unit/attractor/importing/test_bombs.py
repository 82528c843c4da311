"""Files that unpack to far more than they are, and files that are two things at once: refused, and at what cost.

Each is checked as the server does it, in a process of its own, whose memory is then looked up with the system.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import wavfile

from attractor.importing.archive import ends_as_archive

MEMORY = 2**29
"""Bytes that a check may take here; the server gives it four times as much."""
MEGABYTE = 2**20
MEASURE = """
import pathlib, re, runpy, sys
try:
    runpy.run_module("attractor.importing", run_name="__main__")
finally:
    # Not ru_maxrss, which begins with what the process had that started this one.
    print(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""


def verdict(path: Path, name: str) -> tuple[dict[str, Any] | None, int]:
    """What the check says, None if it died, and the most memory that it had, bytes."""
    job = {"path": str(path), "name": name, "expected": [], "memory": MEMORY, "seconds": 60}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=json.dumps(job), capture_output=True, text=True, check=False, timeout=120
    )
    most = int(done.stderr.split()[-1]) * 1024 if done.stderr.split() else 0
    return (json.loads(done.stdout) if done.returncode == 0 else None), most


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Memory of a check that has nothing to do: what its libraries take."""
    path = tmp_path_factory.mktemp("rest") / "a.csv"
    path.write_text("a\n1\n", "utf-8")
    said, most = verdict(path, "a.csv")
    assert said is not None
    assert said["total"] == 0
    return most


def zipped(data: bytes, names: tuple[str, ...] = ("a.npy",)) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in names:
            archive.writestr(name, data)
    return into.getvalue()


def npy(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    into = io.BytesIO()
    np.lib.format.write_array_header_1_0(into, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return into.getvalue() + data


def lying_entry() -> bytes:
    """A ZIP whose directory says that its entry has 1,000 bytes, of which 300 MB are unpacked."""
    data = bytearray(zipped(npy((40_000_000,)) + bytes(300 * MEGABYTE)))
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 1000)
    return bytes(data)


def hdf5_huge_chunk() -> bytes:
    """Ten numbers in a chunk of 4 GB."""
    into = io.BytesIO()
    with h5py.File(into, "w") as file:
        one = file.create_dataset("x", (10,), "f8", maxshape=(None,), chunks=(2**29 - 1,), compression="gzip")
        one.id.write_direct_chunk((0,), zlib.compress(bytes(8 * MEGABYTE), 9))
    return into.getvalue()


def hdf5_chunk_that_unpacks_to_more() -> bytes:
    """A chunk that is said to have 8 kB, and unpacks to 3 GB: the filter believes the stream."""
    packer = zlib.compressobj(9)
    piece = bytes(16 * MEGABYTE)
    packed = b"".join(packer.compress(piece) for _ in range(192)) + packer.flush()
    into = io.BytesIO()
    with h5py.File(into, "w") as file:
        one = file.create_dataset("x", (1000,), "f8", chunks=(1000,), compression="gzip")
        one.id.write_direct_chunk((0,), packed)
    return into.getvalue()


def hdf5_twice_packed() -> bytes:
    into = io.BytesIO()
    with h5py.File(into, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1000,))
        plist.set_deflate(9)
        plist.set_deflate(9)
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((1000,)), plist)
    return into.getvalue()


def hdf5_many_promises() -> bytes:
    """A petabyte that is nowhere: chunks that were never written take no room."""
    into = io.BytesIO()
    with h5py.File(into, "w") as file:
        file.create_dataset("x", (2**47,), "f8", chunks=(1000,))
    return into.getvalue()


def parquet_of_one_value() -> bytes:
    into = io.BytesIO()
    pq.write_table(pa.table({"x": np.zeros(100_000_000)}), into, compression="zstd")
    return into.getvalue()


def wav_of_nothing() -> bytes:
    """44 bytes that say they are 2 GB."""
    form = (b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 2**31, b"WAVE", *form, b"data", 2**31)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "zip": ("x.npz", lambda: zipped(npy((50_000_000,)) + bytes(400 * MEGABYTE))),
    "zip in zip": ("x.npz", lambda: zipped(zipped(bytes(50 * MEGABYTE)), ("a.npy", "b.npy"))),
    "zip that lies": ("x.npz", lying_entry),
    "npy that promises": ("x.npz", lambda: zipped(npy((2**40,), bytes(80)))),
    "hdf5: huge chunk": ("x.h5", hdf5_huge_chunk),
    "hdf5: chunk that unpacks to more": ("x.h5", hdf5_chunk_that_unpacks_to_more),
    "hdf5: packed twice": ("x.h5", hdf5_twice_packed),
    "hdf5: promises": ("x.h5", hdf5_many_promises),
    "parquet": ("x.parquet", parquet_of_one_value),
    "wav": ("x.wav", wav_of_nothing),
    "gzip as csv": ("x.csv", lambda: gzip.compress(bytes(50 * MEGABYTE))),
    "csv of one cell": ("x.csv", lambda: b"a\n" + b"1" * (20 * MEGABYTE)),
    "csv of commas": ("x.csv", lambda: b"a" + b"," * (5 * MEGABYTE) + b"\n"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_its_memory(name: str, tmp_path: Path, at_rest: int) -> None:
    file, make = BOMBS[name]
    path = tmp_path / "bomb"
    path.write_bytes(make())
    said, most = verdict(path, file)
    assert said is None or said["total"] > 0
    assert most - at_rest < MEMORY + 64 * MEGABYTE
    how = "its reader died" if said is None else said["problems"][0]["message"]
    print(f"{name}: {path.stat().st_size:,} bytes, {(most - at_rest) / 1e6:.0f} MB; {how}")


@pytest.mark.parametrize("name", ["hdf5: huge chunk", "hdf5: packed twice", "hdf5: promises", "zip", "zip that lies"])
def test_what_says_of_itself_that_it_is_one_is_refused_unread(name: str, tmp_path: Path, at_rest: int) -> None:
    """By what is written in it, with hardly more memory than for nothing at all."""
    file, make = BOMBS[name]
    path = tmp_path / "bomb"
    path.write_bytes(make())
    said, most = verdict(path, file)
    assert said is not None
    assert said["total"] > 0
    assert most - at_rest < 80 * MEGABYTE


def picture() -> bytes:
    into = io.BytesIO()
    Image.new("L", (8, 8)).save(into, "png")
    return into.getvalue()


def picture_bomb() -> bytes:
    """A PNG of 25 kB that is 200 megapixels."""
    into = io.BytesIO()
    Image.new("1", (16_000, 12_500)).save(into, "png", optimize=True)
    return into.getvalue()


def good(kind: str, folder: Path) -> bytes:
    path = folder / f"good.{kind}"
    if kind == "wav":
        wavfile.write(path, 8000, np.zeros(100, np.int16))
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["x"] = np.arange(5.0)
    elif kind == "parquet":
        pq.write_table(pa.table({"x": [1.0]}), path)
    elif kind == "npz":
        np.savez(path, x=np.arange(5.0))
    else:
        path.write_text("a,b\n1,2\n", "utf-8")
    return path.read_bytes()


PAGE = b"<script>alert(1)</script>"
POLYGLOTS: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "wav and zip": ("x.wav", lambda folder: good("wav", folder) + zipped(b"x")),
    "hdf5 and zip": ("x.h5", lambda folder: good("h5", folder) + zipped(b"x")),
    "parquet and zip": ("x.parquet", lambda folder: good("parquet", folder) + zipped(b"x")),
    "csv and zip": ("x.csv", lambda folder: good("csv", folder) + zipped(b"x")),
    "wav and page": ("x.wav", lambda folder: good("wav", folder) + PAGE),
    "page and npz": ("x.npz", lambda folder: PAGE + good("npz", folder)),
    "png and npz": ("x.npz", lambda folder: picture() + good("npz", folder)),
    "pdf and hdf5": ("x.h5", lambda folder: b"%PDF-1.4\n".ljust(512, b" ") + good("h5", folder)),
    "page as csv": ("x.csv", lambda _: b"<!DOCTYPE html><script>alert(1)</script>,a\n1,2\n"),
    "page behind blanks as csv": ("x.csv", lambda _: b"\xef\xbb\xbf \n <svg onload=alert(1)>,a\n1,2\n"),
    "script as csv": ("x.csv", lambda _: b"#!/bin/sh\nrm,-rf\n1,2\n"),
    "gif as csv": ("x.csv", lambda _: b"GIF89a=1;alert(1),a\n1,2\n"),
    "png": ("x.csv", lambda _: picture()),
    "png bomb": ("x.wav", lambda _: picture_bomb()),
    "npz as wav": ("x.wav", lambda folder: good("npz", folder)),
    "hdf5 as parquet": ("x.parquet", lambda folder: good("h5", folder)),
    "nothing we know": ("x.html", lambda _: PAGE),
    "two suffixes": ("x.csv.html", lambda folder: good("csv", folder)),
}


@pytest.mark.parametrize("name", POLYGLOTS)
def test_a_file_is_one_thing(name: str, tmp_path: Path) -> None:
    file, make = POLYGLOTS[name]
    path = tmp_path / "file"
    path.write_bytes(make(tmp_path))
    said, _ = verdict(path, file)
    assert said is not None
    assert said["total"] > 0, said


@pytest.mark.parametrize("kind", ["csv", "wav", "h5", "parquet", "npz"])
def test_a_good_file_is_not_taken_for_two(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(good(kind, tmp_path))
    said, _ = verdict(tmp_path / "file", f"x.{kind}")
    assert said is not None
    assert said["total"] == 0, said["problems"]


def test_marks_of_an_archive_that_are_chance_make_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 500 + b"PK\x05\x06" + b"y" * 500)
    assert not ends_as_archive(path)
    path.write_bytes(b"x" * 500 + zipped(b"x"))
    assert ends_as_archive(path)
