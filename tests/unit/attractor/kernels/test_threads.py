"""Work in pieces, on several threads."""

from __future__ import annotations

import threading

import pytest

from attractor.kernels import threads


@pytest.fixture(autouse=True)
def three(monkeypatch):
    monkeypatch.setattr(threads, "threads_for", lambda pieces, seconds: min(3, pieces))


def test_every_piece_is_computed_once():
    seen = []
    threads.in_pieces(lambda low, high: seen.extend(range(low, high)), 10, 1.0)
    assert sorted(seen) == list(range(10))


@pytest.mark.parametrize("fails", [0, 3, 6])
def test_a_failure_waits_for_the_others_and_is_raised(fails):
    begun, done = threading.Barrier(3, timeout=10), []

    def run(low, high):
        begun.wait()
        if low <= fails < high:
            raise ZeroDivisionError
        threading.Event().wait(0.2)
        done.append(low)

    with pytest.raises(ZeroDivisionError):
        threads.in_pieces(run, 9, 1.0)
    assert sorted([*done, fails]) == [0, 3, 6]
