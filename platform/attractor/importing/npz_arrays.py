"""NPZ: arrays in a ZIP archive. An array of objects is a pickle, and refused by its header."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from attractor.importing import archive
from attractor.importing.report import Found, Report, kind_of

HEADER: Final = 10_000
CHUNK: Final = 2**22


def check(path: Path, report: Report) -> None:
    """Check the archive, then the header of every array, then every number."""
    if not archive.judge(path, report):
        return
    with zipfile.ZipFile(path) as opened:
        for one in opened.infolist():
            name = one.filename.removesuffix(".npy")
            if name == one.filename:
                report.say(f"entry {one.filename!r}", "is no array.", "Store arrays only, as numpy.savez does.")
                continue
            try:
                with opened.open(one) as stream:
                    _array(stream, name, one.file_size, report)
            except (ValueError, zipfile.BadZipFile, OSError, EOFError, zipfile.zlib.error, SyntaxError) as error:  # type: ignore[attr-defined]
                report.say(f"array {name}", f"cannot be read: {str(error)[:300]}.", "Write it anew.")


def _array(stream: IO[bytes], name: str, size: int, report: Report) -> None:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0), (3, 0)):
        report.say(f"array {name}", f"has the version {version} of NPY.", "Write it as version 1, 2 or 3.")
        return
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream, max_header_size=HEADER)
    kind = kind_of(dtype)
    if dtype.hasobject or kind is None or dtype.names is not None:
        what = "objects, which are pickles" if dtype.hasobject else f"values of the type {dtype}"
        report.say(f"array {name}", f"holds {what}.", "Store numbers, booleans or texts.")
        return
    total = math.prod(shape) * dtype.itemsize
    if total > size:
        report.say(f"array {name}", f"says it has {total:,} bytes, and has at most {size:,}.", "Write it anew.")
        return
    report.add(Found(name, kind, str(dtype), tuple(int(n) for n in shape)))
    if dtype.kind in "fc" or name in report.expected:
        _values(stream, name, shape, dtype, fortran=fortran, report=report)


def _values(
    stream: IO[bytes], name: str, shape: tuple[int, ...], dtype: np.dtype[Any], *, fortran: bool, report: Report
) -> None:
    row = max(1, math.prod(shape[1:]))
    rows = shape[0] if shape else 1
    if fortran and len(shape) > 1:
        data = np.frombuffer(stream.read(math.prod(shape) * dtype.itemsize), dtype)
        report.numbers(name, data.reshape(shape, order="F"))
        return
    step = max(1, CHUNK // max(1, row * dtype.itemsize))
    for first in range(0, rows, step):
        count = min(step, rows - first)
        blob = stream.read(count * row * dtype.itemsize)
        if len(blob) < count * row * dtype.itemsize:
            raise ValueError(f"it ends in row {first + 1} or soon after")
        report.numbers(name, np.frombuffer(blob, dtype).reshape(count, *shape[1:]), first)
