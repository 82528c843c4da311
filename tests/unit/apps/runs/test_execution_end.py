"""Writing how a run ended, to a database that is away or refuses."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError

from apps.runs import services
from apps.runs.execution import execution
from apps.runs.execution.execution import END_TRIES, Ending, Execution
from apps.runs.states import RunState

SUCCEEDED = Ending(RunState.SUCCEEDED, None, {"result_hash": "h"} | dict.fromkeys(execution.MANIFEST), None)


def fault(cause: type[Exception] | None) -> OperationalError:
    error = OperationalError("no")
    error.__cause__ = None if cause is None else cause("no")
    return error


class Clock:
    """Stands still but for the waiting between two tries; `given_up` after so many."""

    def __init__(self, given_up: int) -> None:
        self.now, self._left = 0.0, given_up

    def is_set(self) -> bool:
        return self._left < 0

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._left -= 1


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Any:
    def of(faults: list[Exception], given_up: int = 100) -> list[dict[str, Any]]:
        """How the end was written, try by try, while these faults come."""
        tries: list[dict[str, Any]] = []

        def finish(attempt: Any, state: RunState, **how: Any) -> str:
            tries.append({"state": state, **how})
            if faults:
                raise faults.pop(0)
            return "run"

        clock = Clock(given_up)
        monkeypatch.setattr(services, "finish", finish)
        monkeypatch.setattr(execution, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=time.sleep))
        one = object.__new__(Execution)
        one._lost = clock  # type: ignore[assignment]
        one._attempt = one._session = one._stop_reason = None  # type: ignore[assignment]
        one._progress = SimpleNamespace(tick=5)  # type: ignore[assignment]
        one._finished(SUCCEEDED)
        return tries

    return of


@pytest.mark.parametrize(
    "away",
    [fault(None), fault(psycopg.errors.AdminShutdown), fault(psycopg.errors.ConnectionFailure), InterfaceError("no")],
)
def test_the_end_waits_for_a_database_that_is_away_and_that_is_not_counted(ended: Any, away: Exception) -> None:
    tries = ended([away] * 20)
    assert [one["state"] for one in tries] == [RunState.SUCCEEDED] * 21
    assert [one["waited"] for one in tries] == list(range(21))


@pytest.mark.parametrize(
    "refusal", [psycopg.errors.ProgramLimitExceeded, psycopg.errors.QueryCanceled, psycopg.errors.DiskFull]
)
def test_a_result_that_the_database_refuses_again_and_again_fails_the_run(ended: Any, refusal: Any) -> None:
    tries = ended([fault(refusal)] * END_TRIES)
    assert [one["state"] for one in tries] == [RunState.SUCCEEDED] * END_TRIES + [RunState.FAILED]
    assert (tries[-1]["result"], tries[-1]["trail"]) == (None, None)
    assert tries[-1]["error"].message


def test_a_failure_that_is_refused_too_is_not_tried_for_ever(ended: Any) -> None:
    with pytest.raises(OperationalError):
        ended([fault(psycopg.errors.DiskFull)] * 100)
