"""Speeds of several sides of one comparison, measured in one process: a table to read and JSON to keep.

A benchmark asks for the fixture ``report`` and hands it the sides:

    def test_lattice(report):
        report.compare("256² periodic", "cells/s", {
            "kernel": Side(lambda: kernel(p), work=256 * 256 * 100),
            "torch eager": Side(lambda: reference(p), work=256 * 256 * 100),
        }, goals={"torch eager": 10})

The first side is ours; every other one gets the ratio ours / other. Nothing is asserted about time.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = ("torch", "numba", "numpy", "scipy", "thrml", "jax", "diffrax", "torchdiffeq")


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        call: does the work once, and returns only when it is done (jax: ``block_until_ready``).
        work: how many units one call does.
    """

    call: Callable[[], Any]
    work: float


@dataclass(frozen=True)
class Speed:
    """What was measured of one side: units a second in every repetition."""

    name: str
    rates: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rates)


class Report:
    """The figures of one benchmark module.

    Args:
        name: of the JSON file.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[dict[str, Any]] = []

    def compare(
        self,
        case: str,
        unit: str,
        sides: Mapping[str, Side],
        *,
        goals: Mapping[str, float] | None = None,
        repetitions: int = 7,
        least_seconds: float = 0.05,
    ) -> dict[str, Speed]:
        """Measure every side in turn, round after round, so that what disturbs the machine meets all of them.

        Args:
            unit: of the speed, work per second.
            sides: the first one is ours. Each is called once before the clock starts, which compiles what has to be.
            goals: by the name of another side, the ratio ours / other that is aimed at.
            repetitions: rounds; the figures are medians over them.
            least_seconds: a repetition calls a side as often as it takes to last that long.

        Returns:
            the speeds by side.
        """
        calls = {name: _calls(side, least_seconds) for name, side in sides.items()}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(repetitions):
            for name, side in sides.items():
                begun = time.perf_counter()
                for _ in range(calls[name]):
                    side.call()
                rates[name].append(calls[name] * side.work / (time.perf_counter() - begun))
        speeds = {name: Speed(name, found) for name, found in rates.items()}
        self._keep(case, unit, list(speeds.values()), goals or {})
        return speeds

    def figure(self, case: str, name: str, value: float, unit: str, goal: str = "") -> None:
        """Something computed and not timed here: memory, an effective sample size a second, an error."""
        self.rows.append({"case": case, "side": name, "value": value, "unit": unit, "goal": goal})

    def table(self) -> str:
        """Every row, aligned."""
        head = ("case", "side", "median", "least … most", "unit", "ours / it", "goal")
        lines = [head, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        lines.insert(1, tuple("-" * width for width in widths))
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        )

    def write(self, folder: Path) -> Path:
        """Write everything as `folder`/<name>.json."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(
            json.dumps({"name": self.name, "machine": machine(), "rows": self.rows}, indent=1) + "\n", "utf-8"
        )
        return path

    def _keep(self, case: str, unit: str, speeds: Sequence[Speed], goals: Mapping[str, float]) -> None:
        ours = speeds[0]
        for speed in speeds:
            row: dict[str, Any] = {
                "case": case, "side": speed.name, "value": speed.median, "unit": unit, "rates": list(speed.rates),
            }  # fmt: skip
            if speed is not ours:
                # Rounds are paired: both sides of a ratio met the same disturbance.
                row["ratio"] = statistics.median(a / b for a, b in zip(ours.rates, speed.rates, strict=True))
                if speed.name in goals:
                    row["goal"] = f"≥ {goals[speed.name]:g} " + (
                        "reached" if row["ratio"] >= goals[speed.name] else "MISSED"
                    )
            self.rows.append(row)


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    versions = {}
    for name in PEERS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _calls(side: Side, least_seconds: float) -> int:
    """How many calls last at least that long; the first call is left out of it, for it may compile."""
    side.call()
    calls = 1
    while True:
        begun = time.perf_counter()
        for _ in range(calls):
            side.call()
        took = time.perf_counter() - begun
        if took >= least_seconds:
            return calls
        calls *= 2


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    spread = f"{min(row['rates']):.3g} … {max(row['rates']):.3g}" if "rates" in row else ""
    ratio = f"{row['ratio']:.2f}" if "ratio" in row else ""
    return row["case"], row["side"], f"{row['value']:.4g}", spread, row["unit"], ratio, row.get("goal", "")
