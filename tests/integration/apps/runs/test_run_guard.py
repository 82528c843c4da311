"""What the database itself holds about runs."""

import itertools
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from apps.projects.selectors import latest_version
from apps.runs.models import Run, RunEvent
from apps.runs.states import FINAL, RunState
from apps.runs.transitions import RULES
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db

# The shortest way to each state.
WAYS = {
    "queued": [],
    "running": ["running"],
    "succeeded": ["running", "succeeded"],
    "failed": ["failed"],
    "cancelled": ["cancelled"],
}


def go(run_id: Any, state: str) -> None:
    """Change the state by SQL, as a program with a fault would."""
    final = state in FINAL
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE runs_run SET state = %s, finished_at = %s, error = %s WHERE id = %s",
            [state, timezone.now() if final else None, "{}" if state == "failed" else None, run_id],
        )


@pytest.mark.parametrize(("old", "new"), list(itertools.product(RunState.values, RunState.values)))
def test_the_database_refuses_the_steps_that_the_rules_refuse(ann: Any, old: str, new: str) -> None:
    run = ann.submit()
    with scope(ann.workspace.id):
        for state in WAYS[old]:
            go(run.pk, state)
    if any(old in rule.old and new == rule.new for rule in RULES) or (new == old and old not in FINAL):
        with scope(ann.workspace.id):
            go(run.pk, new)
        assert ann.look(run).state == new
    else:
        with pytest.raises(IntegrityError), scope(ann.workspace.id):
            go(run.pk, new)
        assert ann.look(run).state == old


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize(
    "change",
    [{"tick": 5}, {"result": {"x": 1}}, {"result_hash": "x"}, {"last_event": 99}, {"fence": 9}, {"paused": True}],
)
def test_a_final_run_is_frozen(ann: Any, state: str, change: dict[str, Any]) -> None:
    run = ann.submit()
    with scope(ann.workspace.id):
        for step in WAYS[state]:
            go(run.pk, step)
    with pytest.raises(IntegrityError, match="final"), scope(ann.workspace.id):
        Run.objects.filter(pk=run.pk).update(**change)
    with scope(ann.workspace.id):
        # The account of the person who made it may go; the run stays as it was.
        Run.objects.filter(pk=run.pk).update(created_by=None)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"ticks": 2000},
        {"last_event": 0},
        {"fence": -1},
        {"tick": 1001},
        {"progress": -0.1},
        {"max_seconds": 0},
    ],
)
def test_what_a_run_computes_and_its_counters_cannot_be_changed(ann: Any, change: dict[str, Any]) -> None:
    run = ann.submit(ticks=1000, seed=7)
    with pytest.raises(IntegrityError), scope(ann.workspace.id):
        Run.objects.filter(pk=run.pk).update(**change)


@pytest.mark.parametrize("state", ["running", "succeeded", "failed"])
def test_a_run_begins_queued(ann: Any, state: str) -> None:
    with pytest.raises(IntegrityError), scope(ann.workspace.id):
        Run.objects.create(
            workspace=ann.workspace, project=ann.project, graph_version=latest_version(ann.graph), seed=1, ticks=1,
            memory_bytes=1, flops=1, max_seconds=1, state=state,
        )  # fmt: skip


def test_a_failed_run_has_an_error_and_no_other_run_has_one(ann: Any) -> None:
    run = ann.submit()
    with pytest.raises(IntegrityError, match="runs_run_error"), scope(ann.workspace.id):
        Run.objects.filter(pk=run.pk).update(error={"code": "x"})
    with pytest.raises(IntegrityError, match="runs_run_error"), scope(ann.workspace.id):
        Run.objects.filter(pk=run.pk).update(state="failed", finished_at=timezone.now())


def test_events_are_kept_as_written_and_numbered_once(ann: Any) -> None:
    run = ann.submit()
    with pytest.raises(IntegrityError, match="never changed"), scope(ann.workspace.id):
        RunEvent.objects.filter(run=run).update(payload={"state": "forged"})
    with pytest.raises(IntegrityError, match="runs_runevent_seq"), scope(ann.workspace.id):
        RunEvent.objects.create(workspace=ann.workspace, run=run, seq=1, kind="log")
