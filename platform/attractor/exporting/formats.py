"""The formats that a recording or a table of points can be written in, and which of them its columns allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from attractor.exporting import csv_file, hdf5_file, midi_file, netcdf_file, npz_file, parquet_file, png_file, wav_file
from attractor.recording.column import Column
from attractor.recording.recording import Recording

_TEXT_BYTES: Final = 16
"""What a number takes as text, about."""
_FORM_BYTES: Final = 2**20
"""What the form of a file may take besides."""
_COLUMN_BYTES: Final = 2**13

Progress = Callable[[float], None]
"""Told the share that is done, 0 … 1; what it raises ends the writing."""


class NotAllowed(ValueError):
    """These columns cannot be written in this format; the text says why, `mend` what to do."""

    def __init__(self, message: str, mend: str) -> None:
        self.mend = mend
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Format:
    """A format of files.

    Attributes:
        takes: whether a column can be written in it.
        only: what is said of columns that cannot.
        one: whether a file holds one column only.
        write: writes columns of a recording.
        write_table: writes a table of points; None where the format has no form for one.
    """

    name: str
    suffix: str
    media_type: str
    takes: Callable[[Column], bool]
    only: str
    write: Callable[[Recording, Sequence[Column], Path, Progress], None]
    write_table: Callable[[pa.Table, Path], None] | None = None
    one: bool = False


def _every(_: Column) -> bool:
    return True


FORMATS: Final[Mapping[str, Format]] = {
    one.name: one
    for one in (
        Format(
            "hdf5", "h5", "application/x-hdf5", _every, "all ports", hdf5_file.write, hdf5_file.write_table
        ),
        Format(
            "parquet", "parquet", "application/vnd.apache.parquet", _every, "all ports", parquet_file.write,
            parquet_file.write_table,
        ),
        Format("netcdf", "nc", "application/x-netcdf", _every, "all ports", netcdf_file.write),
        Format(
            "csv", "csv", "text/csv", csv_file.takes, f"ports of at most {csv_file.MOST_ELEMENTS} elements",
            csv_file.write, csv_file.write_table,
        ),
        Format("npz", "npz", "application/x-npz", _every, "all ports", npz_file.write, npz_file.write_table),
        Format("wav", "wav", "audio/wav", wav_file.takes, wav_file.ONLY, wav_file.write, one=True),
        Format("midi", "mid", "audio/midi", midi_file.takes, "triggers", midi_file.write),
        Format("png", "png", "image/png", png_file.takes, png_file.ONLY, png_file.write, one=True),
    )
}  # fmt: skip


def allowed(columns: Sequence[Column]) -> dict[str, list[str]]:
    """By format, the names of the columns that can be written in it; formats that can write none are not there."""
    found = {name: [one.name for one in columns if known.takes(one)] for name, known in FORMATS.items()}
    return {name: names for name, names in found.items() if names}


def estimated_bytes(name: str, columns: Sequence[Column], ticks: int, rows: int) -> int:
    """What a file of these columns may take, before it is made smaller by packing.

    Args:
        ticks: of the run.
        rows: of its recording; in a CSV every one has a cell for every number, said or not.
    """
    values = sum(one.bytes(ticks) for one in columns)
    texts = 0
    if name == "csv":
        values = sum(2 * one.bytes(ticks) // one.dtype.itemsize * _TEXT_BYTES for one in columns)
        numbers = [(one, one.elements * (2 if one.dtype.kind == "c" else 1)) for one in columns]
        texts = sum(count * (rows + len(one.name) + _TEXT_BYTES) for one, count in numbers)
    # Most formats give every port ticks and times of its own.
    marks = sum(2 * 8 * min(rows, -(-ticks // one.every)) for one in columns)
    return values + texts + marks + 3 * _TEXT_BYTES * rows + _COLUMN_BYTES * len(columns) + _FORM_BYTES


def chosen(name: str, columns: Sequence[Column], ports: Sequence[str]) -> list[Column]:
    """The columns that an export of `ports` writes; without ports all that the format takes.

    Raises:
        NotAllowed: a port is not there, or the format does not take it, or takes one only.
    """
    known = FORMATS[name]
    by_name = {one.name: one for one in columns}
    missing = [port for port in ports if port not in by_name]
    if missing:
        raise NotAllowed(f"{', '.join(missing)} was not recorded.", f"There is {', '.join(by_name)}.")
    wrong = [port for port in ports if not known.takes(by_name[port])]
    fitting = [one for one in columns if known.takes(one)]
    if wrong or not fitting:
        others = [other for other, names in allowed(columns).items() if set(ports or by_name) & set(names)]
        what = ", ".join(wrong) or "What was recorded"
        raise NotAllowed(
            f"{what} cannot be written as {name}, which takes {known.only}.",
            f"Choose {', '.join(others)}, or another port." if others else "Record a port that it takes.",
        )
    wanted = [by_name[port] for port in dict.fromkeys(ports)] if ports else fitting
    if known.one and len(wanted) > 1:
        raise NotAllowed(
            f"A file of {name} holds one port, not {len(wanted)}.",
            f"Choose one of {', '.join(x.name for x in fitting)}.",
        )
    return wanted
