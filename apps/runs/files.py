"""Files of runs and artifacts in the object storage, under the hash of their content.

A segment of a recording is `runs/<workspace>/<run>/segments/<hash>`, a file of an artifact
`artifacts/<workspace>/<first two digits>/<hash>`. What is fetched is held to its hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.core.files import File
from django.core.files.storage import FileSystemStorage, storages

from apps.runs import checkpoints

AWAY = checkpoints.AWAY

CHUNK = 2**20
PARTIAL_SECONDS = 3600.0
"""A file of which nothing was written for so long is not being written any more."""


class StorageAway(OSError):
    """The storage cannot be reached, refuses, or is full; what is wrong with files of this machine is another error."""


class Damaged(OSError):
    """A file in the storage is lost, or does not have the hash that names it."""


def stored(workspace_id: UUID | str, content: str) -> str:
    """Where the file of an artifact lies."""
    return f"artifacts/{workspace_id}/{content[:2]}/{content}"


def segment(workspace_id: UUID | str, run_id: UUID | str, content: str) -> str:
    """Where a segment lies."""
    return f"{_segments(workspace_id, run_id)}/{content}"


def _segments(workspace_id: UUID | str, run_id: UUID | str) -> str:
    return f"runs/{workspace_id}/{run_id}/segments"


def put(place: str, path: Path) -> None:
    """Put a file into the storage. What is there in full stays: the same place is the same content.

    A file is there in full or not at all, also for those who read it meanwhile.

    Raises:
        StorageAway: the storage does not take it.
    """
    storage, size = storages["default"], path.stat().st_size
    with path.open("rb") as stream, _asked():
        if exists(place) and storage.size(place) == size:
            return
        if isinstance(storage, FileSystemStorage):
            _put_whole(storage, place, stream)
        else:
            storage.save(place, File(stream))


@contextmanager
def _asked() -> Iterator[None]:
    """Raises `StorageAway` of whatever a storage raises."""
    try:
        yield
    except AWAY as error:
        raise StorageAway(f"{type(error).__name__}: {error}") from error


def _put_whole(storage: FileSystemStorage, place: str, source: IO[bytes]) -> None:
    partial, target = Path(storage.path("partial")), Path(storage.path(place))
    for folder in (partial, target.parent):
        folder.mkdir(parents=True, exist_ok=True)
    _forget_partial(partial)
    number, name = tempfile.mkstemp(dir=partial)
    try:
        with os.fdopen(number, "wb") as copy:
            shutil.copyfileobj(source, copy, CHUNK)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _forget_partial(folder: Path) -> None:
    """Delete what processes left that died while they wrote it."""
    for one in folder.iterdir():
        try:
            if one.stat().st_mtime < time.time() - PARTIAL_SECONDS:
                one.unlink()
        except FileNotFoundError:
            continue  # its writer has just put it in its place, or another has deleted it


def reach() -> None:
    """Look whether the storage is there: of one that is not, a file that is not found says nothing. Raises
    `StorageAway`.

    One in which there is nothing at all is not there: it is where a folder or bucket is to be mounted and is not.
    """
    with _asked():
        there = any(storages["default"].listdir(""))
    if not there:
        raise StorageAway("the storage is empty, but is known to have had files: it may not be mounted")


def exists(place: str) -> bool:
    """Whether there is a file. Raises AWAY."""
    return bool(storages["default"].exists(place))


def fetch(place: str, content: str, into: Path) -> Path:
    """Copy a file out of the storage to a path.

    Raises:
        FileNotFoundError: it is not there; `reach` says whether the storage is.
        Damaged: it does not have its hash.
        StorageAway: the storage cannot be reached.
        OSError: the path cannot be written.
    """
    digest = hashlib.sha256()
    into.parent.mkdir(parents=True, exist_ok=True)
    with into.open("wb") as target:
        for chunk in _read(place):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != content:
        raise Damaged(f"{place} is damaged: it does not have the hash that names it")
    return into


def _read(place: str) -> Iterator[bytes]:
    """What a file in the storage holds; whoever takes it may fail without the storage being blamed."""
    try:
        with storages["default"].open(place) as source:
            yield from source.chunks(CHUNK)
    except FileNotFoundError:
        raise
    except AWAY as error:
        raise StorageAway(f"{type(error).__name__}: {error}") from error


def opened(place: str) -> IO[Any]:
    """The file as a stream. Raises AWAY."""
    stream: IO[Any] = storages["default"].open(place)
    return stream


def chunks(stream: IO[Any]) -> Iterator[bytes]:
    """The stream piece by piece; closed at its end."""
    with stream:
        while piece := stream.read(CHUNK):
            yield piece


def delete(place: str) -> None:
    """Delete a file if it is there. Raises AWAY."""
    storages["default"].delete(place)


def delete_segments(workspace_id: UUID | str, run_id: UUID | str) -> None:
    """Delete all segments of a run, also what no row names. Raises AWAY."""
    storage, place = storages["default"], _segments(workspace_id, run_id)
    try:
        names = storage.listdir(place)[1]
    except FileNotFoundError:
        return
    for name in names:
        storage.delete(f"{place}/{name}")


def hash_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
