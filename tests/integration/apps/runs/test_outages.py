"""Exports and recordings while the storage or the database is away, and writers that are slow or dead."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from botocore.config import Config
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.runs import artifacts, exports, files, outages, recordings
from apps.runs.models import Export, Gathering, RunSegment
from apps.runs.outages import Cause
from apps.workspaces.models import AuditEvent
from apps.workspaces.scope import scope
from attractor.recording import recording as engine
from tests.running_stack import free_port

AWAY = {
    "BACKEND": "storages.backends.s3.S3Storage",
    "OPTIONS": {
        "bucket_name": "runs", "region_name": "us-east-1", "access_key": "key", "secret_key": "secret",
        "file_overwrite": True,
        "client_config": Config(signature_version="s3v4", connect_timeout=5, retries={"total_max_attempts": 1}),
    },
}  # fmt: skip


@pytest.fixture
def storage(settings: Any) -> Callable[[bool], None]:
    """Takes the storage away, which then is S3 at a port at which nobody listens, and gives it back."""
    there = settings.STORAGES
    options = {**AWAY["OPTIONS"], "endpoint_url": f"http://127.0.0.1:{free_port()}"}

    def change(away: bool) -> None:
        settings.STORAGES = {**there, "default": {**AWAY, "OPTIONS": options}} if away else there

    return change


def row_of(tenant: Any, found: Export) -> Export:
    return exports.export(tenant.workspace, found.pk)


def make_due(tenant: Any, model: type[Export] | type[Gathering]) -> None:
    """Let the time pass until what is put off is due."""
    with scope(tenant.workspace.id):
        model.objects.update(due_at=timezone.now() - timedelta(seconds=1))


def shown(tenant: Any, found: Export) -> dict[str, Any]:
    answer = tenant.get(f"/exports/{found.pk}/")
    assert answer.status_code == 200
    return dict(answer.json())


def test_an_export_waits_for_its_storage_however_often_and_resumes_by_itself(
    ann: Any, ended_run: Any, storage: Any
) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    storage(True)
    for tries in range(1, 3 * exports.CLAIMS):
        assert not exports.write_export(ann.workspace.id, found.pk)
        row = row_of(ann, found)
        assert (row.state, row.losses, row.put_offs, row.waits_for) == ("queued", 0, tries, "storage")
        wait = min(900, 15 * 2 ** (tries - 1))
        assert row.due_at > timezone.now() + timedelta(seconds=wait - 10)
        assert not exports.write_export(ann.workspace.id, found.pk), "it is not due"
        assert (ann.workspace.id, found.pk) not in exports.due()
        said = shown(ann, found)["waiting"]
        assert (said["waits_for"], said["tries"]) == ("storage", tries)
        assert parse_datetime(said["next_try"]) == row.due_at
        assert f"next try at {row.due_at:%Y-%m-%d %H:%M:%S} UTC" in said["message"]
        make_due(ann, Export)
    assert (ann.workspace.id, found.pk) in exports.due()
    storage(False)
    assert exports.write_export(ann.workspace.id, found.pk)
    row = row_of(ann, found)
    assert (row.state, row.error, row.claim) == ("succeeded", None, 3 * exports.CLAIMS)
    assert shown(ann, found)["waiting"] is None
    assert files.exists(files.stored(ann.workspace.id, row.artifact.content))


def test_a_storage_that_goes_when_the_file_is_written_puts_the_export_off(
    ann: Any, ended_run: Any, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    hash_of = files.hash_of

    def gone_then(path: Path) -> str:
        storage(True)
        return hash_of(path)

    monkeypatch.setattr(files, "hash_of", gone_then)
    assert not exports.write_export(ann.workspace.id, found.pk)
    assert (row_of(ann, found).state, row_of(ann, found).waits_for) == ("queued", "storage")


def test_an_export_is_given_up_when_its_storage_was_away_for_a_day(ann: Any, ended_run: Any, storage: Any) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    storage(True)
    exports.write_export(ann.workspace.id, found.pk)
    make_due(ann, Export)
    with scope(ann.workspace.id):
        Export.objects.update(put_off_since=timezone.now() - timedelta(days=1))
    assert exports.write_export(ann.workspace.id, found.pk)
    said = shown(ann, found)
    assert (said["state"], said["error"]["code"], said["waiting"]) == ("failed", "storage_away", None)
    assert "The storage was away in all 2 tries since" in said["error"]["message"]
    assert "127.0.0.1" not in said["error"]["message"], "where it is is nothing to tell"


def test_waits_double_up_to_a_quarter_of_an_hour_and_end_with_the_time() -> None:
    row, now = Export(), datetime(2026, 1, 1, tzinfo=UTC)
    row.put_offs, row.put_off_since = 0, None
    waits, begun = [], now
    while (due := row.put_off(Cause.STORAGE, now, 86_400.0)) is not None:
        waits.append((due - now).total_seconds())
        now = due
    assert waits[:8] == [15, 30, 60, 120, 240, 480, 900, 900]
    assert (min(waits) > 0, max(waits)) == (True, 900)
    assert now - begun == timedelta(days=1), "the last try is made when the time is over"
    assert row.waits_for == ""


@pytest.mark.parametrize("what", ["disk", "kind", "bug"])
def test_what_is_the_export_s_own_fault_counts(
    ann: Any, ended_run: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    fault: Exception = {
        "disk": OSError(errno.ENOSPC, "No space left on device"), "kind": ValueError("no such kind"),
        "bug": RuntimeError("a bug"),
    }[what]  # fmt: skip

    def broken(*_: Any) -> None:
        raise fault

    from attractor.exporting import formats

    monkeypatch.setitem(formats.FORMATS, "csv", replace(formats.FORMATS["csv"], write=broken))
    tries = exports.CLAIMS if what == "disk" else 1
    for number in range(1, tries + 1):
        assert exports.write_export(ann.workspace.id, found.pk) == (number == tries)
    row = row_of(ann, found)
    codes = {"disk": "writer_failed", "kind": "not_writable", "bug": "export_failed"}
    assert (row.state, row.error["code"], row.put_offs) == ("failed", codes[what], 0)


def test_a_recording_whose_file_is_lost_is_no_outage(ann: Any, ended_run: Any) -> None:
    run = ended_run(ann)
    found = exports.submit_export(ann.user, run, "csv")
    with scope(ann.workspace.id):
        source = artifacts.recording_of(run)
    assert source is not None
    storages["default"].save("something", ContentFile(b"x"))  # the storage is not empty: it is there
    files.delete(files.stored(ann.workspace.id, source.content))
    assert exports.write_export(ann.workspace.id, found.pk)
    assert (row_of(ann, found).state, row_of(ann, found).error["code"]) == ("failed", "source_lost")


def cut_off(testbed: Any) -> None:
    """End the connections of the site, as a restart of PostgreSQL does."""
    with psycopg.connect(testbed.app_url, autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )


# --- Writers, on connections of their own -----------------------------------------------------------------------------


def connect_anew() -> None:
    """Let go of all connections: of those that wait in the pool, some may be cut off."""
    connection.close()
    connection.close_pool()


@pytest.fixture
def apart(transactional_db: None) -> Iterator[None]:
    """Threads see what the test has written, and no connection of another test's is used, nor one of this left."""
    connect_anew()
    yield
    connect_anew()


@pytest.fixture
def uploading(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A thread that writes an export and stops in the middle of its upload until it is told to go on."""

    class Uploading:
        def __init__(self) -> None:
            self.begun, self.on = threading.Event(), threading.Event()
            self.outcome: list[bool] = []
            self.thread: threading.Thread | None = None

        def start(self, tenant: Any, found: Export) -> None:
            monkeypatch.setattr(files, "put", slow)

            def write() -> None:
                try:
                    self.outcome.append(exports.write_export(tenant.workspace.id, found.pk))
                finally:
                    connection.close()

            self.thread = threading.Thread(target=write)
            self.thread.start()
            assert self.begun.wait(60)

        def end(self) -> bool:
            self.on.set()
            assert self.thread is not None
            self.thread.join(60)
            return self.outcome[0]

    one, put = Uploading(), files.put

    def slow(place: str, path: Path) -> None:
        if not one.begun.is_set():
            one.begun.set()
            assert one.on.wait(120)
        put(place, path)

    yield one
    one.on.set()


def test_a_writer_that_uploads_for_longer_than_the_dead_are_silent_lives(
    apart: None, ann: Any, ended_run: Any, uploading: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(exports, "BEAT_SECONDS", 0.05)
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    uploading.start(ann, found)
    # As if the upload had taken two minutes since anything was heard of its writer.
    with scope(ann.workspace.id):
        Export.objects.update(claimed_at=timezone.now() - timedelta(seconds=2 * exports.STALE_SECONDS))
    living = timezone.now() - timedelta(seconds=exports.STALE_SECONDS)
    eventually(lambda: row_of(ann, found).claimed_at > living, "a sign of life")
    assert (ann.workspace.id, found.pk) not in exports.due()
    assert exports._claim(ann.workspace.id, found.pk) is None
    assert uploading.end()
    row = row_of(ann, found)
    assert (row.state, row.claim, row.losses) == ("succeeded", 1, 0)


def test_a_writer_that_has_lost_its_export_writes_nothing(
    apart: None, ann: Any, ended_run: Any, uploading: Any
) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    uploading.start(ann, found)
    with scope(ann.workspace.id):
        Export.objects.update(claimed_at=timezone.now() - timedelta(seconds=2 * exports.STALE_SECONDS))
    other = exports._claim(ann.workspace.id, found.pk)
    assert other is not None
    before = row_of(ann, found)
    assert not uploading.end()
    after = row_of(ann, found)
    assert (after.state, after.claim, after.artifact) == ("running", 2, None)
    assert after.claimed_at == before.claimed_at
    with scope(ann.workspace.id):
        assert not AuditEvent.objects.filter(action="artifact.export").exists()


@pytest.mark.parametrize("name", ["_put_off", "_fail", "_lose"])
def test_what_became_of_a_lost_export_is_not_written(ann: Any, ended_run: Any, name: str) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    mine = exports._claim(ann.workspace.id, found.pk)
    assert mine is not None
    with scope(ann.workspace.id):
        Export.objects.update(claim=2)
    if name == "_put_off":
        exports._put_off(mine, Cause.STORAGE, "x")()
    elif name == "_fail":
        exports._fail(mine, "x", "x", "x")
    else:
        exports._lose(mine, "x", "x")
    row = row_of(ann, found)
    assert (row.state, row.put_offs, row.losses, row.error) == ("running", 0, 0, None)


def test_who_has_lost_an_export_puts_no_file_into_the_storage(
    ann: Any, ended_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    hash_of = files.hash_of

    def lost_then(path: Path) -> str:
        with scope(ann.workspace.id):
            Export.objects.update(claim=2)
        return hash_of(path)

    uploaded: list[Any] = []
    monkeypatch.setattr(files, "hash_of", lost_then)
    monkeypatch.setattr(artifacts, "upload", lambda *args: uploaded.append(args))
    assert not exports.write_export(ann.workspace.id, found.pk)
    assert uploaded == []


def test_a_writer_that_is_told_to_end_gives_its_export_back(
    ann: Any, ended_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")

    def told_then(path: Path) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
        raise AssertionError("it went on")

    monkeypatch.setattr(files, "hash_of", told_then)
    with pytest.raises(SystemExit):
        call_command("export")
    row = row_of(ann, found)
    assert (row.state, row.losses, row.put_offs) == ("queued", 0, 0)
    assert (ann.workspace.id, found.pk) in exports.due()


def test_a_server_that_cuts_the_writer_off_puts_its_export_off(
    apart: None, testbed: Any, ann: Any, ended_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    hash_of = files.hash_of

    def cut_off_then(path: Path) -> str:
        cut_off(testbed)
        return hash_of(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "hash_of", cut_off_then)
        for tries in range(1, 2 * exports.CLAIMS):
            assert not exports.write_export(ann.workspace.id, found.pk)
            connect_anew()
            row = row_of(ann, found)
            assert (row.state, row.losses, row.put_offs, row.waits_for) == ("queued", 0, tries, "database")
            make_due(ann, Export)
    assert exports.write_export(ann.workspace.id, found.pk)
    assert row_of(ann, found).state == "succeeded"


def test_a_server_that_is_stopped_for_a_while_puts_the_export_off_and_keeps_its_writer_waiting(
    apart: None, testbed: Any, ann: Any, ended_run: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    server = testbed.services.postgres
    if server is None:
        pytest.skip("the configured PostgreSQL is not ours to stop")
    found = exports.submit_export(ann.user, ended_run(ann), "csv")
    hash_of = files.hash_of
    refused: list[BaseException] = []

    def stopped_then(path: Path) -> str:
        server.process.stop()
        return hash_of(path)

    def waits(_: float) -> None:
        # The writer has asked a server that is not there, and is about to ask again.
        refused.append(sys.exception() or AssertionError("nothing was refused"))
        if len(refused) == 2:
            server.start()
            eventually(server.answers, "PostgreSQL")

    try:
        with monkeypatch.context() as patch:
            patch.setattr(files, "hash_of", stopped_then)
            patch.setattr(outages, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waits))
            assert not exports.write_export(ann.workspace.id, found.pk, patience=600.0)
    finally:
        if not server.process.is_running():
            server.start()
            eventually(server.answers, "PostgreSQL")
        connect_anew()
    assert len(refused) >= 2
    assert isinstance(refused[1], OperationalError)
    row = row_of(ann, found)
    assert (row.state, row.losses, row.put_offs, row.waits_for) == ("queued", 0, 1, "database")
    make_due(ann, Export)
    assert exports.write_export(ann.workspace.id, found.pk)
    assert row_of(ann, found).state == "succeeded"


def test_what_a_database_that_is_there_refuses_is_not_asked_again() -> None:
    tries: list[int] = []

    def refused() -> None:
        tries.append(1)
        error = OperationalError("no")
        error.__cause__ = psycopg.errors.DeadlockDetected("no")
        raise error

    with pytest.raises(OperationalError):
        outages.patiently(refused, 60.0)
    assert tries == [1]


# --- Recordings -------------------------------------------------------------------------------------------------------


@pytest.fixture
def due(ann: Any, ended_run: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run that has ended, whose recording waits for whoever puts it together."""
    monkeypatch.setattr(recordings, "GATHER_AFTER_SECONDS", -60.0)
    return ended_run(ann, gathered=False)


def gathering(tenant: Any) -> Gathering:
    with scope(tenant.workspace.id):
        return Gathering.objects.get()


def become(tenant: Any, run: Any) -> dict[str, Any]:
    answer = tenant.get(f"/runs/{run.pk}/recording/")
    assert answer.status_code == 200
    return dict(answer.json())


def test_a_recording_waits_for_its_storage_however_often(ann: Any, due: Any, storage: Any) -> None:
    assert become(ann, due)["state"] == "pending"
    storage(True)
    for put_offs in range(1, recordings.TRIES + 3):
        assert recordings.gather_due() == 0
        row = gathering(ann)
        assert (row.tries, row.put_offs, row.waits_for, row.error) == (0, put_offs, "storage", None)
        said = become(ann, due)
        assert (said["state"], parse_datetime(said["next_try"])) == ("waiting", row.due_at)
        assert f"next try at {row.due_at:%Y-%m-%d %H:%M:%S} UTC" in said["message"]
        refused = ann.post(f"/runs/{due.pk}/exports/", {"format": "csv"})
        assert (refused.status_code, refused.json()["code"]) == (409, "recording_pending")
        assert refused.json()["problems"][0]["message"] == said["message"]
        make_due(ann, Gathering)
    storage(False)
    assert recordings.gather_due() == 1
    with scope(ann.workspace.id):
        made = artifacts.recording_of(due)
    assert made is not None
    assert made.facts["complete"]
    assert (become(ann, due)["state"], become(ann, due)["artifact"]) == ("kept", str(made.pk))


def test_a_recording_is_given_up_when_its_storage_was_away_for_a_week(ann: Any, due: Any, storage: Any) -> None:
    storage(True)
    recordings.gather_due()
    make_due(ann, Gathering)
    with scope(ann.workspace.id):
        Gathering.objects.update(put_off_since=timezone.now() - timedelta(days=7))
    recordings.gather_due()
    assert (become(ann, due)["state"], gathering(ann).error["code"]) == ("failed", "storage_away")


def test_a_recording_that_cannot_be_joined_is_given_up_said_and_tried_again_when_asked(
    ann: Any, due: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[int] = []

    def broken(*_: Any) -> None:
        joined.append(1)
        raise ValueError("the parts do not fit")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "join", broken)
        for tries in range(1, recordings.TRIES + 1):
            assert gathering(ann).error is None
            assert recordings.gather_due() == 0
            assert (len(joined), gathering(ann).tries) == (tries, tries)
            if tries < recordings.TRIES:
                assert become(ann, due)["state"] == "pending"
                make_due(ann, Gathering)
        assert recordings.gather_due() == 0
        assert len(joined) == recordings.TRIES
    said = become(ann, due)
    assert (said["state"], said["tries"]) == ("failed", recordings.TRIES)
    assert "could not be put together in 12 tries: ValueError: the parts do not fit" in said["message"]
    until = parse_datetime(said["kept_until"])
    assert until is not None
    assert until > timezone.now() + timedelta(days=6)
    refused = ann.post(f"/runs/{due.pk}/exports/", {"format": "csv"})
    assert (refused.json()["code"], refused.json()["problems"][0]["message"]) == ("nothing_recorded", said["message"])
    with scope(ann.workspace.id):
        assert AuditEvent.objects.filter(action="recording.give_up").count() == 1
        assert artifacts.promised_bytes() > 0, "what is kept counts"
    # Nobody tries it any more, until somebody asks.
    assert (ann.workspace.id, due.pk) not in recordings.to_gather(-60.0)
    assert ann.post(f"/runs/{due.pk}/recording/retry/", {}).json()["state"] == "pending"
    assert ann.post(f"/runs/{due.pk}/recording/retry/", {}).status_code == 409
    assert recordings.gather_due() == 1
    assert become(ann, due)["state"] == "kept"
    assert ann.post(f"/runs/{due.pk}/exports/", {"format": "csv"}).status_code == 201


def test_what_is_left_of_a_recording_that_was_given_up_goes_and_the_reason_stays(
    ann: Any, due: Any, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scope(ann.workspace.id):
        places = [files.segment(ann.workspace.id, due.pk, one.content) for one in RunSegment.objects.all()]
    with monkeypatch.context() as patch:
        patch.setattr(recordings, "TRIES", 1)
        patch.setattr(engine, "join", lambda *_: 1 / 0)
        recordings.gather_due()
    assert all(map(files.exists, places))
    reason = become(ann, due)["message"]
    monkeypatch.setattr(recordings, "LATE_SECONDS", -60.0)
    for away in (True, False):
        make_due(ann, Gathering)
        storage(away)
        assert recordings.gather_due() == 0
    assert not any(map(files.exists, places))
    with scope(ann.workspace.id):
        assert (artifacts.promised_bytes(), RunSegment.objects.count()) == (0, 0)
    said = become(ann, due)
    assert (said["state"], said["message"], said["kept_until"]) == ("lost", reason, None)
    assert gathering(ann).due_at is None
    assert ann.post(f"/runs/{due.pk}/recording/retry/", {}).status_code == 409


def test_a_process_that_is_killed_each_time_is_counted_and_ends(
    ann: Any, due: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(recordings, "gather", killed)
    for _ in range(recordings.TRIES):
        with pytest.raises(Killed):
            recordings.gather_due()
        make_due(ann, Gathering)
    assert recordings.gather_due() == 0
    assert (become(ann, due)["state"], gathering(ann).error["code"]) == ("failed", "not_gathered")


def test_a_recording_all_of_which_is_lost_is_told_on_its_run(
    ann: Any, due: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scope(ann.workspace.id):
        for one in RunSegment.objects.all():
            files.delete(files.segment(ann.workspace.id, due.pk, one.content))
    storages["default"].save("something", ContentFile(b"x"))
    assert recordings.gather_due() == 0
    monkeypatch.setattr(recordings, "LATE_SECONDS", -60.0)
    make_due(ann, Gathering)
    recordings.gather_due()
    said = become(ann, due)
    assert (said["state"], said["message"]) == ("lost", recordings.LOST["message"])
    refused = ann.post(f"/runs/{due.pk}/exports/", {"format": "csv"})
    assert (refused.json()["code"], refused.json()["problems"][0]["message"]) == ("nothing_recorded", said["message"])


def test_a_server_that_cuts_off_who_gathers_is_no_failure(
    apart: None, testbed: Any, ann: Any, due: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = engine.join

    def cut_off_then(*args: Any) -> int:
        cut_off(testbed)
        return int(join(*args))

    with monkeypatch.context() as patch:
        patch.setattr(engine, "join", cut_off_then)
        assert recordings.gather_due() == 0
    connect_anew()
    row = gathering(ann)
    assert (row.tries, row.put_offs, row.waits_for) == (0, 1, "database")
    make_due(ann, Gathering)
    assert recordings.gather_due() == 1


def test_what_a_run_has_not_recorded_has_no_fault(ann: Any, ended_run: Any) -> None:
    assert become(ann, ann.submit(record=[]))["state"] == "none"
    assert become(ann, ann.submit())["state"] == "recording"
    run = ended_run(ann)
    with scope(ann.workspace.id):
        made = artifacts.recording_of(run)
        assert made is not None
        artifacts.delete_artifact(ann.user, ann.workspace, made.pk)
    assert become(ann, run)["state"] == "gone"
