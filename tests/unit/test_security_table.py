"""The table of OWASP ASVS 5.0.0: every item of levels 1 and 2 once, and everything that it names is there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

import pytest

from config.layers import ROOT

TABLE = ROOT / "docs" / "security" / "asvs.md"
LEVELS = ROOT / "tests" / "unit" / "asvs_5_0_0_levels.txt"
STATES = ("met", "not applicable", "unmet")


@dataclass(frozen=True)
class Row:
    """One item of the standard as the table has it."""

    number: str
    level: int
    words: str
    state: str
    where: str
    tests: str


def levels() -> dict[str, int]:
    """The level of every item of levels 1 and 2; the file holds numbers only."""
    pairs = [line.split() for line in LEVELS.read_text().splitlines()]
    found = {number: int(level) for number, level in pairs}
    assert len(found) == len(pairs)
    return found


def rows() -> list[Row]:
    found = []
    for line in TABLE.read_text("utf-8").splitlines():
        if re.match(r"\| \d+\.\d+\.\d+ \|", line):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            assert len(cells) == 6, line
            found.append(Row(cells[0], int(cells[1]), *cells[2:]))
    return found


def named_tests(row: Row) -> list[str]:
    return re.findall(r"`(tests/[^`]+?::\w+)`", f"{row.where} {row.tests}")


@cache
def held_in(path: str) -> frozenset[str]:
    """Names of the tests of a module."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )  # fmt: skip


def test_the_list_has_as_many_items_as_the_standard() -> None:
    # OWASP ASVS 5.0.0: 70 items of level 1, 183 of level 2.
    assert Counter(levels().values()) == {1: 70, 2: 183}


def test_every_item_is_there_once_and_in_order() -> None:
    found = [(row.number, row.level) for row in rows()]
    assert found == list(levels().items())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.number)
def test_a_row_says_what_it_has_to(row: Row) -> None:
    assert row.state in STATES
    assert row.words
    assert row.where, "where it is met, or why not"
    if row.state == "met":
        assert named_tests(row), "no test shows it"
    else:
        assert not row.tests or row.state == "unmet", "a test of what is not there"


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.number)
def test_what_a_row_names_is_there(row: Row) -> None:
    for name in named_tests(row):
        path, _, test = name.partition("::")
        assert (ROOT / path).is_file(), path
        assert test in held_in(path), name
    folders = "apps|config|docs|models|platform|requirements|static|templates|tests"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+|[A-Z]+\.md)`", row.where):
        assert (ROOT / path).exists(), path


def test_the_summary_counts_what_is_there() -> None:
    counts = Counter((row.level, row.state) for row in rows())
    said = re.findall(r"^\| level ([12]) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", TABLE.read_text("utf-8"), re.M)
    told = {int(level): tuple(map(int, numbers)) for level, *numbers in said}
    assert told == {level: (sum(part := [counts[level, state] for state in STATES]), *part) for level in (1, 2)}


def test_what_is_not_met_is_named_at_the_top() -> None:
    text = TABLE.read_text("utf-8")
    top = text.partition("## 1 ")[0].partition("## Not met")[2]
    named = re.findall(r"\b\d+\.\d+\.\d+\b", top)
    assert named == [row.number for row in rows() if row.state == "unmet"]
