"""Files under the hash of their content, in either object storage: a folder, and a real S3 server."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest

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


def test_segments_of_one_run_go_together(tmp_path: Path) -> None:
    workspace, run, other = (uuid.uuid4() for _ in range(3))
    (tmp_path / "file").write_bytes(CONTENT)
    files.delete_segments(workspace, run)
    for one in (run, other):
        files.put(files.segment(workspace, one, HASH), tmp_path / "file")
    files.delete_segments(workspace, run)
    assert not files.exists(files.segment(workspace, run, HASH))
    assert files.exists(files.segment(workspace, other, HASH))
