"""HDF5: data sets of numbers, booleans and texts. Nothing outside the file is followed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from attractor.importing.report import MOST_COLUMNS, Found, Report, kind_of

DEPTH: Final = 16
CHUNK: Final = 2**22
FILTERS: Final = {"gzip", "lzf", None}
CHUNK_BYTES: Final = 2**26
"""Of a chunk, unpacked: one is unpacked whole, however little of it is asked for."""
_TAKEN: Final = frozenset({1, 2, 3, 32000})
"""Filters by their number (HDF5 registry): deflate, shuffle, fletcher32, lzf."""


def check(path: Path, report: Report) -> None:
    """Check every group and data set; the attribute `unit` or `units` is its unit."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            found: list[tuple[str, h5py.Dataset]] = []
            _walk(file, "", 0, {h5py.h5o.get_info(file.id).addr}, found, report)
            bytes_ = sum(math.prod(one.shape or ()) * one.dtype.itemsize for _, one in found)
            if report.total or not report.fits(bytes_, "file"):
                return
            for name, one in found:
                _dataset(name, one, report)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, OverflowError, MemoryError) as error:
        report.say("file", f"cannot be read as HDF5: {str(error)[:300]}.", "Write it anew.")


def _walk(
    group: h5py.Group, prefix: str, depth: int, seen: set[Any], found: list[tuple[str, h5py.Dataset]], report: Report
) -> None:
    if depth > DEPTH:
        report.say(f"group {prefix}", f"lies deeper than {DEPTH} groups.", "Put it higher.")
        return
    for name in group:
        place = f"{prefix}{name}"
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            what = "another file" if isinstance(link, h5py.ExternalLink) else "another place"
            report.say(place, f"is a link to {what}.", "Store the data itself.")
            continue
        one = group[name]
        identity = h5py.h5o.get_info(one.id).addr
        if identity in seen:
            report.say(place, "is stored under two names.", "Name it once.")
            continue
        seen.add(identity)
        if len(seen) > MOST_COLUMNS:
            report.say("file", f"has more than {MOST_COLUMNS} groups and data sets.", "Split it.")
            return
        if isinstance(one, h5py.Group):
            _walk(one, f"{place}/", depth + 1, seen, found, report)
        elif isinstance(one, h5py.Dataset):
            if _takes(place, one, report):
                found.append((place, one))
        else:
            report.say(place, "is a named type.", "Store data sets only.")


def _takes(place: str, one: h5py.Dataset, report: Report) -> bool:
    before = report.total
    if one.external or one.is_virtual:
        report.say(place, "takes its data from another file.", "Store the data itself.")
    plist = one.id.get_create_plist()
    filters = [plist.get_filter(n)[0] for n in range(plist.get_nfilters())]
    if one.compression not in FILTERS or any(number not in _TAKEN for number in filters):
        report.say(place, f"is compressed by {one.compression!r}.", "Use gzip, or nothing.")
    if len(set(filters)) < len(filters):
        report.say(place, "is compressed more than once.", "Compress it once.")
    if one.chunks is not None and math.prod(one.chunks) * one.dtype.itemsize > CHUNK_BYTES:
        report.say(place, f"has chunks of more than {CHUNK_BYTES:,} bytes.", "Write it with smaller chunks.")
    if h5py.check_string_dtype(one.dtype) is None and kind_of(one.dtype) is None:
        report.say(place, f"holds values of the type {one.dtype}.", "Store numbers, booleans or texts.")
    if one.shape is None:
        report.say(place, "is empty: it has no shape.", "Give it values, or leave it out.")
    return report.total == before


def _dataset(name: str, one: h5py.Dataset, report: Report) -> None:
    text = h5py.check_string_dtype(one.dtype) is not None
    kind = "text" if text else kind_of(one.dtype) or "text"
    unit = one.attrs.get("unit", one.attrs.get("units", ""))
    unit = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit)
    report.add(Found(name, kind, "str" if text else str(one.dtype), tuple(one.shape), unit))
    if text:
        return
    if not one.shape:
        report.numbers(name, np.asarray(one[()]).reshape(1))
        return
    row = max(1, math.prod(one.shape[1:]) * one.dtype.itemsize)
    step = max(1, CHUNK // row)
    for first in range(0, one.shape[0], step):
        report.numbers(name, np.asarray(one[first : first + step]), first)
