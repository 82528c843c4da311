"""The preset files that come with the code. Importing this module imports torch."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import presets
from attractor.errors import GraphRejected, Problem
from attractor.preset import Preset

FOLDER = Path(presets.__file__).parent


@dataclass(frozen=True)
class ShelfFile:
    """A preset file that holds: the preset, and its JSON as it is in the file."""

    preset: Preset
    document: dict[str, Any]


class PresetsRefused(Exception):
    """Files that are no usable presets, each with every problem."""

    def __init__(self, problems: dict[str, list[Problem]]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{name}: {problem}" for name, found in problems.items() for problem in found))


def names(folder: Path | None = None) -> list[str]:
    """The ids of the presets in the folder; without one in the folder that comes with the code."""
    return sorted(path.stem for path in (folder or FOLDER).glob("*.json"))


def take(name: str, folder: Path | None = None) -> ShelfFile:
    """One preset, checked.

    Raises:
        LookupError: there is no such file.
        PresetsRefused: the file is broken; every problem is listed.
    """
    if name not in names(folder):
        raise LookupError(f"There is no preset {name!r}. There are: {', '.join(names(folder)) or 'none'}.")
    path = (folder or FOLDER) / f"{name}.json"
    try:
        preset = Preset.load(path)
    except GraphRejected as rejected:
        raise PresetsRefused({path.name: list(rejected.problems)}) from rejected
    problems = list(_problems(preset, path))
    if problems:
        raise PresetsRefused({path.name: problems})
    return ShelfFile(preset, json.loads(path.read_text("utf-8")))


def take_all(folder: Path | None = None) -> list[ShelfFile]:
    """Every preset. Raises `PresetsRefused` with the problems of all broken files."""
    found, problems = [], {}
    for name in names(folder):
        try:
            found.append(take(name, folder))
        except PresetsRefused as refused:
            problems.update(refused.problems)
    if problems:
        raise PresetsRefused(problems)
    return found


def _problems(preset: Preset, path: Path) -> Iterator[Problem]:
    yield from preset.problems()
    if preset.id != path.stem:
        yield Problem("id", f"is {preset.id!r} in the file {path.name}.", f"Call one like the other: {path.stem!r}.")
    try:
        preset.acceptance_check()
    except LookupError as error:
        yield Problem("acceptance", f"{error}.", 'Name a function as "module:function".')
