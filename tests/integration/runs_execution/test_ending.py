"""The end of an attempt while the database is away, or while a point is just becoming done; in this process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from run_processes import Tenant

from apps.runs import fits, points, selectors, services, sweeps
from apps.runs.execution import execution as execution_module
from apps.runs.execution import lease as lease_module
from apps.runs.execution.execution import Ending, Execution
from apps.runs.execution.lease import Lease
from apps.runs.execution.pipe import Pipe
from apps.runs.execution.series_execution import SeriesExecution
from apps.runs.models import Run
from apps.runs.states import RunState
from apps.workspaces.scope import scope

AXIS = {"target": "osc.N", "values": [8, 16, 24]}


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    read_fd, write_fd = os.pipe()
    made = Pipe(read_fd, write_fd)
    yield made
    made.close()


@pytest.fixture
def claimed(tenant: Tenant, testbed: Any, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """An execution of a run, claimed but not begun."""
    monkeypatch.setattr(execution_module.mortality, "lift_memory_limit", lambda: None)
    monkeypatch.setattr(Execution, "_end_overdue", lambda _: None)  # it would end this process

    def claim(run: Run, kind: type[Execution] = Execution) -> Execution:
        with scope(tenant.workspace.id):
            attempt = services.claim(run.pk, "test")
        return kind(str(tenant.workspace.id), str(run.pk), attempt.number, pipe)

    return claim


@pytest.mark.parametrize("shut_down", [False, True])
def test_an_end_that_came_before_the_lease_ran_out_is_written_when_the_database_is_back(
    tenant: Tenant, claimed: Any, monkeypatch: pytest.MonkeyPatch, shut_down: bool
) -> None:
    run = tenant.submit(max_seconds=60)
    execution = claimed(run)
    finish, away = services.finish, 2

    def cut(*args: Any, **kwargs: Any) -> Run:
        nonlocal away
        away -= 1
        if away == 0:
            if shut_down:
                execution.stop()
            gave_up = execution._on_late()  # as the thread that keeps the lease finds
            assert gave_up is shut_down
        if away >= 0:
            raise OperationalError("away")
        return finish(*args, **{**kwargs, "waited": kwargs["waited"] + 3600.0})

    monkeypatch.setattr(services, "finish", cut)
    result = {"result_hash": "h", **dict.fromkeys(execution_module.MANIFEST, "x")}
    execution._found = lambda: Ending(RunState.SUCCEEDED, None, result)  # type: ignore[method-assign]
    assert execution._end()
    row = tenant.look(run)
    assert row.state == ("running" if shut_down else "succeeded")
    with scope(tenant.workspace.id):
        # An hour of waiting, longer than the attempt is old, costs nothing.
        assert selectors.seconds_held(run) == 0.0


def test_an_attempt_that_still_computes_is_given_up_with_its_lease(tenant: Tenant, claimed: Any) -> None:
    execution = claimed(tenant.submit())
    assert execution._on_late()
    assert execution._lost.is_set()


def test_the_lease_is_renewed_again_when_the_database_is_back(
    tenant: Tenant, claimed: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    attempt = claimed(tenant.submit())._attempt
    late, renewals = threading.Event(), []

    def renew(one: Any) -> None:
        if not late.is_set():
            raise OperationalError("away")
        renewals.append(one)

    def on_late() -> bool:
        late.set()
        return False

    def lost(why: Any) -> None:
        raise AssertionError(why)

    beats: list[dict[str, Any]] = []
    pipe: Any = type("Heard", (), {"send": staticmethod(beats.append)})
    monkeypatch.setattr(lease_module.services, "renew", renew)
    lease = Lease(attempt, 0.02, 0.1, pipe, lambda: 0, lost, on_late, lost)
    lease.start()
    eventually(lambda: len(renewals) >= 3, "the lease to be renewed")
    lease.close()
    assert len(beats) > len(renewals)


def test_a_point_that_is_just_becoming_done_is_in_the_end_of_an_overdue_sweep(tenant: Tenant, claimed: Any) -> None:
    """The series counts it before it tells it, and the end comes between the two."""
    document = {"axes": [AXIS], "sampling": "grid"}
    run = sweeps.submit_sweep(tenant.user, tenant.workspace, tenant.graph, document, 5, 20)
    execution = claimed(run, SeriesExecution)
    series = execution._series()
    execution._session = series
    execution._ledger.start()

    def end() -> None:
        try:
            execution._end(overdue=True)
        finally:
            connection.close()

    ending = threading.Thread(target=end)

    def told(report: Any) -> None:
        if report.done and series.done == 3:
            ending.start()
            ending.join(1.0)
        execution._told_by(series, report)

    series.run(told)
    ending.join()
    row = tenant.look(run)
    with scope(tenant.workspace.id):
        written = [point.index for point in points.points(run)]
    assert (row.state, row.points_done, written) == ("succeeded", 3, [0, 1, 2])


def submitted_fit(tenant: Tenant) -> Run:
    loss = {"port": "osc.sync", "target": 0.5, "start": 0}
    design = {"params": [{"target": "osc.coupling"}], "loss": loss, "iterations": 50, "rate": 0.02}
    return fits.submit_fit(tenant.user, tenant.workspace, tenant.graph, design, 5, 20, 60)


def submitted_sweep(tenant: Tenant) -> Run:
    axis = {"target": "osc.N", "values": list(range(8, 58))}
    document = {"axes": [axis], "sampling": "grid"}
    return sweeps.submit_sweep(tenant.user, tenant.workspace, tenant.graph, document, 5, 20, 60)


@pytest.mark.parametrize("submitted", [submitted_sweep, submitted_fit])
def test_a_series_ends_with_its_time_and_keeps_what_is_done(
    tenant: Tenant, claimed: Any, submitted: Callable[[Tenant], Run]
) -> None:
    run = submitted(tenant)
    execution = claimed(run, SeriesExecution)
    series = execution._series()
    execution._session = series
    execution._ledger.start()

    def told(report: Any) -> None:
        execution._told_by(series, report)
        if series.done == 3:
            execution._on_out_of_time()  # as its clock does

    series.run(told)
    assert execution._end()
    row = tenant.look(run)
    assert row.error is not None
    assert (row.state, row.error["code"], row.points_total) == ("failed", "out_of_time", 50)
    with scope(tenant.workspace.id):
        written = [point.index for point in points.points(run)]
    told_of = [event.payload["points"] for event in tenant.events(run) if event.kind == "points"]
    assert sorted(point["index"] for one in told_of for point in one) == written
    assert row.points_done + row.points_failed == len(written) == series.done >= 3
    assert len(written) < 50
