"""The states of a run, against the list of steps in architecture §3, written out by hand."""

import itertools

import pytest

from apps.runs.failure import Failure
from apps.runs.models import Run
from apps.runs.states import ACTIVE, FINAL, RunState
from apps.runs.transitions import RULES, Cancel, Fail, HandOver, IllegalStep, Start, Succeed

LEGAL = {
    ("queued", "running"),
    ("queued", "failed"),
    ("queued", "cancelled"),
    ("running", "queued"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
}

STEPS = (
    Start(), HandOver(30, "Its worker was lost."), Succeed(), Fail(Failure("x", "It failed.", "Again.")), Cancel(),
)  # fmt: skip


@pytest.mark.parametrize(("old", "new"), list(itertools.product(RunState.values, RunState.values)))
def test_only_the_listed_steps_are_legal(old: str, new: str) -> None:
    (step,) = (step for step in STEPS if step.new == new)
    run = Run(state=old, ticks=100)
    if (old, new) in LEGAL:
        step.take(run)
        assert run.state == new
    else:
        with pytest.raises(IllegalStep, match=f"from {old} to {new}"):
            step.take(run)
        assert run.state == old


def test_every_rule_is_tried() -> None:
    assert {type(step) for step in STEPS} == set(RULES)
    assert {step.new for step in STEPS} == set(RunState)


def test_every_state_is_active_or_final() -> None:
    assert {"succeeded", "failed", "cancelled"} == FINAL
    assert {"queued", "running"} == ACTIVE
    assert set(RunState.values) == FINAL | ACTIVE
