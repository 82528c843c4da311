"""What a run records, by a real worker: also when its process is killed, and when the storage refuses."""

import hashlib
import time
from pathlib import Path

import netCDF4
import pytest
from run_processes import kill, program, started_worker

from apps.runs import artifacts, exports, files, recordings
from apps.runs.execution.execution import LAST_CHECKPOINT_SECONDS
from apps.runs.models import RunAttempt, RunSegment
from apps.runs.refusals import Fenced
from apps.workspaces.scope import scope
from attractor import GraphSpec, Plan, Session
from attractor.recording.column import columns
from attractor.recording.recorder import Recorder
from attractor.recording.recording import join

TICKS = 6_000
RECORD = [{"node": "osc", "port": "x", "every": 1}, {"node": "osc", "port": "sync", "every": 7}]


def recording(tenant, run):
    with scope(tenant.workspace.id):
        return artifacts.recording_of(run)


def segments(tenant, run):
    with scope(tenant.workspace.id):
        return list(RunSegment.objects.filter(run_id=run.pk).order_by("first"))


def undisturbed(tenant, run, folder: Path) -> str:
    """SHA-256 of the recording as the engine alone makes it."""
    with scope(tenant.workspace.id):
        plan = Plan.of(GraphSpec.parse(tenant.graph.versions.get().spec))
    session = Session(plan, run.seed, run.ticks, block=100)
    wanted = columns(plan, [(one["node"], one["port"], one["every"]) for one in RECORD])
    facts = {
        "tick_seconds": plan.clock.tick_seconds, "ticks": run.ticks, "seed": run.seed,
        "graph_hash": plan.spec.content_hash,
    }  # fmt: skip
    recorder = Recorder(wanted, facts)
    for one in wanted:
        session.record(one.node, one.port, one.every)
    for report in session:
        recorder.take(report.recorded, report.tick)
    segment = recorder.cut(folder)
    join([segment.path], folder / "whole")
    return hashlib.sha256((folder / "whole").read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_killed_child_leaves_no_trace_in_what_its_run_recorded(tenant, tmp_path, testbed, eventually):
    with started_worker(tmp_path / "worker", ATTRACTOR__RUNS__CHECKPOINT="0.2") as worker:
        run = tenant.submit(ticks=TICKS, record=RECORD)
        eventually(lambda: len(segments(tenant, run)) > 1, "two segments")
        kill(max(worker.children, key=lambda child: sum(child.cpu_times()[:2])).pid)
        eventually(lambda: recording(tenant, run), "the recording")
        row = tenant.look(run)
        assert (row.state, row.fence) == ("succeeded", 2), row.error
        with scope(tenant.workspace.id):
            first = RunAttempt.objects.get(run_id=run.pk, number=1)
        with pytest.raises(Fenced):
            recordings.record_segment(first, recordings.StoredSegment("0" * 64, TICKS, TICKS + 1, 1, {}, 1))
        made = recording(tenant, run)
        assert made.facts["complete"]
        assert made.content == undisturbed(tenant, run, tmp_path / "alone")
        path = files.fetch(files.stored(tenant.workspace.id, made.content), made.content, tmp_path / "fetched")
        assert path.stat().st_size == made.size <= row.recording_bytes
        assert segments(tenant, run) == []
    # A large export is written by a process that the sweeper starts.
    found = exports.submit_export(tenant.user, row, "netcdf")
    with program(tmp_path / "sweeper.log", "manage.py", "sweep"):
        eventually(lambda: exports.export(tenant.workspace, found.pk).state != "queued", "a writer")
        eventually(lambda: exports.export(tenant.workspace, found.pk).finished_at, "the export")
    done = exports.export(tenant.workspace, found.pk)
    assert (done.state, done.error) == ("succeeded", None)
    path = files.fetch(files.stored(tenant.workspace.id, done.artifact.content), done.artifact.content, tmp_path / "nc")
    with netCDF4.Dataset(path) as file:
        assert file["osc_x"].shape == (TICKS, 16)


@pytest.mark.slow
def test_a_run_whose_end_finds_the_storage_away_waits_for_it(tenant, testbed, shared_worker, eventually):
    # A file where the folder of the workspace would be: the storage takes nothing of it.
    place = testbed.data_dir / "files" / "runs" / str(tenant.workspace.id)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"")
    try:
        run = tenant.submit(ticks=200, record=RECORD)
        eventually(lambda: tenant.look(run).tick == 200, "the last tick")
        time.sleep(2 * LAST_CHECKPOINT_SECONDS)
        assert tenant.look(run).state == "running"
    finally:
        place.unlink()
    eventually(lambda: recording(tenant, run), "the recording")
    assert (tenant.look(run).state, recording(tenant, run).facts["complete"]) == ("succeeded", True)
