"""The sweeper takes a run from a worker at the moment at which the worker ends it: one of them does, never both."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from apps.projects.selectors import latest_version
from apps.runs import services
from apps.runs.models import Run, RunAttempt, RunEvent
from apps.runs.quotas import Demand
from apps.runs.refusals import Fenced
from apps.workspaces.scope import scope

TOGETHER = 30.0


class Race:
    """Runs whose lease is over, each raced for by a worker and a sweeper on connections of their own."""

    def __init__(self, tenant: Any, seed: int) -> None:
        self.tenant = tenant
        self.chance = random.Random(seed)
        self.barrier = threading.Barrier(2)
        with scope(tenant.workspace.id):
            self.version = latest_version(tenant.graph)

    def overdue(self) -> RunAttempt:
        """An attempt at a new run that its worker has not renewed."""
        with scope(self.tenant.workspace.id, self.tenant.user.pk):
            demand = Demand(10, 1000, 1000.0, 60)
            run = services.enqueue(self.tenant.user, self.version, self.tenant.project.pk, 7, demand)
            attempt = services.claim(run.pk, "the first")
            RunAttempt.objects.filter(pk=attempt.pk).update(lease_expires_at=Now() - timedelta(seconds=1))
        return attempt

    def finish(self, attempt: RunAttempt, delay: float) -> bool:
        self.barrier.wait(TOGETHER)
        time.sleep(delay)
        try:
            services.finish(attempt, "succeeded", tick=10, result={"by": "the first"}, result_hash="first")
        except Fenced:
            return False
        return True

    def sweep(self, run_id: Any, delay: float) -> bool:
        self.barrier.wait(TOGETHER)
        time.sleep(delay)
        with scope(self.tenant.workspace.id):
            return services.hand_over_lost(run_id)

    def settle(self, attempt: RunAttempt, finished: bool, swept: bool) -> str:
        """Who won; the run is brought to its end and held to what the winner said."""
        assert finished != swept, "both, or nobody"
        winner = "the first" if finished else "the second"
        with scope(self.tenant.workspace.id):
            if swept:
                second = services.claim(attempt.run_id, "the second")
                services.finish(second, "succeeded", tick=10, result={"by": "the second"}, result_hash="second")
            with pytest.raises(Fenced):
                services.finish(attempt, "succeeded", tick=10, result={"by": "a ghost"}, result_hash="ghost")
            assert not services.hand_over_lost(attempt.run_id)
            run = Run.objects.get(pk=attempt.run_id)
            states = list(RunAttempt.objects.filter(run=run).order_by("number").values_list("state", flat=True))
            told = RunEvent.objects.filter(run=run).order_by("seq")
            ends = [event for event in told if event.payload.get("state") == "succeeded"]
            assert [event.seq for event in told] == list(range(1, run.last_event + 1))
        assert (run.state, run.result) == ("succeeded", {"by": winner})
        assert states == (["succeeded"] if finished else ["lost", "succeeded"])
        assert len(ends) == 1
        return winner


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [100, pytest.param(10_000, marks=pytest.mark.exhaustive)])
def test_a_success_and_a_sweep_never_overwrite_each_other(
    ann: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("apps.runs.queue.send", lambda *_: True)
    race, winners = Race(ann, number), Counter[str]()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(number):
            attempt = race.overdue()
            # Each begins a little before or after the other, about as much as its transaction takes.
            delays = [race.chance.uniform(0.0, 0.002) for _ in range(2)]
            worker = pool.submit(race.finish, attempt, delays[0])
            sweeper = pool.submit(race.sweep, attempt.run_id, delays[1])
            winners[race.settle(attempt, worker.result(), sweeper.result())] += 1
        # Connections of the threads, which the database could else not be emptied beside.
        for _ in range(2):
            pool.submit(lambda: (race.barrier.wait(TOGETHER), connection.close()))
    print(f"{number} races: {dict(winners)}")
    assert set(winners) == {"the first", "the second"}, "one of them always comes first: no race"
