"""The declaration of a node's parameter, and the check of a value against it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

LARGEST: Final = (2.0 - 2.0**-23) * 2.0**127
"""Largest number of single precision."""
SMALLEST: Final = 2.0**-126
"""Smallest number above 0 that single precision holds with all its digits."""

ParameterType = Literal["float", "int", "bool", "choice", "text", "list"]


class ParameterRefused(ValueError):
    """A value that its declaration does not allow; `mend` says what would be."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a node kind.

    Args:
        name: as in the graph's JSON.
        type: float, int, bool, choice, text or list (JSON list of numbers, possibly nested).
        default: the value used when the graph does not give one. It must itself be legal.
        unit: SI or the field's unit; empty for a pure number. A graph may name the unit
            (``{"value": 5, "unit": "ms"}``) and is refused when it is another one.
        min, max: inclusive ends of the range.
        open_min: the lower end, which is 0, is excluded, and with it all below `SMALLEST`.
        choices: legal values of a choice.
        live: may be changed while the run goes on, and be the target of a modulation route.
        doc: one sentence for the reference page.
    """

    name: str
    type: ParameterType
    default: Any
    unit: str = ""
    min: float | None = None
    max: float | None = None
    open_min: bool = False
    choices: tuple[str | int, ...] = ()
    live: bool = False
    doc: str = ""

    def __post_init__(self) -> None:
        if self.open_min and (self.min != 0 or self.type != "float"):
            raise ValueError(f"parameter {self.name!r}: only the end 0 of a float can be excluded")
        self.validate(self.default)
        if self.live and self.type not in ("float", "int", "bool"):
            raise TypeError(f"parameter {self.name!r}: only numbers and switches can be live")

    @property
    def range(self) -> str:
        """The legal values in words."""
        if self.type == "choice":
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        if self.type in ("float", "int") and (self.min is not None or self.max is not None):
            low = "-inf" if self.min is None else f"{self.min:g}"
            high = "inf" if self.max is None else f"{self.max:g}"
            left = "(" if self.open_min or self.min is None else "["
            return f"in {left}{low}, {high}{')' if self.max is None else ']'}" + (f" {self.unit}" if self.unit else "")
        return {"bool": "true or false", "text": "a text", "list": "a list of numbers"}.get(self.type, f"a {self.type}")

    def validate(self, value: Any) -> Any:
        """`value` in the parameter's own type.

        Raises:
            ParameterRefused: wrong type, unit, choice or range.
        """
        if isinstance(value, dict):
            value = self._strip_unit(value)
        match self.type:
            case "float" | "int":
                return self._number(value)
            case "bool":
                if not isinstance(value, bool):
                    raise self._refused(value, "not true or false")
            case "choice":
                if value not in self.choices or isinstance(value, bool):
                    raise self._refused(value, "not a choice")
            case "text":
                if not isinstance(value, str):
                    raise self._refused(value, "not a text")
            case "list":
                if not isinstance(value, list | tuple) or not _numbers(value):
                    raise self._refused(value, "not a list of finite numbers")
        return value

    def declaration(self) -> dict[str, Any]:
        """JSON-able form for the palette, the API and the reference page."""
        return {
            "name": self.name, "type": self.type, "default": self.default, "unit": self.unit,
            "min": self.min, "max": self.max, "open_min": self.open_min,
            "choices": list(self.choices), "live": self.live, "doc": self.doc,
        }  # fmt: skip

    def _strip_unit(self, value: dict[str, Any]) -> Any:
        if set(value) != {"value", "unit"}:
            raise self._refused(value, 'an object other than {"value": …, "unit": …}')
        if value["unit"] != self.unit:
            own = repr(self.unit) if self.unit else "no unit"
            raise ParameterRefused(
                f"the unit {_shown(value['unit'])} is not the parameter's.", f"Give the value in {own}, {self.range}."
            )
        return value["value"]

    def _number(self, value: Any) -> float | int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refused(value, "not a number")
        if not _finite(value):
            raise self._refused(value, "not finite, or too large for single precision")
        if self.type == "int" and value != int(value):
            raise self._refused(value, "not a whole number")
        if self.open_min and 0 < value < SMALLEST:
            raise ParameterRefused(
                f"{_shown(value)} is too small for single precision.",
                f"Give a value that is {self.range}; the smallest is {SMALLEST:.8g}.",
            )
        too_low = self.min is not None and (value <= self.min if self.open_min else value < self.min)
        if too_low or (self.max is not None and value > self.max):
            raise self._refused(value, "out of range")
        return int(value) if self.type == "int" else float(value)

    def _refused(self, value: Any, what: str) -> ParameterRefused:
        return ParameterRefused(f"{_shown(value)} is {what}.", f"Give a value that is {self.range}.")


def _numbers(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_numbers(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool) and _finite(value)


def _finite(value: float) -> bool:
    """Whether a value is finite also in single precision, in which every node computes."""
    try:
        return math.isfinite(value) and abs(value) <= LARGEST
    except OverflowError:  # A whole number that no float can hold.
        return False


def _shown(value: Any) -> str:
    """A value as part of a message: never long."""
    try:
        shown = repr(value)
    except ValueError:  # Python writes out no whole number of more than 4300 digits.
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else shown[:57] + "…"
