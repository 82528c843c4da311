"""The states of a run, against the list of steps in architecture §3, written out by hand."""

import itertools

import pytest

from apps.runs.states import ACTIVE, FINAL, IllegalStep, RunState, check_step

LEGAL = {
    ("queued", "running"),
    ("queued", "failed"),
    ("queued", "cancelled"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(RunState.values, RunState.values)))
def test_only_the_listed_steps_are_legal(old: str, new: str) -> None:
    if (old, new) in LEGAL:
        check_step(old, new)
    else:
        with pytest.raises(IllegalStep, match=f"from {old} to {new}"):
            check_step(old, new)


def test_every_state_is_active_or_final() -> None:
    assert {"succeeded", "failed", "cancelled"} == FINAL
    assert {"queued", "running"} == ACTIVE
    assert set(RunState.values) == FINAL | ACTIVE
