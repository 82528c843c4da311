"""Checkpoints in either object storage: a folder, and a real S3 server."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from apps.runs import checkpoints
from attractor import GraphSpec, Plan, Session
from attractor.errors import CheckpointRefused

SPEC = {"nodes": [{"id": "osc", "kind": "osc.array", "params": {"cell": "lorenz", "N": 8, "noise": 0.1}}], "edges": []}
PLAN = Plan.of(GraphSpec.parse(SPEC))


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> str:
    """Where checkpoints go in this test."""
    if request.param == "folder":
        backend, options = "django.core.files.storage.FileSystemStorage", {"location": tmp_path / "files"}
    else:
        server = request.getfixturevalue("s3_server")
        backend, options = "storages.backends.s3.S3Storage", server.options
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    return str(request.param)


@pytest.fixture
def ids() -> tuple[uuid.UUID, uuid.UUID]:
    """A workspace's and a run's."""
    return uuid.uuid4(), uuid.uuid4()


def saved(tmp_path: Path, ids: tuple[uuid.UUID, uuid.UUID]) -> tuple[Session, Path]:
    session = Session(PLAN, 3, 40, block=10)
    next(iter(session))
    folder = session.checkpoint(tmp_path / "scratch")
    size = checkpoints.save(*ids, folder)
    assert size == sum(path.stat().st_size for path in folder.iterdir())
    return session, folder


def test_a_session_goes_on_from_what_was_fetched(storage: str, tmp_path: Path, ids: Any) -> None:
    session, folder = saved(tmp_path, ids)
    checkpoints.save(*ids, folder)  # once more, as after a worker that died before it had told of the first
    fetched = checkpoints.load(*ids, folder.name, tmp_path / "fetched")
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    assert Session.restore(fetched, PLAN).run().result_hash == session.run().result_hash


def test_what_is_deleted_or_was_never_there_is_refused(storage: str, tmp_path: Path, ids: Any) -> None:
    _, folder = saved(tmp_path, ids)
    checkpoints.delete(*ids, [folder.name, "0" * 64])
    with pytest.raises(CheckpointRefused):
        Session.restore(checkpoints.load(*ids, folder.name, tmp_path / "fetched"), PLAN)
    assert not list((tmp_path / "files").rglob("*.safetensors"))


def test_a_checkpoint_of_another_run_is_not_touched(storage: str, tmp_path: Path, ids: Any) -> None:
    _, folder = saved(tmp_path, ids)
    other = ids[0], uuid.uuid4()
    checkpoints.save(*other, folder)
    checkpoints.delete(*ids, [folder.name])
    assert list(checkpoints.load(*other, folder.name, tmp_path / "fetched").iterdir())


@pytest.mark.parametrize("storage", ["s3"], indirect=True)
def test_a_wrong_key_is_a_storage_that_is_away(storage: str, settings: Any, tmp_path: Path, ids: Any) -> None:
    _, folder = saved(tmp_path, ids)
    default = settings.STORAGES["default"]
    wrong = {**default, "OPTIONS": {**default["OPTIONS"], "secret_key": "another"}}
    settings.STORAGES = {**settings.STORAGES, "default": wrong}
    with pytest.raises(checkpoints.AWAY):
        checkpoints.save(*ids, folder)
    with pytest.raises(checkpoints.AWAY):
        checkpoints.load(*ids, folder.name, tmp_path / "fetched")
    checkpoints.delete(*ids, [folder.name])  # says so in the log


def test_a_folder_that_cannot_be_made_is_a_storage_that_is_away(settings: Any, tmp_path: Path, ids: Any) -> None:
    full = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": "/dev/full"}}
    settings.STORAGES = {**settings.STORAGES, "default": full}
    folder = Session(PLAN, 3, 40).checkpoint(tmp_path / "scratch")
    with pytest.raises(checkpoints.AWAY):
        checkpoints.save(*ids, folder)
