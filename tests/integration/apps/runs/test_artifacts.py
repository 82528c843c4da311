"""Artifacts: kept once under their content, counted, downloaded, deleted, and gone when nobody has them any more."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import Error, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.runs import artifacts, exports, files, recordings, selectors, services, sweeping
from apps.runs.models import Artifact, Export, Gathering, Retention, RunSegment
from apps.runs.refusals import Fenced, FormatNotAllowed, NothingRecorded, QuotaExceeded
from apps.runs.sweeping import sweep
from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope
from attractor import GraphRejected, GraphSpec, Plan, Session


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def recording(tenant: Any, run: Any) -> Artifact:
    with scope(tenant.workspace.id):
        found = artifacts.recording_of(run)
    assert found is not None
    return found


@pytest.fixture
def quota(settings: Any) -> Any:
    def change(**values: int) -> None:
        quotas = settings.ATTRACTOR.quotas.model_copy(update=values)
        settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"quotas": quotas})

    return change


def test_a_recording_is_downloaded_as_the_engine_computes_it(ann: Any, ended_run: Any) -> None:
    run = ended_run(ann, record=[{"node": "osc", "port": "x"}])
    (listed,) = ann.get(f"/artifacts/?run={run.pk}").json()["results"]
    answer = ann.client.get(listed["url"])
    content = body(answer)
    assert hashlib.sha256(content).hexdigest() == listed["content"] == answer["ETag"].strip('"')
    assert len(content) == listed["size"] == int(answer["Content-Length"])
    assert answer["Content-Disposition"].startswith('attachment; filename="recording.parquet"')
    assert (listed["lineage"]["run"], listed["lineage"]["attempt"]) == (str(run.pk), 1)
    with scope(ann.workspace.id):
        session = Session(Plan.of(GraphSpec.parse(ann.graph.versions.get().spec)), run.seed, 100, tier="eager")
    session.subscribe("osc", "x")
    seen = np.concatenate([frame.data for report in session for frame in report.frames])
    got = pq.read_table(io.BytesIO(content))["osc.x"].combine_chunks().flatten().to_numpy().reshape(100, 16)
    np.testing.assert_array_equal(got, seen)


def test_equal_runs_share_one_file_which_goes_with_the_last(ann: Any, ended_run: Any) -> None:
    one, two = (recording(ann, ended_run(ann)) for _ in range(2))
    assert one.content == two.content
    assert one.pk != two.pk
    with scope(ann.workspace.id):
        assert artifacts.stored_bytes() == one.size
    place = files.stored(ann.workspace.id, one.content)
    for number, row in enumerate((one, two)):
        address = f"{ann.root}/artifacts/{row.pk}/"
        assert ann.client.delete(address).status_code == 428
        assert ann.client.delete(address, headers={"If-Match": ann.client.get(address)["ETag"]}).status_code == 204
        sweep()
        assert storages["default"].exists(place) == (number == 0)
    assert ann.get(f"/artifacts/{one.pk}/").status_code == 404
    with scope(ann.workspace.id):
        said = AuditEvent.objects.filter(action="artifact.delete").count()
        assert (artifacts.stored_bytes(), said) == (0, 2)


def test_an_artifact_cannot_be_changed(ann: Any, ended_run: Any) -> None:
    row = recording(ann, ended_run(ann))
    with scope(ann.workspace.id), pytest.raises(Error), transaction.atomic():
        Artifact.objects.filter(pk=row.pk).update(name="other")


def test_storage_is_checked_before_anything_is_queued(ann: Any, ended_run: Any, quota: Any) -> None:
    run = ended_run(ann)
    used = {one["name"]: one for one in ann.get("/usage/").json()["measures"]}["storage"]
    assert used["used"] == recording(ann, run).size
    quota(storage=int(used["used"]) + 10)
    with pytest.raises(QuotaExceeded):
        ann.submit()
    with pytest.raises(QuotaExceeded):
        exports.submit_export(ann.user, run, "csv")
    with scope(ann.workspace.id):
        assert not Export.objects.exists()
    assert ann.submit(record=[]).recording == []
    quota(storage=10**9, recording=1000)
    answer = ann.post("/runs/", {"graph": str(ann.graph.pk), "ticks": 10**5})
    assert (answer.status_code, answer.json()["problems"][0]["place"]) == (422, "record")


def test_what_cannot_be_recorded_is_refused_by_name(ann: Any) -> None:
    with pytest.raises(GraphRejected) as rejected:
        ann.submit(record=[{"node": "osc", "port": "nothing"}, {"node": "no", "port": "x"}])
    assert [one.place for one in rejected.value.problems] == ["osc.nothing", "no.x"]


def segment(first: int, until: int, raw: int = 10, size: int = 10) -> recordings.StoredSegment:
    return recordings.StoredSegment(f"{first:064x}", first, until, size, {"osc.x": until - 1}, raw)


def test_segments_follow_each_other_and_fit_their_limit(ann: Any) -> None:
    run = ann.submit()
    with scope(ann.workspace.id):
        attempt = services.claim(run.pk, "w")
    assert recordings.record_segment(attempt, segment(0, 10))
    assert recordings.record_segment(attempt, segment(0, 10)), "a second telling is no second segment"
    assert not recordings.record_segment(attempt, segment(20, 30)), "there is a gap"
    assert not recordings.record_segment(attempt, segment(10, 20, run.recording_bytes)), "it is too large"
    # However many short segments there are, what their form takes ends no recording.
    assert recordings.record_segment(attempt, segment(10, 20, size=run.recording_bytes))
    last = recordings.go_on_from(attempt, 15)
    assert last is not None
    assert last.until == 10
    services.hand_over(attempt, services.worker_lost("w"))
    with pytest.raises(Fenced):
        recordings.record_segment(attempt, segment(10, 20))
    with scope(ann.workspace.id):
        assert RunSegment.objects.get().until == 10


@pytest.fixture
def ungathered(ann: Any, ended_run: Any, monkeypatch: Any) -> Any:
    """A run that has ended, whose process did not live to put its recording together."""
    monkeypatch.setattr(recordings, "GATHER_AFTER_SECONDS", -60.0)
    with monkeypatch.context() as patch:
        patch.setattr(recordings, "gather", lambda *_: None)
        return ended_run(ann)


def test_what_a_dead_process_left_is_put_together_and_its_files_go(ann: Any, ungathered: Any, monkeypatch: Any) -> None:
    run = ungathered
    with scope(ann.workspace.id):
        assert artifacts.recording_of(run) is None
        size = sum(RunSegment.objects.values_list("size", flat=True))
        assert artifacts.promised_bytes() == size > 0, "until then its segments count"
    call_command("export")
    assert recording(ann, run).facts["complete"]
    with scope(ann.workspace.id):
        assert (artifacts.promised_bytes(), RunSegment.objects.count()) == (0, 0)
    # What a process brought that had lost the run goes too, in time.
    place = files.segment(ann.workspace.id, run.pk, "0" * 64)
    storages["default"].save(place, ContentFile(b"late"))
    assert recordings.gather_due() == 0
    assert files.exists(place)
    monkeypatch.setattr(recordings, "LATE_SECONDS", -60.0)
    with scope(ann.workspace.id):
        Gathering.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert recordings.gather_due() == 0
    assert not files.exists(place)
    with scope(ann.workspace.id):
        assert not Gathering.objects.exists()


def test_a_recording_that_cannot_be_put_together_holds_up_no_other(ann: Any, ungathered: Any, monkeypatch: Any) -> None:
    tried = []

    def broken(workspace_id: Any, run_id: Any) -> None:
        tried.append(run_id)
        raise ValueError("it cannot be joined")

    due = (ann.workspace.id, ungathered.pk)
    monkeypatch.setattr(recordings, "gather", broken)
    for tries in (1, 2):
        assert due in recordings.to_gather(-60.0)
        assert recordings.gather_due() == 0
        assert due not in recordings.to_gather(-60.0), "it waits"
        assert recordings.gather_due() == 0
        with scope(ann.workspace.id):
            row = Gathering.objects.get()
            Gathering.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        assert (row.tries, len(tried)) == (tries, tries)
        assert row.due_at > timezone.now() + timedelta(seconds=tries * recordings.RETRY_SECONDS - 20)


def test_segments_whose_deletion_failed_are_deleted_later(ann: Any, ungathered: Any, monkeypatch: Any) -> None:
    def away(*_: Any) -> None:
        raise OSError("the storage is away")

    with scope(ann.workspace.id):
        places = [files.segment(ann.workspace.id, ungathered.pk, one.content) for one in RunSegment.objects.all()]
    with monkeypatch.context() as patch:
        patch.setattr(files, "delete_segments", away)
        assert recordings.gather_due() == 1
    assert all(map(files.exists, places))
    with scope(ann.workspace.id):
        Gathering.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert recordings.gather_due() == 0
    assert not any(map(files.exists, places))


def test_checkpoints_that_outlive_their_run_count(ann: Any) -> None:
    run = ann.submit()
    with scope(ann.workspace.id):
        attempt = services.claim(run.pk, "w")
        services.record_checkpoint(attempt, "0" * 64, 5, 12345)
        assert artifacts.stored_bytes() == 0
    services.finish(attempt, "cancelled", tick=5)
    with scope(ann.workspace.id):
        assert artifacts.stored_bytes() == 12345


@pytest.mark.parametrize("days", [0, 3])
def test_checkpoints_that_came_when_their_run_was_over_go_too(ann: Any, monkeypatch: Any, days: int) -> None:
    """The process of a run that has lost it, or is cancelled in the middle of an upload, leaves files without a row."""
    with scope(ann.workspace.id):
        Retention.objects.create(workspace_id=ann.workspace.pk, checkpoint_days=days)
    run, other = ann.submit(), ann.submit()
    with scope(ann.workspace.id):
        attempt = services.claim(run.pk, "w")
        services.claim(other.pk, "w")
    services.finish(attempt, "cancelled", tick=5)
    places = [f"runs/{ann.workspace.id}/{one.pk}/checkpoints/{'0' * 64}/header.json" for one in (run, other)]
    sweep()
    for place in places:
        storages["default"].save(place, ContentFile(b"late"))
    sweep()
    assert all(map(files.exists, places)), "more may come"
    monkeypatch.setattr(sweeping, "LATE_SECONDS", -60.0)
    sweep()
    assert [files.exists(place) for place in places] == [days > 0, True]
    with scope(ann.workspace.id):
        Retention.objects.update(checkpoint_days=0)
    sweep()
    assert [files.exists(place) for place in places] == [False, True]
    assert (ann.workspace.id, run.pk) not in selectors.untidied(-60.0)


def test_segments_are_deleted_only_when_what_was_put_together_is_committed(
    ann: Any, ended_run: Any, monkeypatch: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(recordings, "gather", lambda *_: None)
        run = ended_run(ann)
    with scope(ann.workspace.id):
        # A transaction around it could still be rolled back when the files are gone.
        with pytest.raises(RuntimeError, match="durable"):
            recordings.gather(ann.workspace.id, run.pk)
        (content, _) = RunSegment.objects.order_by("first").values_list("content", flat=True)
    assert files.exists(files.segment(ann.workspace.id, run.pk, content))


@pytest.mark.parametrize(("lost", "kept"), [(1, 50), (0, 0)])
def test_a_segment_that_is_lost_ends_the_recording(
    ann: Any, ended_run: Any, monkeypatch: Any, lost: int, kept: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(recordings, "gather", lambda *_: None)
        run = ended_run(ann)
    with scope(ann.workspace.id):
        segments = list(RunSegment.objects.order_by("first"))
        files.delete(files.segment(ann.workspace.id, run.pk, segments[lost].content))
    made = recordings.gather(ann.workspace.id, run.pk)
    with scope(ann.workspace.id):
        assert not RunSegment.objects.exists()
    if kept:
        assert made is not None
        assert (made.facts["rows"], made.facts["complete"]) == (kept, False)
    else:
        assert made is None
    with scope(ann.workspace.id):
        assert AuditEvent.objects.filter(action="recording.lose").exists() == (not kept)


def test_an_empty_mount_loses_no_recording(ann: Any, ungathered: Any, settings: Any, tmp_path: Any) -> None:
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "mount"}}
    (tmp_path / "mount").mkdir()
    there = settings.STORAGES
    settings.STORAGES = {**there, "default": options}
    with pytest.raises(files.AWAY):
        recordings.gather(ann.workspace.id, ungathered.pk)
    settings.STORAGES = there
    made = recordings.gather(ann.workspace.id, ungathered.pk)
    assert made is not None
    assert made.facts["complete"]


def test_a_small_export_is_there_at_once_and_names_its_source(ann: Any, ended_run: Any) -> None:
    run = ended_run(ann, record=[{"node": "osc", "port": "sync"}])
    formats = {one["format"]: one["ports"] for one in ann.get(f"/runs/{run.pk}/formats/").json()}
    assert formats["wav"] == ["osc.sync"]
    assert "midi" not in formats
    answer = ann.post(f"/runs/{run.pk}/exports/", {"format": "csv"})
    assert answer.status_code == 201, answer.json()
    made = answer.json()
    assert (made["state"], made["progress"]) == ("succeeded", 1.0)
    assert made["artifact"]["lineage"]["artifact"] == str(recording(ann, run).pk)
    lines = body(ann.client.get(made["artifact"]["url"])).decode().splitlines()
    assert (lines[0], len(lines)) == ("tick,t,osc.sync", 101)


def test_a_format_that_does_not_fit_is_a_400_that_names_those_that_do(ann: Any, ended_run: Any) -> None:
    run = ended_run(ann)
    answer = ann.post(f"/runs/{run.pk}/exports/", {"format": "midi"})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (400, "format_not_allowed")
    assert "hdf5" in answer.json()["problems"][0]["mend"]
    with pytest.raises(FormatNotAllowed):
        exports.submit_export(ann.user, run, "csv", ["osc.nothing"])
    with pytest.raises(NothingRecorded):
        exports.submit_export(ann.user, ann.submit(), "csv")


def test_an_export_right_after_the_end_is_asked_to_wait(ann: Any, ended_run: Any) -> None:
    run = ended_run(ann, gathered=False)
    answer = ann.post(f"/runs/{run.pk}/exports/", {"format": "csv"})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "recording_pending")
    recordings.gather(ann.workspace.id, run.pk)
    assert ann.post(f"/runs/{run.pk}/exports/", {"format": "csv"}).status_code == 201


def test_a_cancelled_export_writes_nothing(ann: Any, ended_run: Any, monkeypatch: Any) -> None:
    run = ended_run(ann)
    waiting = exports.submit_export(ann.user, run, "csv")
    assert (ann.workspace.id, waiting.pk) in exports.due()
    exports.cancel_export(ann.user, waiting)
    assert not exports.write_export(ann.workspace.id, waiting.pk)
    monkeypatch.setattr(exports, "TELL_SECONDS", 0.0)
    under_way = exports.submit_export(ann.user, run, "csv")
    told = exports._teller

    def cancelled_meanwhile(found: Export) -> Any:
        tell = told(found)
        exports.cancel_export(ann.user, found)
        return tell

    monkeypatch.setattr(exports, "_teller", cancelled_meanwhile)
    assert not exports.write_export(ann.workspace.id, under_way.pk)
    with scope(ann.workspace.id):
        assert set(Export.objects.values_list("state", "artifact")) == {("cancelled", None)}
    assert ann.post(f"/exports/{under_way.pk}/cancel/", {}).status_code == 409


@pytest.mark.parametrize("room", [10**6, 1000])
def test_an_export_that_is_larger_than_was_promised_needs_room(ann: Any, ended_run: Any, quota: Any, room: int) -> None:
    run = ended_run(ann)
    found = exports.submit_export(ann.user, run, "csv")
    with scope(ann.workspace.id):
        Export.objects.update(reserved_bytes=10)
    quota(storage=recording(ann, run).size + 10 + room)
    assert exports.write_export(ann.workspace.id, found.pk)
    row = exports.export(ann.workspace, found.pk)
    if room == 1000:
        assert (row.state, row.error["code"], row.artifact) == ("failed", "not_writable", None)
    else:
        assert row.state == "succeeded"
        assert 1000 < row.artifact.size <= row.reserved_bytes


def kept_files(tenant: Any) -> int:
    """Files of the workspace's artifacts that are in the storage."""
    storage, place = storages["default"], f"artifacts/{tenant.workspace.id}"
    try:
        return sum(len(storage.listdir(f"{place}/{folder}")[1]) for folder in storage.listdir(place)[0])
    except FileNotFoundError:
        return 0


def test_the_file_of_an_export_that_is_cancelled_at_its_end_goes(ann: Any, ended_run: Any, monkeypatch: Any) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    upload = artifacts.upload

    def cancelled_meanwhile(*args: Any) -> None:
        sweep()
        upload(*args)
        exports.cancel_export(ann.user, found)

    monkeypatch.setattr(artifacts, "upload", cancelled_meanwhile)
    assert not exports.write_export(ann.workspace.id, found.pk)
    assert kept_files(ann) == 2
    sweep()
    assert kept_files(ann) == 1, "the recording stays"


def test_a_sweeper_in_the_middle_of_an_upload_forgets_no_file(ann: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "file").write_bytes(b"x")
    put = files.put

    def swept_before(*args: Any) -> None:
        sweep()
        put(*args)

    monkeypatch.setattr(files, "put", swept_before)
    artifacts.upload(ann.workspace.id, tmp_path / "file", hashlib.sha256(b"x").hexdigest())
    assert kept_files(ann) == 1
    sweep()
    assert kept_files(ann) == 0


@pytest.mark.parametrize("by", ["person", "sweeper"])
def test_who_deletes_an_artifact_waits_for_who_deletes_files(ann: Any, ended_run: Any, by: str) -> None:
    """Both hold the workspace's row first: what one does not see the other has not begun."""
    row = recording(ann, ended_run(ann))
    with CaptureQueriesContext(connection) as queries, scope(ann.workspace.id):
        if by == "person":
            artifacts.delete_artifact(ann.user, ann.workspace, row.pk)
        else:
            assert artifacts.expire(row.pk)
    locks = [one["sql"] for one in queries if one["sql"].rstrip().endswith(("FOR UPDATE", "FOR NO KEY UPDATE"))]
    assert '"workspaces_workspace"' in locks[0]
    assert any('FROM "runs_artifact"' in one for one in locks[1:])


def test_an_export_whose_writers_die_is_given_up(ann: Any, ended_run: Any) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    for _ in range(exports.CLAIMS):
        assert exports._claim(ann.workspace.id, found.pk) is not None
        assert exports._claim(ann.workspace.id, found.pk) is None, "its writer lives"
        with scope(ann.workspace.id):
            Export.objects.update(claimed_at=timezone.now() - timedelta(seconds=2 * exports.STALE_SECONDS))
        assert (ann.workspace.id, found.pk) in exports.due()
    assert exports._claim(ann.workspace.id, found.pk) is None
    with scope(ann.workspace.id):
        row = Export.objects.get()
    assert (row.state, row.error["code"]) == ("failed", "writer_lost")


def test_points_of_a_sweep_are_exported_as_a_table(ann: Any) -> None:
    from apps.runs import points, sweeps

    design = {"axes": [{"target": "osc.coupling", "values": [0.1, 0.2]}], "sampling": "grid"}
    run = sweeps.submit_sweep(ann.user, ann.workspace, ann.graph, design, 1, 10)
    with scope(ann.workspace.id):
        attempt = services.claim(run.pk, "w")
    error = {"code": "diverged", "message": "=1+1", "node": "osc", "tick": 3, "mend": "x"}
    points.record_points(attempt, [points.DonePoint(0, {"osc.coupling": 0.1}, 1, {"osc.sync": 1 / 3}, "h")])
    points.record_points(attempt, [points.DonePoint(1, {"osc.coupling": 0.2}, 1, error=error)])
    services.finish(attempt, "succeeded", result={}, result_hash="h")
    assert {one["format"] for one in ann.get(f"/runs/{run.pk}/formats/").json()} == {"csv", "hdf5", "npz", "parquet"}
    made = ann.post(f"/runs/{run.pk}/exports/", {"format": "csv"}).json()
    lines = body(ann.client.get(made["artifact"]["url"])).decode().splitlines()
    assert lines[0] == "index,state,seed,osc.coupling,osc.sync,error,result_hash"
    assert lines[1:] == [f"0,succeeded,1,0.1,{1 / 3!r},,h", "1,failed,1,0.2,,'=1+1,"]
    assert ann.post(f"/runs/{run.pk}/exports/", {"format": "wav"}).status_code == 400


@pytest.mark.parametrize(("days", "kept"), [(None, True), (40, True), (20, False)])
def test_artifacts_go_when_their_time_is_over(
    ann: Any, bob: Any, ended_run: Any, settings: Any, days: int | None, kept: bool
) -> None:
    runs = settings.ATTRACTOR.runs.model_copy(update={"keep_days": 1})
    settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"runs": runs})
    with scope(bob.workspace.id):
        Retention.objects.create(workspace_id=bob.workspace.pk, artifact_days=None)
    with scope(ann.workspace.id):
        Retention.objects.create(workspace_id=ann.workspace.pk, artifact_days=days)
    monkey = timezone.now() - timedelta(days=30)
    rows = []
    for tenant in (ann, bob):
        made = recording(tenant, ended_run(tenant))
        with scope(tenant.workspace.id):
            # A row is never changed: an old one is made.
            made.delete()
            made.created_at = monkey
            made.save(force_insert=True)
        rows.append((tenant, made))
    sweep()
    for tenant, made in rows:
        there = kept or tenant is bob
        with scope(tenant.workspace.id):
            assert Artifact.objects.filter(pk=made.pk).exists() == there
        assert storages["default"].exists(files.stored(tenant.workspace.id, made.content)) == there
