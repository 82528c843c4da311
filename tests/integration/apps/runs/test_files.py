"""Files under the hash of their content, in either object storage: a folder, and a real S3 server."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage

from apps.runs import files

CONTENT = bytes(range(256)) * 9000
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["folder", "s3"], autouse=True)
def storage(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> None:
    if request.param == "folder":
        backend, options = "django.core.files.storage.FileSystemStorage", {"location": tmp_path / "files"}
    else:
        server = request.getfixturevalue("s3_server")
        backend, options = "storages.backends.s3.S3Storage", server.options
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}


def test_a_file_comes_back_and_goes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    place = files.stored(uuid.uuid4(), HASH)
    for _ in range(2):  # the second time it is there
        files.put(place, tmp_path / "file")
    assert files.fetch(place, HASH, tmp_path / "back").read_bytes() == CONTENT
    assert b"".join(files.chunks(files.opened(place))) == CONTENT
    files.delete(place)
    assert not files.exists(place)
    with pytest.raises(FileNotFoundError):
        files.opened(place)


def test_half_a_file_is_written_again_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    (tmp_path / "half").write_bytes(CONTENT[:1000])
    (tmp_path / "other").write_bytes(CONTENT[::-1])
    place = files.stored(uuid.uuid4(), HASH)
    files.put(place, tmp_path / "half")
    files.put(place, tmp_path / "file")
    assert files.fetch(place, HASH, tmp_path / "back").read_bytes() == CONTENT
    files.delete(place)
    files.put(place, tmp_path / "other")
    with pytest.raises(files.AWAY, match="damaged"):
        files.fetch(place, HASH, tmp_path / "again")


def test_a_file_is_never_seen_in_part_and_never_deleted_by_another_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One writer looks while another is in the middle, goes on when the other has ended, and dies."""
    (tmp_path / "file").write_bytes(CONTENT)
    place = files.stored(uuid.uuid4(), HASH)
    storage = files.storages["default"]
    seen: list[bool] = []

    class Dead(BaseException):
        pass

    def dies(*_: object, **__: object) -> None:
        seen.append(files.exists(place))
        raise Dead

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", dies)
        patch.setattr(storage, "save", dies)
        with pytest.raises(Dead):
            files.put(place, tmp_path / "file")
    assert seen == [False]
    (tmp_path / "half").write_bytes(CONTENT[:1000])
    files.put(place, tmp_path / "half")

    size = storage.size

    def completed_meanwhile(name: str) -> int:
        found = size(name)
        monkeypatch.undo()
        files.put(place, tmp_path / "file")
        monkeypatch.setattr(shutil, "copyfileobj", dies)
        monkeypatch.setattr(storage, "save", dies)
        return int(found)

    monkeypatch.setattr(storage, "size", completed_meanwhile)
    with pytest.raises(Dead):
        files.put(place, tmp_path / "file")
    monkeypatch.undo()
    assert files.fetch(place, HASH, tmp_path / "back").read_bytes() == CONTENT
    if isinstance(storage, FileSystemStorage):
        assert list(Path(storage.path("partial")).iterdir()) == []


def test_what_dead_writers_left_goes_after_an_hour(tmp_path: Path) -> None:
    storage = files.storages["default"]
    if not isinstance(storage, FileSystemStorage):
        pytest.skip("a server of S3 shows no file before it is whole")
    partial = Path(storage.path("partial"))
    partial.mkdir(parents=True)
    for name, seconds in (("old", 4000), ("young", 3000)):
        (partial / name).write_bytes(b"x")
        os.utime(partial / name, (time.time() - seconds,) * 2)
    (tmp_path / "file").write_bytes(CONTENT)
    files.put(files.stored(uuid.uuid4(), HASH), tmp_path / "file")
    assert [one.name for one in partial.iterdir()] == ["young"]


def test_segments_of_one_run_go_together(tmp_path: Path) -> None:
    workspace, run, other = (uuid.uuid4() for _ in range(3))
    (tmp_path / "file").write_bytes(CONTENT)
    files.delete_segments(workspace, run)
    for one in (run, other):
        files.put(files.segment(workspace, one, HASH), tmp_path / "file")
    files.delete_segments(workspace, run)
    assert not files.exists(files.segment(workspace, run, HASH))
    assert files.exists(files.segment(workspace, other, HASH))
