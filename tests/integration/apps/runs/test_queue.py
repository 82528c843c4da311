"""Workspaces take turns, and everybody who waits is told where and how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from apps.runs import selectors, services
from apps.runs.failure import Failure
from apps.runs.models import Run
from apps.workspaces.scope import scope

pytestmark = pytest.mark.django_db


def claim_next(worker: str = "worker") -> Any:
    workspace_id, run_id = selectors.next_in_queue(1)[0]
    with scope(workspace_id):
        return services.claim(run_id, worker)


def test_a_workspace_with_many_runs_does_not_hold_up_another(ann: Any, bob: Any) -> None:
    of_ann = [ann.submit().pk for _ in range(4)]
    of_bob = [bob.submit().pk for _ in range(2)]
    taken = [claim_next().run_id for _ in range(6)]
    assert taken == [of_ann[0], of_bob[0], of_ann[1], of_bob[1], of_ann[2], of_ann[3]]
    assert selectors.next_in_queue() == []


def test_what_already_runs_counts(ann: Any, bob: Any) -> None:
    first, second = ann.submit(), ann.submit()
    assert claim_next().run_id == first.pk
    of_bob = bob.submit()
    assert [run_id for _, run_id in selectors.next_in_queue()] == [of_bob.pk, second.pk]


def test_a_run_that_was_handed_over_keeps_its_place(ann: Any) -> None:
    first, second = ann.submit(), ann.submit()
    attempt = claim_next()
    services.hand_over(attempt, Failure("child_killed", "It was killed.", "Wait."))
    assert [run_id for _, run_id in selectors.next_in_queue()] == [first.pk, second.pk]


def test_a_waiting_run_says_where_it_stands_and_when_it_begins(ann: Any, bob: Any) -> None:
    """A run of 1000 operations took a second; one that runs has 30 s left; those that wait have 5000 operations."""
    done = ann.submit()
    attempt = claim_next()
    with scope(ann.workspace.id):
        Run.objects.filter(pk=done.pk).update(started_at=Now() - timedelta(seconds=1), flops=1000.0)
    services.finish(attempt, "succeeded", result={"result_hash": "x"}, result_hash="x")
    running, waiting = ann.submit(), ann.submit()
    services.record_progress(claim_next(), 10, 0.1, 30.0, 5.0)
    last = bob.submit()
    for tenant, run in ((ann, waiting), (bob, last)):
        with scope(tenant.workspace.id):
            Run.objects.filter(pk=run.pk).update(flops=5000.0)
    # Bob's comes first: nothing of his runs.
    found = [
        tenant.get(f"/runs/{run.pk}/").json()["queue"] for tenant, run in ((ann, running), (bob, last), (ann, waiting))
    ]
    assert found[0] is None
    assert found[1] == {"position": 1, "starts_in_s": 30.0}
    assert found[2]["position"] == 2
    assert found[2]["starts_in_s"] == pytest.approx(35.0, rel=0.2)


def test_nothing_is_promised_where_nothing_runs(ann: Any) -> None:
    run = ann.submit()
    assert ann.get(f"/runs/{run.pk}/").json()["queue"] == {"position": 1, "starts_in_s": None}
