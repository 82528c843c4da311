"""The wave equation: the kernel beside plain torch and beside what memory allows.

The bound is that of a step which reads p and p⁻ and writes p⁺ once, 12 bytes a cell, at the bandwidth with which torch
copies an array of that size with all threads (counting what is read and what is written). Several steps a call go
beyond it, because they stay in the cache.
"""

import pytest
import torch

from attractor.kernels.fdtd import BOUNDARIES, Grid, kernel, reference
from tests.benchmarks.report import Side

pytestmark = pytest.mark.benchmark

BYTES_PER_CELL = 12
GOAL_STEPS = 20_000


def start(size, boundary, *batch):
    grid = Grid(len(size), 1.0, 0.3, boundary)
    p = torch.randn(*batch, *size, generator=torch.Generator().manual_seed(0))
    return grid, p, torch.zeros_like(p), grid.memory(p)


def sides(size, boundary, steps, *batch):
    grid, p, d, memory = start(size, boundary, *batch)
    work = float(p.numel())
    target = torch.empty_like(p)

    def eager():
        reference(p, d, memory, None, 1.0, 0.01, grid, 1)

    def copy():
        target.copy_(p)

    return {
        "kernel": Side(lambda: kernel(p, d, memory, None, 1.0, 0.01, grid, steps), work * steps),
        "torch eager": Side(eager, work),
        "copy bandwidth / 12 B": Side(copy, 2 * 4 * work / BYTES_PER_CELL),
    }


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("steps", [1, 16])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_large_grid(report, boundary, steps):
    goals = {"copy bandwidth / 12 B": 0.7} if steps > 1 else {}
    report.compare(f"2048² {boundary}, {steps} a call", "cells/s", sides((2048, 2048), boundary, steps), goals=goals)


@pytest.mark.parametrize("steps", [1, 64])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_small_grid(report, boundary, steps):
    case = f"256² {boundary}, {steps} a call"
    found = report.compare(case, "cells/s", sides((256, 256), boundary, steps))
    report.figure(case, "steps", found["kernel"].median / 256**2, "steps/s", f"≥ {GOAL_STEPS:,}" if steps > 1 else "")


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_cube(report, boundary):
    report.compare(f"128³ {boundary}, 8 a call", "cells/s", sides((128, 128, 128), boundary, 8), repetitions=5)


@pytest.mark.parametrize("points", [1, 4, 16, 64])
def test_sweep(report, points):
    report.compare(f"64² × {points} points, 16 a call", "cells/s", sides((64, 64), "periodic", 16, points))


def test_cores(report):
    before = torch.get_num_threads()
    try:
        for threads in range(1, before + 1):
            torch.set_num_threads(threads)
            side = sides((1024, 1024), "periodic", 16)["kernel"]
            report.compare(f"1024² periodic, 16 a call, {threads} threads", "cells/s", {"kernel": side})
    finally:
        torch.set_num_threads(before)
