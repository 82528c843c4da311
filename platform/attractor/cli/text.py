"""Printing: results to the standard output, everything about them to the standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def say(text: object) -> None:
    """Tell the person something that is no result."""
    print(plain(str(text)), file=sys.stderr, flush=True)


def put(text: object = "") -> None:
    """Print a line of the result."""
    print(plain(str(text)), flush=True)


def put_json(value: Any) -> None:
    """Print a value as JSON, which is then all that the standard output holds."""
    print(json.dumps(value, indent=1, ensure_ascii=False), flush=True)


def put_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], indent: str = "") -> None:
    """Print rows under their headings."""
    cells = [[plain(str(cell)).replace("\n", " ") for cell in row] for row in [columns, *rows]]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    for row in cells:
        print(indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def plain(text: str) -> str:
    """Text without the control characters by which a name could move the cursor of a terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)
