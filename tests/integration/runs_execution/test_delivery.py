"""Messages that come again although their run is being executed."""

import time

import pytest
from run_processes import started_worker

from apps.runs import queue
from apps.runs.models import RunAttempt
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan, Session

VISIBILITY_S = 2.0
TICKS = 5000


@pytest.mark.slow
def test_a_task_longer_than_the_visibility_timeout_takes_effect_once(tenant, testbed, tmp_path, eventually):
    """The broker gives an unacknowledged message to the next who asks; here two others ask all the time, and messages
    of the same run are sent again besides, as the sweeper does."""
    workers = [
        started_worker(tmp_path / name, ATTRACTOR__WORKER__VISIBILITY_TIMEOUT=str(VISIBILITY_S)) for name in ("a", "b")
    ]
    with workers[0], workers[1]:
        run = tenant.submit(ticks=TICKS, seed=3)
        tenant.command(run, "pause")
        eventually(lambda: tenant.look(run).paused, "the run to pause", 120)
        began, sent = time.monotonic(), 0
        while time.monotonic() - began < 4 * VISIBILITY_S:
            assert queue.send(run.workspace_id, run.pk)
            sent += 1
            time.sleep(0.25)
        tenant.command(run, "resume")
        eventually(lambda: tenant.look(run).is_final, "the run to end", 120)
        time.sleep(2 * VISIBILITY_S)
    row, told = tenant.look(run), tenant.events(run)
    with scope(tenant.workspace.id):
        attempts = list(RunAttempt.objects.filter(run_id=run.pk).values_list("number", "state"))
    assert attempts == [(1, "succeeded")]
    assert [e.payload["state"] for e in told if e.kind == "status"] == ["queued", "running", "succeeded"]
    assert [e.seq for e in told] == list(range(1, row.last_event + 1))
    print(f"{sent} messages more, {time.monotonic() - began:.0f} s: one attempt")
    # What was computed is what one undisturbed session computes.
    undisturbed = Session(Plan.of(GraphSpec.parse(run.graph_version.spec)), 3, TICKS).run().result_hash
    assert row.result_hash == undisturbed
