"""Submitting: checks and quotas before anything is queued, the message after the commit, a broker that is away."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.core.exceptions import PermissionDenied
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.ops.refusal import Invalid
from apps.projects.selectors import latest_version
from apps.runs import queue, selectors, services
from apps.runs.models import Run, RunAttempt, RunCommand, RunEvent
from apps.runs.refusals import QuotaExceeded
from apps.workspaces.missing import NotFound
from apps.workspaces.models import AuditEvent, Role
from apps.workspaces.scope import scope
from attractor.errors import GraphRejected
from attractor.graph import GraphSpec
from attractor.plan import Plan

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What was sent to the broker, which is not asked."""
    messages: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: messages.append((name, args)))
    return messages


def quota(settings: Any, **changes: Any) -> None:
    quotas = settings.ATTRACTOR.quotas.model_copy(update=changes)
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})


def count(tenant: Any) -> int:
    with scope(tenant.workspace.id):
        return Run.objects.count()


def test_a_submitted_run_is_a_queued_row_with_its_estimate(ann: Any) -> None:
    run = ann.submit(ticks=250, seed=11)
    with scope(ann.workspace.id):
        version = latest_version(ann.graph)
        estimate = Plan.of(GraphSpec.parse(version.spec)).estimate
        assert (run.state, run.seed, run.ticks, run.graph_version) == ("queued", 11, 250, version)
        assert run.memory_bytes == estimate.memory_bytes > 0
        assert run.flops == pytest.approx(estimate.flops_per_tick * 250)
        (event,) = RunEvent.objects.filter(run=run)
        assert (event.seq, event.kind, event.payload) == (1, "status", {"state": "queued"})
        assert AuditEvent.objects.get(action="run.submit").object_id == str(run.pk)


def test_without_a_seed_each_run_gets_one_of_its_own(ann: Any) -> None:
    seeds = {services.submit(ann.user, ann.workspace, ann.graph).seed for _ in range(5)}
    assert len(seeds) == 5


def test_the_usual_length_is_the_presets(ann: Any) -> None:
    from apps.presets.models import Preset

    assert services.submit(ann.user, ann.workspace, ann.graph).ticks == 1000
    preset = Preset.objects.create(
        id="short", version=1, title="Short", category="x", summary="x", content_hash="x",
        document={"limits": {"ticks": 123}},
    )  # fmt: skip
    ann.graph.preset = preset
    assert services.submit(ann.user, ann.workspace, ann.graph).ticks == 123


@pytest.mark.parametrize(
    ("seed", "ticks", "places"),
    [(-1, 10, {"seed"}), (2**63, 10, {"seed"}), (0, 0, {"ticks"}), (0, 10**7, {"ticks"}), (-1, -1, {"seed", "ticks"})],
)
def test_numbers_out_of_range_are_refused_all_at_once(ann: Any, seed: int, ticks: int, places: set[str]) -> None:
    with pytest.raises(Invalid) as refused:
        ann.submit(seed=seed, ticks=ticks)
    assert {fault.place for fault in refused.value.faults} == places
    assert count(ann) == 0


def test_the_ends_of_the_ranges_are_legal(ann: Any, settings: Any) -> None:
    assert ann.submit(seed=0, ticks=1).seed == 0
    assert ann.submit(seed=2**63 - 1, ticks=settings.ATTRACTOR.quotas.ticks).seed == 2**63 - 1


def test_what_could_never_run_is_refused_before_it_is_queued(ann: Any, settings: Any, sent: list[Any]) -> None:
    quota(settings, memory=10, flops=10.0)
    with pytest.raises(Invalid) as refused:
        ann.submit()
    assert {fault.place for fault in refused.value.faults} == {"graph", "ticks"}
    assert count(ann) == 0
    assert sent == []


def test_a_graph_that_no_longer_holds_is_refused(ann: Any, settings: Any) -> None:
    quota(settings, nodes=0)
    with pytest.raises(GraphRejected, match="more than the 0"):
        ann.submit()
    assert count(ann) == 0


def test_active_runs_are_counted_per_workspace_and_over_ones_are_not(ann: Any, bob: Any, settings: Any) -> None:
    quota(settings, active_runs=2)
    first = ann.submit()
    ann.submit()
    with pytest.raises(QuotaExceeded, match="2 are allowed"):
        ann.submit()
    bob.submit()
    services.command(ann.user, first, "cancel")
    ann.submit()
    assert count(ann) == 3


def test_memory_and_work_of_active_runs_are_added_up(ann: Any, settings: Any) -> None:
    run = ann.submit(ticks=100)
    quota(settings, memory=int(run.memory_bytes * 2.5), flops=1e15)
    ann.submit(ticks=100)
    with pytest.raises(QuotaExceeded, match="memory"):
        ann.submit(ticks=100)
    quota(settings, memory=10**12, flops=run.flops * 2.5)
    with pytest.raises(QuotaExceeded, match="flops"):
        ann.submit(ticks=100)
    assert count(ann) == 2


def held(tenant: Any, run: Run, seconds: float, begun: datetime, state: str = "succeeded") -> None:
    """The run ends, and its one attempt has held a worker for so long."""
    with scope(tenant.workspace.id):
        attempt = services.claim(run.pk, "somebody")
        services.finish(attempt, state, result={}, result_hash="x")
        RunAttempt.objects.filter(pk=attempt.pk).update(
            started_at=begun, finished_at=begun + timedelta(seconds=seconds)
        )


@pytest.mark.parametrize("seconds", [0, -1, 101])
def test_a_time_limit_out_of_range_is_refused(ann: Any, settings: Any, seconds: int) -> None:
    quota(settings, run_seconds=100)
    assert ann.submit().max_seconds == 100
    assert ann.submit(max_seconds=1).max_seconds == 1
    with pytest.raises(Invalid) as refused:
        ann.submit(max_seconds=seconds)
    assert {fault.place for fault in refused.value.faults} == {"max_seconds"}


def test_the_months_compute_time_is_what_was_held_and_what_active_runs_may_hold(ann: Any, settings: Any) -> None:
    quota(settings, compute_seconds=1000, run_seconds=1000)
    month = selectors.month_begins()
    held(ann, ann.submit(max_seconds=900), 300.0, month + timedelta(seconds=1))
    with scope(ann.workspace.id):
        assert selectors.compute_seconds() == 300.0
    waiting = ann.submit(max_seconds=600)
    ann.submit(max_seconds=100)
    with pytest.raises(QuotaExceeded, match="max_seconds"):
        ann.submit(max_seconds=1)
    services.command(ann.user, waiting, "cancel")
    ann.submit(max_seconds=600)


def test_no_run_costs_more_than_it_may_take(ann: Any, settings: Any) -> None:
    """A process that cannot end in time holds its worker for a while longer; the month's time is kept all the same."""
    quota(settings, compute_seconds=1000, run_seconds=1000)
    begun = selectors.month_begins() + timedelta(seconds=1)
    for seconds in (700.0, 70.0):
        held(ann, ann.submit(max_seconds=300), seconds, begun)
    with scope(ann.workspace.id):
        assert selectors.compute_seconds() == 370.0
    ann.submit(max_seconds=630)
    with pytest.raises(QuotaExceeded, match="max_seconds"):
        ann.submit(max_seconds=1)


def test_what_was_held_before_the_month_began_is_not_counted(ann: Any, settings: Any) -> None:
    month = selectors.month_begins()
    held(ann, ann.submit(), 300.0, month - timedelta(seconds=400))
    held(ann, ann.submit(), 300.0, month - timedelta(seconds=250))  # 50 s of it lie in the month
    with scope(ann.workspace.id):
        assert selectors.compute_seconds() == 50.0


def test_compute_time_is_each_workspaces_own(ann: Any, bob: Any) -> None:
    run = ann.submit()
    held(ann, run, 10.0, selectors.month_begins() + timedelta(seconds=1))
    with scope(bob.workspace.id):
        assert selectors.compute_seconds() == 0.0
    with scope(ann.workspace.id):
        assert selectors.seconds_held(run) == 10.0


@pytest.mark.django_db(transaction=True)
def test_a_hundred_parallel_submissions_never_exceed_the_months_time(
    ann: Any, settings: Any, sent: list[Any], at_once: Any
) -> None:
    quota(settings, active_runs=100, compute_seconds=79, run_seconds=10)

    def race(_: int) -> str:
        try:
            ann.submit(ticks=1)
        except QuotaExceeded:
            return "refused"
        return "queued"

    outcomes = at_once(race, 100)
    assert (outcomes.count("queued"), outcomes.count("refused")) == (7, 93)
    assert count(ann) == len(sent) == 7


@pytest.mark.django_db(transaction=True)
def test_parallel_submissions_never_exceed_the_quota(ann: Any, settings: Any, sent: list[Any], at_once: Any) -> None:
    quota(settings, active_runs=3)

    def race(_: int) -> str:
        try:
            ann.submit()
        except QuotaExceeded:
            return "refused"
        return "queued"

    outcomes = at_once(race, 8)
    assert sorted(outcomes) == ["queued"] * 3 + ["refused"] * 5
    assert count(ann) == 3
    assert len(sent) == 3


@pytest.mark.django_db(transaction=True)
def test_the_message_is_sent_after_the_commit_and_never_without_one(ann: Any, sent: list[Any]) -> None:
    with transaction.atomic():
        run = ann.submit()
        assert sent == []
    assert sent == [(queue.TASK, [str(ann.workspace.id), str(run.pk)])]
    assert run.warnings == []

    with transaction.atomic():
        ann.submit()
        transaction.set_rollback(True)
    assert len(sent) == 1
    assert count(ann) == 1


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_delays_a_run_and_loses_nothing(
    ann: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """A real connection to a port where nobody listens."""
    connect = current_app.connection_for_write
    monkeypatch.setattr(
        current_app, "connection_for_write", lambda **options: connect("redis://127.0.0.1:9/0", **options)
    )
    run = ann.submit()
    assert run.warnings == [queue.BROKER_AWAY]
    assert ann.look(run).state == "queued"
    assert selectors.queued_for(0) == [(ann.workspace.id, run.pk)]
    monkeypatch.undo()
    # The sweeper sends it as soon as the broker is back.
    messages: list[Any] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: messages.append(args))
    with scope(ann.workspace.id):
        assert services.resend(run.pk)
    assert messages == [[str(ann.workspace.id), str(run.pk)]]
    assert selectors.queued_for(1) == []


def test_only_the_broker_may_be_away(monkeypatch: pytest.MonkeyPatch, ann: Any) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise TypeError("a fault of ours")

    monkeypatch.setattr(current_app, "send_task", fail)
    with pytest.raises(TypeError):
        queue.send(ann.workspace.id, ann.graph.pk)

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(current_app, "send_task", away)
    assert not queue.send(ann.workspace.id, ann.graph.pk)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_left_the_queue_is_not_sent_again(ann: Any, sent: list[Any]) -> None:
    run = ann.submit()
    sent.clear()
    with scope(ann.workspace.id):
        services.claim(run.pk, "worker")
        assert not services.resend(run.pk)
    assert sent == []


def test_who_may_submit(ann: Any, bob: Any, member_of: Any) -> None:
    with pytest.raises(PermissionDenied):
        services.submit(member_of(ann, Role.VIEWER), ann.workspace, ann.graph)
    with pytest.raises(NotFound):
        services.submit(bob.user, ann.workspace, ann.graph)
    services.submit(member_of(ann, Role.API), ann.workspace, ann.graph)
    assert count(ann) == 1
    with scope(ann.workspace.id):
        assert RunCommand.objects.count() == 0
