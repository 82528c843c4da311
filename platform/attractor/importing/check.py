"""Checks a file of any format that is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from attractor.importing import csv_table, hdf5_arrays, npz_arrays, parquet_table, wav_sound
from attractor.importing.archive import ends_as_archive
from attractor.importing.report import Report


@dataclass(frozen=True, slots=True)
class Known:
    """A format that is taken: how a file of it begins, and what checks it."""

    name: str
    media_type: str
    begins: tuple[bytes, ...]
    check: Callable[[Path, Report], None]


_HDF5: Final = Known("hdf5", "application/x-hdf5", (b"\x89HDF\r\n\x1a\n",), hdf5_arrays.check)
FORMATS: Final[Mapping[str, Known]] = {
    ".csv": Known("csv", "text/csv", (), csv_table.check),
    ".parquet": Known("parquet", "application/vnd.apache.parquet", (b"PAR1",), parquet_table.check),
    ".npz": Known("npz", "application/x-npz", (b"PK\x03\x04", b"PK\x05\x06"), npz_arrays.check),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".wav": Known("wav", "audio/wav", (b"RIFF",), wav_sound.check),
}

_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_FOREIGN: Final = (
    b"<!doctype", b"<html", b"<script", b"<svg", b"<?xml", b"<!--", b"%pdf-", b"#!/", b"gif87a", b"gif89a", b"{\\rtf",
)  # fmt: skip
"""How text begins that a program could take for a page, a picture or a program; written small."""


def format_of(name: str) -> Known | None:
    """The format that a file's name says; None when none is known."""
    return FORMATS.get(Path(name).suffix.lower())


def check(path: Path, name: str, expected: Iterable[Mapping[str, Any]] = ()) -> Report:
    """Check a file, whose name says its format.

    Args:
        expected: [{name, unit, kind, nan, min, max}] of columns that it must have.

    Returns:
        its columns, and every problem that was found.
    """
    report = Report.expecting(expected)
    known = format_of(name)
    if known is None:
        report.say("name", f"{Path(name).suffix or 'no suffix'} is not known.", f"Name it {', '.join(FORMATS)}.")
        return report
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        report.say("file", "is empty.", "Send its content.")
    elif known.begins and not head.startswith(known.begins):
        report.say("file", f"does not begin as {known.name} does.", "Name it as what it is.")
    elif known.name != "npz" and ends_as_archive(path):
        report.say("file", f"is {known.name} and a ZIP archive at once.", "Send the one without the other.")
    elif not known.begins and head.lstrip(_BLANK).lower().startswith(_FOREIGN):
        report.say("file", f"is no {known.name}: it begins as another kind of file does.", "Name it as what it is.")
    elif not known.begins and head.startswith(tuple(mark for one in FORMATS.values() for mark in one.begins)):
        report.say("file", f"is no {known.name}.", "Name it as what it is.")
    if report.total == 0:
        known.check(path, report)
    report.close()
    return report
