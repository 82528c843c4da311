"""Workers' writes: leases, fences, numbered events, one end."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from apps.runs import selectors, services
from apps.runs.failure import Failure
from apps.runs.models import Run, RunAttempt, RunCheckpoint, RunCommand, RunEvent
from apps.runs.refusals import Fenced, NotClaimable
from apps.runs.services import Happening
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import Unscoped, scope

pytestmark = pytest.mark.django_db


def claim(tenant: Any, run: Run, worker: str = "worker 1") -> RunAttempt:
    with scope(tenant.workspace.id):
        return services.claim(run.pk, worker)


def expire(tenant: Any, attempt: RunAttempt) -> None:
    """Let the lease have run out a second ago."""
    with scope(tenant.workspace.id):
        RunAttempt.objects.filter(pk=attempt.pk).update(lease_expires_at=Now() - timedelta(seconds=1))


def events(tenant: Any, run: Run) -> list[RunEvent]:
    with scope(tenant.workspace.id):
        return selectors.events_after(run, 0)


WRITES = {
    "renew": services.renew,
    "progress": lambda attempt: services.record_progress(attempt, 5, 0.1),
    "events": lambda attempt: services.record_events(attempt, [Happening("log", {"m": 1}, 5)]),
    "command": lambda attempt: services.apply_command(attempt, 1, 5),
    "checkpoint": lambda attempt: services.record_checkpoint(attempt, "c" * 64, 5, 10),
    "hand over": lambda attempt: services.hand_over(attempt, Failure("late", "late", "late")),
    "succeed": lambda attempt: services.finish(attempt, "succeeded", result={"late": True}, result_hash="late"),
    "fail": lambda attempt: services.finish(attempt, "failed", error=Failure("late", "late", "late")),
}


def test_a_claimed_run_runs_under_a_lease(ann: Any, settings: Any) -> None:
    run = ann.submit()
    attempt = claim(ann, run)
    now = ann.look(run)
    assert (now.state, now.fence, attempt.number, attempt.worker) == ("running", 1, 1, "worker 1")
    assert now.started_at is not None
    lease = (attempt.lease_expires_at - attempt.heartbeat_at).total_seconds()
    assert lease == pytest.approx(settings.ATTRACTOR.runs.lease)


def test_a_lease_is_renewed_on_the_databases_clock(ann: Any) -> None:
    attempt = claim(ann, ann.submit())
    expire(ann, attempt)
    assert len(selectors.expired_leases()) == 1
    services.renew(attempt)
    assert selectors.expired_leases() == []


@pytest.mark.parametrize("state", ["running", "succeeded", "failed", "cancelled"])
def test_only_a_queued_run_is_claimed(ann: Any, state: str) -> None:
    run = ann.submit()
    attempt = claim(ann, run)
    if state != "running":
        services.finish(attempt, state, error=Failure("x", "x", "x") if state == "failed" else None)
    with pytest.raises(NotClaimable, match=state):
        claim(ann, run, "worker 2")
    assert ann.look(run).fence == 1


def test_claiming_needs_the_runs_own_scope(ann: Any, bob: Any) -> None:
    run = ann.submit()
    with pytest.raises(Unscoped):
        services.claim(run.pk, "worker")
    with pytest.raises(NotFound), scope(bob.workspace.id):
        services.claim(run.pk, "worker")
    with pytest.raises(NotFound), scope(ann.workspace.id):
        services.claim(uuid.uuid4(), "worker")


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_worker_back_from_the_dead_writes_nothing(ann: Any, write: Any) -> None:
    run = ann.submit()
    services.command(ann.user, run, "pause")
    attempt = claim(ann, run)
    expire(ann, attempt)
    with scope(ann.workspace.id):
        assert services.hand_over_lost(run.pk)
        before = (Run.objects.values().get(), list(RunEvent.objects.values()))
    with pytest.raises(Fenced):
        write(attempt)
    with scope(ann.workspace.id):
        assert (Run.objects.values().get(), list(RunEvent.objects.values())) == before


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_an_attempt_with_an_older_number_writes_nothing(ann: Any, write: Any) -> None:
    run = ann.submit()
    services.command(ann.user, run, "pause")
    attempt = claim(ann, run)
    with scope(ann.workspace.id):
        Run.objects.filter(pk=run.pk).update(fence=2)
    with pytest.raises(Fenced):
        write(attempt)


def test_a_lost_worker_gives_the_run_back_to_the_queue(ann: Any) -> None:
    run = ann.submit()
    attempt = claim(ann, run)
    services.record_progress(attempt, 320, 0.32, 8.5, 80.0)
    with scope(ann.workspace.id):
        assert not services.hand_over_lost(run.pk), "the lease is not over yet"
    expire(ann, attempt)
    assert selectors.expired_leases() == [(ann.workspace.id, run.pk)]
    with scope(ann.workspace.id):
        assert services.hand_over_lost(run.pk)
        assert not services.hand_over_lost(run.pk)
        assert RunAttempt.objects.get().state == "lost"
    now = ann.look(run)
    assert (now.state, now.tick, now.error) == ("queued", 0, None)
    last = events(ann, run)[-1]
    assert (last.kind, last.payload["state"], last.payload["resumes_at"]) == ("status", "queued", 0)
    assert "lease" in last.payload["reason"]
    assert selectors.expired_leases() == []
    again = claim(ann, run)
    assert again.number == 2
    assert ann.look(run).started_at == now.started_at


def aged(tenant: Any, attempt: RunAttempt, seconds: float) -> None:
    """Let the attempt have begun so long ago, with its lease renewed until now."""
    with scope(tenant.workspace.id):
        RunAttempt.objects.filter(pk=attempt.pk).update(started_at=Now() - timedelta(seconds=seconds))


def test_a_worker_that_was_lost_is_paid_for_until_its_lease_ran_out(ann: Any) -> None:
    """However long nobody was there to find it: the database and the sweeper may have been away for an hour."""
    run = ann.submit()
    attempt = claim(ann, run)
    with scope(ann.workspace.id):
        RunAttempt.objects.filter(pk=attempt.pk).update(
            started_at=Now() - timedelta(seconds=3700), lease_expires_at=Now() - timedelta(seconds=3600)
        )
        assert services.hand_over_lost(run.pk)
        assert selectors.seconds_held(run) == pytest.approx(100.0, abs=1e-3)
    services.command(ann.user, run, "cancel")
    with scope(ann.workspace.id):
        assert selectors.compute_seconds() == pytest.approx(100.0, abs=1e-3)


def test_a_worker_that_is_replaced_early_is_paid_for_until_then(ann: Any) -> None:
    run = ann.submit()
    attempt = claim(ann, run)
    aged(ann, attempt, 50.0)
    services.hand_over(attempt, Failure("child_killed", "It died.", "None."))
    with scope(ann.workspace.id):
        assert 50.0 <= selectors.seconds_held(run) < 50.0 + 60.0


@pytest.mark.parametrize("counts", [True, False])
def test_a_run_without_time_left_is_not_handed_over(ann: Any, counts: bool) -> None:
    run = ann.submit(max_seconds=100)
    first = claim(ann, run)
    aged(ann, first, 60.0)
    why = Failure("child_killed", "It died.", "None.")
    assert services.hand_over(first, why, counts=counts).state == "queued"
    second = claim(ann, run)
    aged(ann, second, 41.0)
    ended = services.hand_over(second, why, counts=counts)
    assert (ended.state, (ended.error or {})["code"]) == ("failed", "out_of_time")
    with scope(ann.workspace.id):
        assert selectors.seconds_held(run) >= 101.0
        assert selectors.compute_seconds() == 100.0


def test_the_time_in_which_an_end_could_not_be_written_is_not_counted(ann: Any) -> None:
    run = ann.submit(max_seconds=100)
    attempt = claim(ann, run)
    aged(ann, attempt, 500.0)
    services.finish(attempt, "succeeded", result={}, result_hash="h", waited=450.0)
    with scope(ann.workspace.id):
        assert 50.0 <= selectors.seconds_held(run) < 50.0 + 60.0
    other = claim(ann, ann.submit())
    services.finish(other, "succeeded", result={}, result_hash="h", waited=450.0)
    with scope(ann.workspace.id):
        assert selectors.seconds_held(other.run) == 0.0


def lose(ann: Any, run: Any) -> None:
    expire(ann, claim(ann, run))
    with scope(ann.workspace.id):
        assert services.hand_over_lost(run.pk)


def test_a_run_that_kills_its_workers_fails_in_the_end(ann: Any, settings: Any) -> None:
    run = ann.submit()
    for _ in range(settings.ATTRACTOR.runs.attempts - 1):
        lose(ann, run)
        assert ann.look(run).state == "queued"
    lose(ann, run)
    now = ann.look(run)
    assert (now.state, now.error["code"]) == ("failed", "worker_lost")
    assert now.error["mend"]
    assert [event.kind for event in events(ann, run)[-2:]] == ["error", "status"]


def test_a_run_that_gets_further_may_lose_as_many_workers_again(ann: Any, settings: Any) -> None:
    run = ann.submit()
    for _ in range(settings.ATTRACTOR.runs.attempts - 1):
        lose(ann, run)
    attempt = claim(ann, run)
    services.record_checkpoint(attempt, "a" * 64, 40, 1000)
    expire(ann, attempt)
    with scope(ann.workspace.id):
        assert services.hand_over_lost(run.pk)
    now = ann.look(run)
    assert (now.state, now.tick, now.progress) == ("queued", 40, 40 / now.ticks)
    assert events(ann, run)[-1].payload["resumes_at"] == 40


def test_losses_after_a_checkpoint_count_from_there_although_it_is_gone(ann: Any, settings: Any) -> None:
    run = ann.submit()
    attempt = claim(ann, run)
    services.record_checkpoint(attempt, "a" * 64, 40, 1000)
    expire(ann, attempt)
    with scope(ann.workspace.id):
        services.hand_over_lost(run.pk)
        RunCheckpoint.objects.all().delete()
    for _ in range(settings.ATTRACTOR.runs.attempts - 1):
        lose(ann, run)
        assert ann.look(run).state == "queued"
    lose(ann, run)
    assert ann.look(run).state == "failed"


def test_events_whose_writing_was_not_heard_of_are_written_once(ann: Any) -> None:
    run = ann.submit()
    attempt = claim(ann, run)
    known = ann.look(run).last_event
    first = services.record_events(attempt, [Happening("log", {"m": 1}, 5)], after=known)
    again = services.record_events(attempt, [Happening("log", {"m": 1}, 5)], after=known)
    assert [row.pk for row in again] == [row.pk for row in first]
    assert ann.look(run).last_event == known + 1


def test_only_the_first_loss_is_followed_at_once(
    ann: Any, monkeypatch: Any, django_capture_on_commit_callbacks: Any
) -> None:
    """What killed one attempt has time to go away; the sweeper sends the message then."""
    sent: list[Any] = []
    monkeypatch.setattr("apps.runs.queue.send", lambda *ids: sent.append(ids))
    run = ann.submit()
    why = Failure("child_killed", "It was killed.", "Wait.")
    for expected in (1, 1):
        with django_capture_on_commit_callbacks(execute=True):
            services.hand_over(claim(ann, run), why)
        assert len(sent) == expected
    with django_capture_on_commit_callbacks(execute=True):
        services.hand_over(claim(ann, run), why, counts=False, at_once=False)
    assert len(sent) == 1


def test_a_worker_that_is_told_to_stop_does_not_count(ann: Any, settings: Any) -> None:
    run = ann.submit()
    for _ in range(settings.ATTRACTOR.runs.attempts + 2):
        services.hand_over(claim(ann, run), Failure("worker_stopped", "It was told to.", "Wait."), counts=False)
        assert ann.look(run).state == "queued"
    with scope(ann.workspace.id):
        assert set(RunAttempt.objects.values_list("state", flat=True)) == {"released"}


@pytest.mark.parametrize("answered", [False, True])
def test_a_cancelled_run_is_not_handed_over(ann: Any, answered: bool) -> None:
    """Also when the attempt had taken note and died before it had written the end."""
    run = ann.submit()
    attempt = claim(ann, run)
    services.command(ann.user, run, "cancel")
    if answered:
        services.apply_command(attempt, 1, 5)
    services.hand_over(attempt, Failure("child_killed", "It was killed.", "Wait."))
    assert ann.look(run).state == "cancelled"
    with scope(ann.workspace.id):
        assert RunCommand.objects.get().applied_at is not None


def test_as_many_checkpoints_are_kept_as_the_policy_says(ann: Any, settings: Any) -> None:
    kept = settings.ATTRACTOR.runs.checkpoints
    run = ann.submit()
    attempt = claim(ann, run)
    dropped = [services.record_checkpoint(attempt, f"{n:064d}", n, 10) for n in range(kept + 2)]
    assert dropped == [[]] * kept + [[f"{0:064d}"], [f"{1:064d}"]]
    with scope(ann.workspace.id):
        assert services.forget_checkpoints(run.pk) == 0, "the run is not over"
        assert len(selectors.checkpoints(run)) == kept
    assert selectors.finished_with_checkpoints() == []
    services.finish(attempt, "cancelled")
    assert selectors.finished_with_checkpoints() == [(ann.workspace.id, run.pk)]
    with scope(ann.workspace.id):
        assert services.forget_checkpoints(run.pk) == kept
    assert selectors.finished_with_checkpoints() == []


def test_the_sweepers_functions_see_every_workspace_and_give_ids_only(ann: Any, bob: Any) -> None:
    first, second = ann.submit(), bob.submit()
    assert sorted(selectors.queued_for(0)) == sorted([(ann.workspace.id, first.pk), (bob.workspace.id, second.pk)])
    assert selectors.queued_for(60) == []
    assert len(selectors.queued_for(0, at_most=1)) == 1
    with scope(ann.workspace.id):
        assert len(selectors.queued_for(0)) == 2
        assert Run.objects.count() == 1
    claim(ann, first)
    assert selectors.queued_for(0) == [(bob.workspace.id, second.pk)]


def test_progress_is_noted_and_must_lie_within_the_run(ann: Any) -> None:
    from django.db import IntegrityError, transaction

    run = ann.submit(ticks=1000)
    attempt = claim(ann, run)
    services.record_progress(attempt, 500, 0.5, eta_s=6.25, ticks_per_s=80.0)
    now = ann.look(run)
    assert (now.tick, now.progress, now.eta_s, now.ticks_per_s) == (500, 0.5, 6.25, 80.0)
    with pytest.raises(IntegrityError), transaction.atomic():
        services.record_progress(attempt, 1001, 1.0)


def test_a_success_ends_with_its_result_and_manifest(ann: Any) -> None:
    run = ann.submit(ticks=1000)
    attempt = claim(ann, run)
    services.record_progress(attempt, 900, 0.9, eta_s=1.0)
    services.finish(
        attempt, "succeeded", tick=1000, result={"gates": 3}, result_hash="sha256:r", manifest={"tier": "eager"},
        events=[Happening("result", {"gates": 3}, 1000)],
    )  # fmt: skip
    now = ann.look(run)
    assert (now.state, now.tick, now.progress, now.eta_s, now.result, now.result_hash, now.manifest) == (
        "succeeded", 1000, 1.0, None, {"gates": 3}, "sha256:r", {"tier": "eager"},
    )  # fmt: skip
    assert now.finished_at is not None
    assert [event.kind for event in events(ann, run)] == ["status", "status", "result", "status"]
    assert events(ann, run)[-1].payload == {"state": "succeeded", "result_hash": "sha256:r"}


def test_a_failure_needs_an_error_and_only_a_failure_has_one(ann: Any) -> None:
    run = ann.submit()
    attempt = claim(ann, run)
    for state, error in (("failed", None), ("succeeded", Failure("x", "x", "x"))):
        with pytest.raises(ValueError, match="error"):
            services.finish(attempt, state, error=error)
    services.finish(attempt, "failed", error=Failure("diverged", "x went to 1e4.", "Lower dt.", "array", 12))
    assert ann.look(run).error == {
        "code": "diverged", "node": "array", "tick": 12, "message": "x went to 1e4.", "mend": "Lower dt.",
    }  # fmt: skip


def test_the_clock_of_a_run_never_goes_back(ann: Any) -> None:
    """Who finds a worker's child dead knows less of it than the child had written itself."""
    run = ann.submit(ticks=1000)
    attempt = claim(ann, run)
    services.record_progress(attempt, 500, 0.5)
    services.finish(attempt, "failed", tick=0, error=Failure("child_killed", "It was killed.", "Again.", None, 0))
    now = ann.look(run)
    assert (now.tick, now.error["tick"]) == (500, 500)


@pytest.mark.django_db(transaction=True)
def test_events_of_many_writers_are_numbered_without_gaps_or_repetitions(ann: Any, at_once: Any) -> None:
    """A worker's threads and people's commands write at once."""
    run = ann.submit()
    attempt = claim(ann, run)
    writers, rounds, batch = 4, 10, 3

    def write(writer: int) -> list[list[int]]:
        numbers = []
        for i in range(rounds):
            told = [Happening("log", {"writer": writer, "i": i, "j": j}, i) for j in range(batch)]
            numbers.append([row.seq for row in services.record_events(attempt, told)])
            services.record_progress(attempt, i, i / 100)
            services.command(ann.user, run, "pause")
        return numbers

    returned = [numbers for written in at_once(write, writers) for numbers in written]
    rows = events(ann, run)
    assert [row.seq for row in rows] == list(range(1, 3 + writers * rounds * batch))
    assert all(numbers == list(range(numbers[0], numbers[0] + batch)) for numbers in returned), "a batch was torn"
    # Each writer's own events are in the order in which it wrote them.
    for writer in range(writers):
        own = [(row.payload["i"], row.payload["j"]) for row in rows if row.payload.get("writer") == writer]
        assert own == sorted(own)
    with scope(ann.workspace.id):
        commands = selectors.pending_commands(run, 0)
    assert [command.seq for command in commands] == list(range(1, 1 + writers * rounds))


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_gets_the_run(ann: Any, at_once: Any) -> None:
    run = ann.submit()

    def race(number: int) -> str:
        try:
            claim(ann, run, f"worker {number}")
        except NotClaimable:
            return "too late"
        return "claimed"

    outcomes = at_once(race, 6)
    assert sorted(outcomes) == ["claimed"] + ["too late"] * 5
    with scope(ann.workspace.id):
        assert RunAttempt.objects.count() == 1


def test_an_event_after_the_last_is_read_in_order(ann: Any) -> None:
    run = ann.submit()
    attempt = claim(ann, run)
    services.record_events(attempt, [Happening("log", {"n": n}, n) for n in range(5)])
    with scope(ann.workspace.id):
        assert [event.seq for event in selectors.events_after(run, 4)] == [5, 6, 7]
        assert [event.seq for event in selectors.events_after(run, 0, limit=2)] == [1, 2]
        assert selectors.events_after(run, 7) == []
