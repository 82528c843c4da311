"""CSV: a header, then rows of as many cells; UTF-8, commas. A unit stands in brackets behind a name: ``p [Pa]``."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Final

from attractor.importing.report import MOST_COLUMNS, Found, Report

CELL: Final = 2**16
_TITLE: Final = re.compile(r"(.*?)\s*\[([^\[\]]*)\]")
_PORT: Final = re.compile(r"\d+(,\d+)*")


def check(path: Path, report: Report) -> None:
    """Check every cell. A column whose first cell that is not empty is a number is a column of numbers."""
    csv.field_size_limit(CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            titles = next(rows, None)
            if not titles:
                report.say("row 1", "is no header.", "Begin with a row of names.")
                return
            columns = [_title(title) for title in titles]
            if len(columns) > MOST_COLUMNS:
                report.say("row 1", f"has {len(columns)} columns; {MOST_COLUMNS} are allowed.", "Split it.")
                return
            if not all(report.names(name, unit) for name, unit in columns):
                return
            _names([name for name, _ in columns], report)
            kinds: list[str | None] = [None] * len(columns)
            count = 0
            for count, cells in enumerate(rows, 1):
                _row(count + 1, cells, [name for name, _ in columns], kinds, report)
            if not count:
                report.say("row 2", "is missing: there are no values.", "Add rows below the header.")
    except UnicodeDecodeError as error:
        report.say("file", f"is not UTF-8 ({error.reason} at byte {error.start}).", "Save it as UTF-8.")
        return
    except csv.Error as error:
        report.say(
            f"line {rows.line_num}", f"cannot be read: {error}.", "Close its quotation marks, or shorten its cells."
        )
        return
    report.columns = [
        Found(name, kind or "text", "float64" if kind == "number" else "str", (count,), unit)
        for (name, unit), kind in zip(columns, kinds, strict=True)
    ]


def _title(text: str) -> tuple[str, str]:
    """Name and unit. What is in brackets right behind a name may be the place in a value: ``osc.x[3]``."""
    found = _TITLE.fullmatch(text.strip())
    if found is None or _PORT.fullmatch(found[2]):
        return text.strip(), ""
    return found[1], found[2]


def _names(names: list[str], report: Report) -> None:
    for n, name in enumerate(names, 1):
        if not name:
            report.say(f"row 1, column {n}", "has no name.", "Name it.")
        elif names.index(name) != n - 1:
            report.say(f"row 1, column {n}", f"{name[:80]!r} is there twice.", "Give every column a name of its own.")


def _row(row: int, cells: list[str], names: list[str], kinds: list[str | None], report: Report) -> None:
    if len(cells) != len(names):
        report.say(
            f"row {row}", f"has {len(cells)} cells; the header has {len(names)}.", "Add or remove cells.", "rows"
        )
    for n, (name, cell) in enumerate(zip(names, cells, strict=False)):
        if "\x00" in cell:
            report.say(f"row {row}, column {name}", "holds a NUL character.", "Remove it.", name)
            continue
        text = cell.strip()
        if not text:
            continue
        number = _number(text)
        if kinds[n] is None:
            kinds[n] = "text" if number is None else "number"
        if kinds[n] == "number":
            place = f"row {row}, column {name}"
            if number is None:
                report.say(place, f"{text[:40]!r} is no number.", "Correct it, or leave the cell empty.", name)
            else:
                report.number(name, place, number, text[:40])


def _number(text: str) -> float | None:
    if text.lower() in ("true", "false"):
        return float(text.lower() == "true")
    try:
        # Python would take 1_000 and other digits too; other programs do not.
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None
