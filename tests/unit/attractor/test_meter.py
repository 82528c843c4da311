"""The meter of runs against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from meter import DRAW, Meter

from attractor.philox import RandomStream


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """What the first operation of a process loads."""
    with Meter():
        torch.ones(2, 2) @ torch.ones(2, 2)


def test_work_of_operations_with_a_closed_form() -> None:
    a, b, z = torch.ones(30, 40), torch.ones(40, 50), torch.ones(64, 32, dtype=torch.complex64)
    with Meter() as meter:
        (a @ b).sum()
    assert meter.by_operation == {"mm": 2 * 30 * 40 * 50, "sum": 30 * 50}
    with Meter() as meter:
        torch.add(a, a, alpha=0.5)
        a + 1.0
        a.t().contiguous()
    assert meter.work == 3 * a.numel()
    with Meter() as meter:
        torch.fft.fft2(z) * z
    assert meter.work == 5 * z.numel() * math.log2(z.numel()) + 6 * z.numel()


def test_work_of_random_numbers_is_counted_when_they_are_asked_for() -> None:
    stream = RandomStream(1, "node", torch.device("cpu"), torch.float32)
    with Meter() as meter:
        for tick in range(3):
            stream.normal(tick, 100)
    assert meter.work == 3 * 100 * DRAW


def test_an_operation_without_a_rule_is_no_free_one() -> None:
    with Meter(), pytest.raises(KeyError, match="no rule"):
        torch.special.zeta(torch.ones(3), 2.0)


def test_memory_is_the_peak_of_tensors_and_arrays_together() -> None:
    size = 1 << 20
    with Meter() as meter:
        kept = torch.zeros(size // 4)
        view = kept.view(-1, 2)
        for _ in range(3):
            array = np.ones(3 * size // 8)
            del array
        torch.zeros(size // 4) + kept[0]
        del view
    # The array stands beside one tensor; later two others do.
    assert meter.peak == pytest.approx(4 * size, rel=0.02)


def test_a_tensor_and_the_array_it_shows_are_counted_once() -> None:
    n = 1 << 18
    with Meter() as meter:
        shown = torch.from_numpy(np.ones(n))
        shown.view(-1, 2)[3] + 1.0
    assert meter.peak == pytest.approx(8 * n, rel=0.02)


def test_memory_inside_an_operation_is_seen() -> None:
    n = 1 << 18
    with Meter() as meter:
        torch.ones(n).sum(dtype=torch.float64)
    assert meter.peak >= 4 * n
    with Meter() as meter:
        torch.linalg.matrix_exp(torch.zeros(256, 256, dtype=torch.float64))
    assert meter.peak > 3 * 8 * 256 * 256
