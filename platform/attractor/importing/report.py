"""What a check of a file found: its columns, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from attractor.errors import Problem

MOST: Final = 1000
"""Problems that are kept; the others are counted."""
UNPACKED: Final = 2**29
"""Bytes that the values of a file may take, however small they are packed."""
MOST_COLUMNS: Final = 1000
_A_COLUMN: Final = 20
"""Problems that are told of one column; the others are counted in one more."""

MOST_NAME: Final = 200
MOST_UNIT: Final = 40

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a column must be. None asks nothing; `nan` allows values that are not finite."""

    name: str
    unit: str | None = None
    kind: str | None = None
    nan: bool = False
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A column or array: `kind` is number, complex, bool or text; `shape` the whole of it."""

    name: str
    kind: str
    dtype: str
    shape: tuple[int, ...]
    unit: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "shape": list(self.shape)}


@dataclass(slots=True)
class Report:
    """Collects problems; `total` counts also those that are not kept."""

    expected: Mapping[str, Expected] = field(default_factory=dict)
    columns: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    total: int = 0
    by_column: dict[str, int] = field(default_factory=dict)

    @classmethod
    def expecting(cls, wanted: Iterable[Mapping[str, Any]]) -> Report:
        return cls({one["name"]: Expected(**one) for one in wanted})

    def say(self, place: str, message: str, mend: str, column: str | None = None) -> None:
        """One problem; of a column only the first few are kept."""
        self.total += 1
        if column is not None:
            self.by_column[column] = self.by_column.get(column, 0) + 1
            if self.by_column[column] > _A_COLUMN:
                return
        if len(self.problems) < MOST:
            self.problems.append(Problem(place, message, mend))

    def names(self, name: str, unit: str = "") -> bool:
        """Whether a column may have a name and a unit: such as can be kept and shown."""
        before = self.total
        place = f"column {name[:80]!a}"
        if len(name) > MOST_NAME or not name.isprintable():
            self.say(place, "has a name that is too long or not printable.", f"Give it {MOST_NAME} characters at most.")
        if len(unit) > MOST_UNIT or not unit.isprintable():
            self.say(place, "has a unit that is too long or not printable.", f"Give it {MOST_UNIT} characters at most.")
        return self.total == before

    def add(self, column: Found) -> None:
        """Take a column, if it may have its name and unit."""
        if self.names(column.name, column.unit):
            self.columns.append(column)

    def allows_nan(self, name: str) -> bool:
        one = self.expected.get(name)
        return one is not None and one.nan

    def fits(self, bytes_: int, what: str) -> bool:
        """Whether values of so many bytes may be read."""
        if bytes_ <= UNPACKED:
            return True
        self.say(what, f"would take {bytes_:.3g} bytes unpacked; {UNPACKED:.3g} are allowed.", "Split it.")
        return False

    def number(self, name: str, place: str, value: float, shown: str = "") -> None:
        """Check one number, which stands at a place."""
        one = self.expected.get(name)
        if not np.isfinite(value):
            if not self.allows_nan(name):
                self.say(place, f"{shown or value} is not finite.", "Leave it out, or allow it for this column.", name)
        elif one is not None and one.min is not None and value < one.min:
            self.say(place, f"{value} is less than {one.min}.", "Correct it.", name)
        elif one is not None and one.max is not None and value > one.max:
            self.say(place, f"{value} is more than {one.max}.", "Correct it.", name)

    def numbers(self, name: str, values: Array, first_row: int = 0) -> None:
        """Check the numbers of an array whose first axis are rows."""
        if values.dtype.kind not in "fciu" or not values.size:
            return
        one = self.expected.get(name)
        wrong = np.zeros(values.shape, bool)
        if values.dtype.kind in "fc":
            wrong = ~np.isfinite(values)
            if self.allows_nan(name):
                wrong[:] = False
        if one is not None and values.dtype.kind != "c":
            with np.errstate(invalid="ignore"):
                if one.min is not None:
                    wrong |= values < one.min
                if one.max is not None:
                    wrong |= values > one.max
        places = np.argwhere(wrong)
        for at in places[:_A_COLUMN]:
            row, rest = int(at[0]) + first_row if len(at) else first_row, [int(k) for k in at[1:]]
            value = values[tuple(at)]
            inside = f" at {rest}" if rest else ""
            place = f"row {row + 1}, column {name}{inside}"
            if values.dtype.kind == "c":
                self.say(place, f"{value} is not finite.", "Leave it out, or allow it for this column.", name)
            else:
                self.number(name, place, float(value))
        beyond = len(places) - min(len(places), _A_COLUMN)
        self.total += beyond
        self.by_column[name] = self.by_column.get(name, 0) + beyond

    def close(self) -> None:
        """Compare the columns with those that were expected, and say how many problems were left out."""
        found = {one.name: one for one in self.columns}
        for name, one in self.expected.items():
            have = found.get(name)
            if have is None:
                there = ", ".join(list(found)[:20]) or "none"
                self.say(f"column {name}", "is missing.", f"Add it; there is {there}.")
                continue
            if one.kind is not None and have.kind != one.kind:
                self.say(f"column {name}", f"holds {have.kind}, not {one.kind}.", "Change its values.")
            if one.unit is not None and have.unit != one.unit:
                mend = f"Convert it to {one.unit}, and say so."
                self.say(f"column {name}", f"has the unit {have.unit or 'none'!s}, not {one.unit}.", mend)
        for name, count in self.by_column.items():
            if count > _A_COLUMN and len(self.problems) < MOST:
                more = f"has {count - _A_COLUMN} more problems."
                self.problems.append(
                    Problem(f"column {name}", more, "Correct the first ones, and look for others alike.")
                )


def kind_of(dtype: np.dtype[Any]) -> str | None:
    """The kind of values of a type; None of one that is not taken."""
    return {"f": "number", "i": "number", "u": "number", "c": "complex", "b": "bool", "U": "text", "S": "text"}.get(
        dtype.kind
    )
