"""When a run that waits will begin: against queues worked through by hand, and by a simulation clock."""

from __future__ import annotations

import random

import pytest

from apps.runs.place import starts_in


@pytest.mark.parametrize(
    ("running", "ahead", "expected"),
    [
        ([30.0], [], 30.0),
        ([30.0, 10.0], [], 10.0),
        ([30.0, 10.0], [5.0], 15.0),  # behind the second
        ([30.0, 10.0], [100.0], 30.0),  # behind the first, while the one ahead takes the second's place
        ([], [], None),
        ([None, 10.0], [], None),
        ([10.0], [None], None),
    ],
)
def test_a_queue_worked_through_by_hand(running, ahead, expected):
    assert starts_in(running, ahead) == expected


def test_as_a_clock_that_ticks_second_by_second_finds():
    rng = random.Random(4)
    for _ in range(50):
        running = [rng.randint(1, 20) for _ in range(rng.randint(1, 4))]
        ahead = [rng.randint(1, 20) for _ in range(rng.randint(0, 6))]
        places, waiting, now = list(running), list(ahead), 0
        while True:
            now += 1
            places = [left - 1 for left in places]
            free = [n for n, left in enumerate(places) if left <= 0]
            while free and waiting:
                places[free.pop()] = waiting.pop(0)
            if free:
                break
        assert starts_in([float(s) for s in running], [float(s) for s in ahead]) == now
