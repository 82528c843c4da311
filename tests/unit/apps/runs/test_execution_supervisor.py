"""How long a worker waits for its child, on a clock of the test's own."""

from types import SimpleNamespace
from typing import Any

import pytest

from apps.runs.execution import supervisor


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Follow a child that says things at certain seconds; how that ended, and whether the child was overdue."""

    def run(says: list[tuple[float, dict[str, Any]]], max_seconds: int, held: float) -> tuple[str | None, bool]:
        clock = SimpleNamespace(now=0.0)
        monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: clock.now))
        coming = list(says)

        def receive(timeout: float) -> dict[str, Any]:
            if not coming or coming[0][0] > clock.now + timeout:
                clock.now += timeout
                raise TimeoutError
            clock.now, message = max(clock.now, coming[0][0]), coming.pop(0)[1]
            return message

        attempt: Any = SimpleNamespace(run=SimpleNamespace(max_seconds=max_seconds))
        child: Any = SimpleNamespace(pipe=SimpleNamespace(receive=receive))
        watched = supervisor._Watched(attempt, held, child)
        outcome = watched.follow()
        return outcome, watched.overdue

    return run


def beats(until: int) -> list[tuple[float, dict[str, Any]]]:
    return [(0.0, {"op": "started"}), *((float(s), {"op": "beat", "tick": s}) for s in range(1, until))]


DONE = {"op": "done", "state": "succeeded"}


def test_what_earlier_attempts_took_is_not_there_any_more(follow: Any) -> None:
    assert follow([*beats(300), (300.0, DONE)], 400, 0.0) == ("succeeded", False)
    assert follow([*beats(300), (300.0, DONE)], 400, 150.0) == (None, True)
    assert follow([*beats(9), (9.0, DONE)], 400, 400.0) == ("succeeded", False)  # within the grace
    assert follow([*beats(12), (12.0, DONE)], 400, 400.0) == (None, True)


def test_a_child_that_has_come_to_its_end_is_waited_for_while_it_writes_that(follow: Any) -> None:
    ending = (90.5, {"op": "ending"})
    said = sorted([*beats(1000), ending, (1000.0, DONE)], key=lambda one: one[0])
    assert follow(said, 100, 0.0) == ("succeeded", False)
    assert follow([one for one in said if one is not ending], 100, 0.0) == (None, True)


def test_a_child_that_dies_silently_while_it_writes_its_end_is_not_waited_for(follow: Any) -> None:
    outcome, overdue = follow([*beats(5), (5.0, {"op": "ending"})], 100, 0.0)
    assert (outcome, overdue) == (None, False)  # stalled
