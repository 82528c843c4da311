"""Runs from the queue to their end, with a real worker, PostgreSQL and Valkey."""

import time

import pytest

from apps.runs.models import RunAttempt, RunCommand
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan, Session


def result_of(spec, seed, ticks, controls=()):
    """What the engine computes without any of the service: the reference."""
    session = Session(Plan.of(GraphSpec.parse(spec)), seed=seed, ticks=ticks)
    return session.run()


def ended(tenant, run):
    return lambda: tenant.look(run).is_final


def test_a_run_gives_the_result_that_the_engine_gives_alone(tenant, shared_worker, eventually):
    run = tenant.submit(ticks=700, seed=11)
    eventually(ended(tenant, run), "the run to end")
    row = tenant.look(run)
    assert row.state == "succeeded", row.error
    alone = result_of(run.graph_version.spec, 11, 700)
    assert row.result_hash == alone.result_hash
    assert row.result["outputs"] == alone.as_dict()["outputs"]
    assert (row.tick, row.progress, row.eta_s) == (700, 1.0, None)
    assert row.manifest["graph_hash"] == run.graph_version.content_hash
    events = tenant.events(run)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.payload["state"] for event in events if event.kind == "status"] == [
        "queued", "running", "succeeded",
    ]  # fmt: skip
    with scope(tenant.workspace.id):
        (attempt,) = RunAttempt.objects.filter(run_id=run.pk)
    assert (attempt.number, attempt.state) == (1, "succeeded")


def test_cancel_stops_a_run(tenant, shared_worker, eventually):
    run = tenant.submit()
    eventually(lambda: tenant.look(run).tick > 0, "the run to progress")
    tenant.command(run, "cancel")
    eventually(ended(tenant, run), "the run to end")
    row = tenant.look(run)
    assert row.state == "cancelled"
    assert 0 < row.tick < row.ticks
    assert row.result is None


def test_cancel_does_not_wait_for_a_block_that_takes_long(tenant, shared_worker, eventually):
    """One tick of this graph is 1,000,000 integration steps: no block boundary comes in any reasonable time."""
    slow = tenant.graph_of(speed=10_000.0, dt=0.0001)
    run = tenant.submit(ticks=1000, graph=slow)
    eventually(lambda: tenant.look(run).state == "running", "the run to be claimed")
    time.sleep(3.0)  # into the first block, unless the machine is very busy; then it is cancelled even earlier
    tenant.command(run, "cancel")
    eventually(ended(tenant, run), "the run to end")
    row = tenant.look(run)
    assert (row.state, row.tick) == ("cancelled", 0)


def test_a_control_is_applied_and_its_tick_recorded(tenant, shared_worker, eventually):
    run = tenant.submit()
    eventually(lambda: tenant.look(run).tick > 0, "the run to progress")
    tenant.command(run, "control", target="osc.coupling", value=0.7)
    eventually(lambda: [e for e in tenant.events(run) if e.kind == "control"], "the control to be applied")
    (event,) = [e for e in tenant.events(run) if e.kind == "control"]
    assert event.payload["target"] == "osc.coupling"
    assert event.payload["value"] == 0.7
    with scope(tenant.workspace.id):
        (command,) = RunCommand.objects.filter(run_id=run.pk)
    assert command.applied_at is not None
    assert command.applied_tick == event.tick > 0
    assert command.refusal is None
    tenant.command(run, "cancel")
    eventually(ended(tenant, run), "the run to end")


def test_the_control_log_replays_to_the_same_result(tenant, shared_worker, eventually):
    run = tenant.submit(ticks=4000, seed=3)
    eventually(lambda: tenant.look(run).state == "running", "the run to begin")
    tenant.command(run, "control", target="osc.coupling", value=0.9)
    eventually(ended(tenant, run), "the run to end")
    row = tenant.look(run)
    assert row.state == "succeeded", row.error
    (change,) = row.manifest["control_log"]
    # Blocks of one tick, so that the change can be made at exactly the tick that the log names.
    session = Session(Plan.of(GraphSpec.parse(run.graph_version.spec)), seed=3, ticks=4000, block=1)
    if change["tick"] == 0:
        session.set_control(change["target"], change["value"])
    for report in session:
        if report.tick == change["tick"]:
            session.set_control(change["target"], change["value"])
    assert row.result_hash == session.result().result_hash
    assert row.result_hash != result_of(run.graph_version.spec, 3, 4000).result_hash


def test_pause_holds_the_run_and_resume_lets_it_go_on(tenant, shared_worker, eventually):
    run = tenant.submit()
    eventually(lambda: tenant.look(run).tick > 0, "the run to progress")
    tenant.command(run, "pause")
    eventually(lambda: tenant.look(run).paused, "the pause")
    time.sleep(1.2)  # the last progress before the pause may still be written
    held = tenant.look(run).tick
    time.sleep(1.2)
    assert tenant.look(run).tick == held
    tenant.command(run, "resume")
    eventually(lambda: tenant.look(run).tick > held, "the run to go on")
    assert not tenant.look(run).paused
    tenant.command(run, "pause")
    eventually(lambda: tenant.look(run).paused, "the second pause")
    tenant.command(run, "cancel")
    eventually(ended(tenant, run), "a paused run to be cancelled")
    assert tenant.look(run).state == "cancelled"


def test_a_node_that_diverges_fails_the_run_with_its_name_and_tick(tenant, shared_worker, eventually):
    run = tenant.submit(ticks=5000)
    eventually(lambda: tenant.look(run).state == "running", "the run to begin")
    wild = tenant.submit(ticks=5000, graph=tenant.graph_of(cell="chua", coupling=5.0))
    eventually(ended(tenant, wild), "the run to end")
    row = tenant.look(wild)
    assert row.state == "failed"
    assert row.error["code"] == "diverged"
    assert row.error["node"] == "osc"
    assert row.error["tick"] >= 0
    assert row.error["mend"]
    errors = [event for event in tenant.events(wild) if event.kind == "error"]
    assert [event.payload for event in errors] == [row.error]
    eventually(ended(tenant, run), "the other run to end")
    assert tenant.look(run).state == "succeeded"


def test_two_runs_share_nothing(tenant, shared_worker, eventually):
    first, second = tenant.submit(ticks=900, seed=1), tenant.submit(ticks=900, seed=2)
    eventually(lambda: tenant.look(first).is_final and tenant.look(second).is_final, "both runs to end")
    for run, seed in ((first, 1), (second, 2)):
        assert tenant.look(run).result_hash == result_of(run.graph_version.spec, seed, 900).result_hash


def test_a_second_delivery_does_nothing(tenant, shared_worker, eventually):
    from celery import current_app

    run = tenant.submit(ticks=2000)
    for _ in range(5):
        current_app.send_task("apps.runs.tasks.execute", args=[str(tenant.workspace.id), str(run.pk)])
    eventually(ended(tenant, run), "the run to end")
    before = tenant.look(run), tenant.events(run)
    later = tenant.submit(ticks=100)
    eventually(ended(tenant, later), "the queue to be empty")
    current_app.send_task("apps.runs.tasks.execute", args=[str(tenant.workspace.id), str(run.pk)])
    last = tenant.submit(ticks=100)
    eventually(ended(tenant, last), "the queue to be empty again")
    assert tenant.look(run).result_hash == before[0].result_hash
    assert [(e.seq, e.at) for e in tenant.events(run)] == [(e.seq, e.at) for e in before[1]]
    with scope(tenant.workspace.id):
        assert RunAttempt.objects.filter(run_id=run.pk).count() == 1


def test_a_message_for_a_run_that_is_not_there_harms_nothing(tenant, shared_worker, eventually):
    from uuid import uuid4

    from celery import current_app

    current_app.send_task("apps.runs.tasks.execute", args=[str(tenant.workspace.id), str(uuid4())])
    run = tenant.submit(ticks=100)
    eventually(ended(tenant, run), "the run to end")
    assert tenant.look(run).state == "succeeded"


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_the_whole_range_of_seeds_runs(tenant, shared_worker, eventually, seed):
    run = tenant.submit(ticks=50, seed=seed)
    eventually(ended(tenant, run), "the run to end")
    assert tenant.look(run).result_hash == result_of(run.graph_version.spec, seed, 50).result_hash
