"""A verdict's numbers, arranged for reading: plain values first, lists of like records as tables, the rest nested."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Group:
    """One block of numbers.

    Attributes:
        kind: "value" (rows are name, value), "table" (columns and rows of cells) or "group" (entries).
    """

    kind: Literal["value", "table", "group"]
    name: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()
    entries: tuple["Group", ...] = ()


def arrange(numbers: Any) -> tuple[Group, ...]:
    """The groups of a JSON value; nothing in it is left out."""
    if isinstance(numbers, dict):
        return _mapping(numbers)
    if isinstance(numbers, list):
        return (_sequence("", numbers),)
    return (Group("value", rows=(("value", shown(numbers)),)),)


def shown(value: Any) -> str:
    """One JSON scalar, or a list of them, as text; floats to six significant digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value) if value else "none"
    if isinstance(value, dict):
        return ", ".join(f"{words(key)} {shown(item)}" for key, item in value.items()) if value else "none"
    return str(value)


def words(key: str) -> str:
    """A JSON key as words."""
    return key.replace("_", " ")


def _mapping(mapping: dict[str, Any]) -> tuple[Group, ...]:
    rows: list[tuple[str, str]] = []
    groups: list[Group] = []
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            groups.append(Group("group", name=words(key), entries=_mapping(value)))
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            groups.append(_sequence(words(key), value))
        else:
            rows.append((words(key), shown(value)))
    plain = (Group("value", rows=tuple(rows)),) if rows else ()
    return (*plain, *groups)


def _sequence(name: str, items: list[Any]) -> Group:
    if items and all(isinstance(item, dict) for item in items):
        keys = tuple(dict.fromkeys(key for item in items for key in item))
        rows = tuple(tuple(shown(item[key]) if key in item else "" for key in keys) for item in items)
        return Group("table", name=name, columns=tuple(words(key) for key in keys), rows=rows)
    rows = tuple((str(place), shown(item)) for place, item in enumerate(items))
    return Group("table", name=name, columns=("#", "value"), rows=rows)
