"""What is killed, and what must survive it."""

import signal
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from run_processes import LONG, kill, started_worker

from apps.runs import selectors, services
from apps.runs.failure import Failure
from apps.runs.models import Run, RunAttempt
from apps.runs.refusals import Fenced
from apps.runs.sweeping import sweep
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan, Session
from attractor.control import ControlChange

SLOW = 6_000
"""Ticks that take a run some seconds: fewer than let the cost rule choose kernels."""


def running_child(worker):
    """The child that computes, with threads for all that goes on meanwhile: the spare ones only wait."""
    return max(worker.children, key=lambda child: child.num_threads())


def begun(tenant, run):
    return lambda: tenant.look(run).tick > 0


def undisturbed(tenant, run, controls=()):
    """The hash of the run's result as the engine alone computes it."""
    with scope(tenant.workspace.id):
        spec = GraphSpec.parse(Run.objects.select_related("graph_version").get(pk=run.pk).graph_version.spec)
    return Session(Plan.of(spec), run.seed, run.ticks, controls=controls).run().result_hash


def attempts(tenant, run):
    with scope(tenant.workspace.id):
        return list(RunAttempt.objects.filter(run_id=run.pk).order_by("number").values_list("state", flat=True))


def checkpoints(tenant, run):
    """The run's checkpoints, furthest first."""
    with scope(tenant.workspace.id):
        return selectors.checkpoints(run)


def kept(tenant, run):
    """The tick of the run's furthest checkpoint."""
    return max((one.tick for one in checkpoints(tenant, run)), default=0)


@pytest.mark.slow
def test_a_killed_child_is_replaced_and_the_worker_serves_on(tenant, tmp_path, testbed, eventually):
    with started_worker(tmp_path / "worker", ATTRACTOR__RUNS__CHECKPOINT="0.2") as worker:
        run = tenant.submit(ticks=SLOW)
        eventually(lambda: kept(tenant, run), "a checkpoint")
        kill(running_child(worker).pid)
        eventually(lambda: tenant.look(run).is_final, "the run to end")  # no sweeper is running that could hand it over
        row = tenant.look(run)
        assert row.state == "succeeded", row.error
        assert attempts(tenant, run) == ["lost", "succeeded"]
        assert row.result_hash == undisturbed(tenant, run)
        (handed_over,) = (e.payload for e in tenant.events(run) if "resumes_at" in e.payload)
        assert "SIGKILL" in handed_over["reason"]
        assert handed_over["resumes_at"] > 0


@pytest.mark.exhaustive
def test_a_run_that_kills_its_process_every_time_fails_and_says_how(tenant, tmp_path, testbed, eventually):
    with started_worker(tmp_path / "worker", ATTRACTOR__RUNS__ATTEMPTS="2") as worker:
        run = tenant.submit()
        for number in (1, 2):
            eventually(
                lambda n=number: tenant.look(run).fence == n and tenant.look(run).tick > 0, "the run to progress"
            )
            kill(running_child(worker).pid)
        eventually(lambda: tenant.look(run).is_final, "the run to fail")
        row = tenant.look(run)
        assert row.state == "failed"
        assert row.error["code"] == "child_killed"
        assert "SIGKILL" in row.error["message"]
        assert row.error["mend"]
        other = tenant.submit(ticks=200)
        eventually(lambda: tenant.look(other).is_final, "another run to end")
        assert tenant.look(other).state == "succeeded"


@pytest.mark.slow
def test_a_run_ends_with_its_time_even_if_its_process_cannot_count_any_more(tenant, tmp_path, testbed, eventually):
    with started_worker(tmp_path / "worker") as worker:
        runs = [tenant.submit(max_seconds=2)]
        eventually(lambda: tenant.look(runs[0]).is_final, "the run to be stopped")
        # On a slow machine a short time is over before much is computed in it: then a longer one is given.
        for seconds in (6, 24, 96, 384):
            began = time.monotonic()
            runs.append(tenant.submit(max_seconds=seconds))
            eventually(lambda: tenant.look(runs[-1]).tick > 0 or tenant.look(runs[-1]).is_final, "the run to progress")
            if time.monotonic() - began < seconds / 2:
                running_child(worker).suspend()
                break
            eventually(lambda: tenant.look(runs[-1]).is_final, "the run to be stopped")
        eventually(lambda: tenant.look(runs[-1]).is_final, "the stopped process to be killed")
        eventually(lambda: "did not end with its time and was killed" in worker.log.read_text(), "that to be told", 30)
        for run in runs:
            row = tenant.look(run)
            assert (row.state, row.error["code"]) == ("failed", "out_of_time")
            assert attempts(tenant, run) == ["failed"]
        assert row.error["tick"] == row.tick > 0
        other = tenant.submit(ticks=200)
        eventually(lambda: tenant.look(other).is_final, "another run to end")
        assert tenant.look(other).state == "succeeded"


@pytest.mark.exhaustive
def test_the_time_of_lost_attempts_counts(tenant, tmp_path, testbed, eventually):
    run = tenant.submit(max_seconds=30)
    with scope(tenant.workspace.id):
        attempt = services.claim(run.pk, "somebody")
        services.hand_over(attempt, Failure("worker_lost", "It died.", "None."))
        RunAttempt.objects.filter(pk=attempt.pk).update(started_at=attempt.started_at - timedelta(seconds=29))
    with started_worker(tmp_path / "worker"):
        eventually(lambda: tenant.look(run).is_final, "the run to be stopped")
    row = tenant.look(run)
    assert row.error["code"] == "out_of_time"
    with scope(tenant.workspace.id):
        held = [one.finished_at - one.started_at for one in RunAttempt.objects.filter(run_id=run.pk).order_by("number")]
        assert selectors.seconds_held(run) == sum(held, timedelta()).total_seconds() > 30.0
    # The second attempt had one second left, whatever its process took to start.
    assert row.tick < LONG


@pytest.mark.slow
def test_a_killed_worker_takes_its_children_along_and_another_goes_on(
    tenant, tmp_path, sweeper, testbed, settings, eventually
):
    """What was set and said is neither lost nor told twice: the end is that of a run that was never disturbed."""
    with started_worker(tmp_path / "first", ATTRACTOR__RUNS__CHECKPOINT="1.0") as worker:
        run = tenant.submit(ticks=SLOW)
        eventually(begun(tenant, run), "the run to progress")
        tenant.command(run, "control", target="osc.coupling", value=0.4)
        eventually(lambda: kept(tenant, run), "a checkpoint")
        eventually(lambda: [e for e in tenant.events(run) if e.kind == "control"], "the control")
        tenant.command(run, "control", target="osc.coupling", value=0.2)
        eventually(lambda: len([e for e in tenant.events(run) if e.kind == "control"]) == 2, "the second control")
        children = worker.children
        assert children
        kill(worker.process.pid)
        worker.process.wait()
    eventually(lambda: not any(child.is_running() for child in children), "the children to die")
    eventually(lambda: tenant.look(run).state == "queued", "the sweeper to hand the run over")
    assert tenant.look(run).tick == kept(tenant, run) > 0
    with started_worker(tmp_path / "second"):
        eventually(lambda: tenant.look(run).is_final, "the run to end")
    row = tenant.look(run)
    assert row.state == "succeeded", row.error
    assert attempts(tenant, run) == ["lost", "succeeded"]
    changes = [ControlChange(**change) for change in row.manifest["control_log"]]
    assert [change.value for change in changes] == [0.4, 0.2]
    assert row.result_hash == undisturbed(tenant, run, changes)
    assert [e.payload["value"] for e in tenant.events(run) if e.kind == "control"] == [0.4, 0.2]
    assert [e.tick for e in tenant.events(run) if e.kind == "control"] == [change.tick for change in changes]
    assert [e.seq for e in tenant.events(run)] == list(range(1, len(tenant.events(run)) + 1))
    # Of a run that is over nothing is left, neither rows nor files.
    eventually(lambda: kept(tenant, run) == 0, "its checkpoints to go")
    assert not [path for path in Path(settings.MEDIA_ROOT).glob(f"runs/*/{run.pk}/**/*") if path.is_file()]


@pytest.mark.slow
def test_a_run_goes_on_from_its_checkpoint_in_s3(tenant, tmp_path, sweeper, s3_server, testbed, eventually):
    with started_worker(tmp_path / "worker", ATTRACTOR__RUNS__CHECKPOINT="0.2", **s3_server.env) as worker:
        run = tenant.submit(ticks=SLOW)
        eventually(lambda: kept(tenant, run), "a checkpoint")
        assert any(str(run.pk) in key for key in s3_server.stored())
        kill(running_child(worker).pid)
        eventually(lambda: tenant.look(run).is_final, "the run to end")
        assert "goes on from tick" in worker.log.read_text()
    assert attempts(tenant, run) == ["lost", "succeeded"]
    assert tenant.look(run).result_hash == undisturbed(tenant, run)


@pytest.mark.exhaustive
def test_a_storage_that_refuses_costs_checkpoints_and_no_run(tenant, tmp_path, s3_server, testbed, eventually):
    env = {**s3_server.env, "ATTRACTOR__STORAGE__SECRET_KEY": "another", "ATTRACTOR__RUNS__CHECKPOINT": "0.2"}
    with started_worker(tmp_path / "worker", **env) as worker:
        run = tenant.submit(ticks=2000)
        eventually(lambda: tenant.look(run).is_final, "the run to end")
        assert "was not kept" in worker.log.read_text()
    assert tenant.look(run).result_hash == undisturbed(tenant, run)
    assert kept(tenant, run) == 0


@pytest.mark.exhaustive
def test_a_damaged_checkpoint_is_passed_over(tenant, tmp_path, sweeper, testbed, settings, eventually):
    with started_worker(tmp_path / "first", ATTRACTOR__RUNS__CHECKPOINT="0.2") as worker:
        run = tenant.submit(ticks=SLOW)
        eventually(lambda: len(checkpoints(tenant, run)) >= 2, "two checkpoints")
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait(120)
    newest, next_one, *_ = checkpoints(tenant, run)
    (state,) = Path(settings.MEDIA_ROOT).rglob(f"{newest.content}/state.safetensors")
    state.write_bytes(state.read_bytes()[:-1] + b"x")
    with started_worker(tmp_path / "second") as worker:
        eventually(lambda: tenant.look(run).is_final, "the run to end")
        assert "is not usable" in worker.log.read_text()
        assert f"goes on from tick {next_one.tick}" in worker.log.read_text()
    assert tenant.look(run).result_hash == undisturbed(tenant, run)


@pytest.mark.slow
def test_a_worker_that_comes_back_from_the_dead_writes_nothing(tenant, worker, sweeper, eventually):
    run = tenant.submit()
    eventually(begun(tenant, run), "the run to progress")
    frozen = [psutil.Process(worker.process.pid), *worker.children]
    for process in frozen:
        process.suspend()
    eventually(lambda: tenant.look(run).state == "queued", "the sweeper to hand the run over")
    tenant.command(run, "cancel")
    dead = tenant.look(run), [event.seq for event in tenant.events(run)]
    assert dead[0].state == "cancelled"
    for process in frozen:
        process.resume()
    eventually(lambda: "lost its run" in worker.log.read_text(), "the child to notice")
    time.sleep(1.0)
    assert tenant.look(run).tick == dead[0].tick
    assert [event.seq for event in tenant.events(run)] == dead[1]
    # The worker itself goes on.
    other = tenant.submit(ticks=100)
    eventually(lambda: tenant.look(other).is_final, "another run to end")
    assert tenant.look(other).state == "succeeded"


@pytest.mark.slow
def test_a_child_whose_lease_was_taken_stops(tenant, worker, eventually):
    run = tenant.submit()
    eventually(begun(tenant, run), "the run to progress")
    computing = running_child(worker)
    with scope(tenant.workspace.id):
        attempt = RunAttempt.objects.get(run_id=run.pk)
        RunAttempt.objects.filter(pk=attempt.pk).update(state="lost")
        with pytest.raises(Fenced):
            services.renew(attempt)
    eventually(lambda: not computing.is_running(), "the child to end")
    assert tenant.look(run).result is None


@pytest.mark.slow
def test_a_stopped_worker_ends_within_seconds_and_its_runs_go_on(tenant, tmp_path, worker, sweeper, eventually):
    run = tenant.submit(ticks=SLOW)
    eventually(begun(tenant, run), "the run to progress")
    children = worker.children
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(120)
    assert not any(child.is_running() for child in children)
    row = tenant.look(run)
    assert row.state == "queued"
    assert row.tick == kept(tenant, run) > 0
    with started_worker(tmp_path / "second"):
        eventually(lambda: tenant.look(run).is_final, "the run to end")
    row = tenant.look(run)
    assert row.state == "succeeded", row.error
    assert attempts(tenant, run) == ["released", "succeeded"]
    assert row.result_hash == undisturbed(tenant, run)


@pytest.mark.slow
def test_what_a_stopped_worker_had_not_done_yet_is_done_by_the_next(tenant, tmp_path, worker, sweeper, eventually):
    run = tenant.submit(ticks=2000)
    tenant.command(run, "pause")
    eventually(lambda: tenant.look(run).paused, "the run to pause")
    tenant.command(run, "control", target="osc.coupling", value=0.4)
    time.sleep(1.0)  # taken by the session, which waits
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(120)
    assert tenant.look(run).state == "queued"
    tenant.command(run, "resume")
    with started_worker(tmp_path / "second"):
        eventually(lambda: tenant.look(run).is_final, "the run to end")
    row = tenant.look(run)
    assert row.state == "succeeded", row.error
    (change,) = (ControlChange(**one) for one in row.manifest["control_log"])
    assert change.value == 0.4
    assert row.result_hash == undisturbed(tenant, run, [change])
    (told,) = (e.payload for e in tenant.events(run) if e.payload.get("target") == "osc.coupling")
    assert told["refusal"] is None


@pytest.mark.slow
def test_a_paused_run_is_still_paused_after_its_worker_died(tenant, worker, eventually):
    run = tenant.submit(ticks=2000)
    tenant.command(run, "pause")
    eventually(lambda: tenant.look(run).paused, "the run to pause")
    kill(running_child(worker).pid)
    eventually(lambda: tenant.look(run).fence == 2 and tenant.look(run).state == "running", "the next attempt")
    time.sleep(2.0)
    assert tenant.look(run).state == "running"
    assert tenant.look(run).paused
    tenant.command(run, "resume")
    eventually(lambda: tenant.look(run).is_final, "the run to end")
    assert tenant.look(run).result_hash == undisturbed(tenant, run)


@pytest.mark.slow
def test_a_run_over_its_memory_fails_by_name_and_its_neighbours_live(tenant, tmp_path, testbed, eventually):
    with started_worker(tmp_path / "small", ATTRACTOR__WORKER__MEMORY=str(2**26)) as worker:
        # One factor of the 2048 x 2048 precision matrix is 32 MiB, and computing it takes several of them.
        run = tenant.submit(ticks=100, graph=tenant.graph_of_node("ebm.gaussian", N=2048, method="exact"))
        eventually(lambda: tenant.look(run).is_final, "the run to end")
        row = tenant.look(run)
        assert row.state == "failed"
        assert row.error["code"] == "out_of_memory", row.error
        small = tenant.submit(ticks=100)
        eventually(lambda: tenant.look(small).is_final, "a small run to end")
        assert tenant.look(small).state == "succeeded", tenant.look(small).error
        assert worker.process.poll() is None


@pytest.mark.slow
def test_a_message_that_was_lost_is_sent_again(tenant, worker, valkey_server, eventually):
    valkey_server.process.stop()
    run = tenant.submit(ticks=100)
    assert run.warnings
    assert tenant.look(run).state == "queued"
    valkey_server.start()
    eventually(valkey_server.answers, "Valkey to be back")
    eventually(lambda: sweep().resent == 1, "the sweeper to send the message again")
    eventually(lambda: tenant.look(run).is_final, "the run to end")
    assert tenant.look(run).state == "succeeded"


@pytest.mark.slow
def test_a_run_outlives_valkey_with_the_same_result_and_all_its_events(tenant, worker, valkey_server, eventually):
    run = tenant.submit(ticks=12_000, seed=5)
    eventually(begun(tenant, run), "the run to progress")
    valkey_server.process.stop()
    stopped_at = tenant.look(run).tick
    tenant.command(run, "control", target="osc.coupling", value=0.4)
    eventually(lambda: [e for e in tenant.events(run) if e.kind == "control"], "the control, without Valkey")
    assert tenant.look(run).state == "running"
    eventually(lambda: tenant.look(run).is_final, "the run to end")
    row = tenant.look(run)
    assert row.state == "succeeded", row.error
    assert stopped_at < row.tick == 12_000
    (change,) = row.manifest["control_log"]
    session = Session(Plan.of(GraphSpec.parse(run.graph_version.spec)), seed=5, ticks=12_000, block=1)
    for report in session:
        if report.tick == change["tick"]:
            session.set_control(change["target"], change["value"])
    assert row.result_hash == session.result().result_hash
    events = tenant.events(run)
    assert [event.seq for event in events] == list(range(1, row.last_event + 1))
    assert [e.kind for e in events] == ["status", "status", "control", "status"]

    valkey_server.start()
    eventually(valkey_server.answers, "Valkey to be back")
    other = tenant.submit(ticks=100)
    eventually(lambda: tenant.look(other).is_final, "the worker to serve on after Valkey is back")
    assert tenant.look(other).state == "succeeded"


@pytest.mark.slow
def test_cancel_while_the_child_still_imports(tenant, tmp_path, testbed, eventually):
    """Without a spare the child takes seconds to begin; the worker itself hears the cancel."""
    with started_worker(tmp_path / "cold", spares=0) as worker:
        run = tenant.submit()
        eventually(lambda: tenant.look(run).state == "running", "the run to be claimed")
        tenant.command(run, "cancel")
        eventually(lambda: tenant.look(run).is_final, "the run to end")
        assert tenant.look(run).state == "cancelled"
        assert "is warm" not in worker.log.read_text()


@pytest.mark.slow
def test_a_worker_that_takes_no_messages_any_more_ends_to_be_started_again(tenant, tmp_path, testbed, eventually):
    from celery import current_app
    from celery.utils.nodenames import worker_direct

    with started_worker(tmp_path / "deaf", ATTRACTOR__WORKER__CANARY="0.3") as worker:
        time.sleep(5.0)
        assert worker.process.poll() is None
        run = tenant.submit(ticks=500)
        eventually(lambda: tenant.look(run).is_final, "a run, while the worker is healthy")
        (name,) = current_app.control.ping(timeout=5.0)[0]
        current_app.control.cancel_consumer(worker_direct(name).name, destination=[name])
        eventually(lambda: worker.process.poll() is not None, "the worker to end")
        assert worker.process.returncode == 1
        assert "consumes nothing any more" in worker.log.read_text()


@pytest.mark.slow
def test_the_sweeper_leaves_healthy_runs_alone(tenant, worker, sweeper, eventually):
    run = tenant.submit(ticks=8000)
    eventually(lambda: tenant.look(run).is_final, "the run to end")
    assert tenant.look(run).state == "succeeded"
    assert selectors.expired_leases() == []
