"""Checkpoints of runs in the object storage, under the hash of their content.

A checkpoint is the folder that `Session.checkpoint` writes: a header, whose SHA-256 is its name, and tensors, whose
hash the header holds. Its files are `runs/<workspace>/<run>/checkpoints/<hash>/<file>`; what is read is held to the
hashes. A row (`RunCheckpoint`) is written when all files are there. The oldest rows of a run go before their files; of
a run that is over the files go first, all of them, so that a storage that was away is asked again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import structlog
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files import File
from django.core.files.storage import storages
from s3transfer.exceptions import RetriesExceededError, TransferNotDoneError

AWAY = (OSError, Boto3Error, BotoCoreError, ClientError, RetriesExceededError, TransferNotDoneError)
"""What a storage raises that cannot be reached, is full, or does not have what it is asked for."""

log = structlog.get_logger(__name__)


def _prefix(workspace_id: UUID | str, run_id: UUID | str) -> str:
    return f"runs/{workspace_id}/{run_id}/checkpoints"


def save(workspace_id: UUID | str, run_id: UUID | str, folder: Path) -> int:
    """Put a checkpoint's folder into the storage; the bytes it takes. What is there under its name is written anew.

    Raises:
        AWAY: the storage does not take it.
    """
    storage, size = storages["default"], 0
    for path in sorted(folder.iterdir()):
        name = f"{_prefix(workspace_id, run_id)}/{folder.name}/{path.name}"
        if storage.exists(name):
            storage.delete(name)
        with path.open("rb") as stream:
            storage.save(name, File(stream))
        size += path.stat().st_size
    return size


def load(workspace_id: UUID | str, run_id: UUID | str, content: str, into: Path) -> Path:
    """Fetch a checkpoint into a folder below `into`, which has its name.

    Raises:
        AWAY: the storage cannot be reached. What is not there leaves a folder without it, which no session accepts.
    """
    storage, place = storages["default"], f"{_prefix(workspace_id, run_id)}/{content}"
    folder = into / content
    folder.mkdir(parents=True)
    for name in _files(place):
        with storage.open(f"{place}/{name}") as source, (folder / name).open("wb") as target:
            for chunk in source.chunks():
                target.write(chunk)
    return folder


def _files(place: str) -> list[str]:
    return list(_listed(place)[1])


def _listed(place: str) -> tuple[list[str], list[str]]:
    """Folders and files at a place. What was never there is empty; a folder of files that is away is not."""
    storage = storages["default"]
    try:
        folders, files = storage.listdir(place)
    except FileNotFoundError:
        storage.listdir("")
        return [], []
    return list(folders), list(files)


def delete(workspace_id: UUID | str, run_id: UUID | str, contents: Iterable[str]) -> bool:
    """Delete checkpoints; whether the storage did. One that is away keeps them, and says so in the log."""
    storage = storages["default"]
    for content in contents:
        place = f"{_prefix(workspace_id, run_id)}/{content}"
        try:
            for name in _files(place):
                storage.delete(f"{place}/{name}")
            storage.delete(place)
        except AWAY as error:
            log.warning("checkpoint_not_deleted", place=place, error=str(error))
            return False
    return True


def delete_all(workspace_id: UUID | str, run_id: UUID | str) -> bool:
    """Delete whatever is kept of a run, also what no row names; whether the storage did."""
    try:
        contents = _listed(_prefix(workspace_id, run_id))[0]
    except AWAY as error:
        log.warning("checkpoints_not_deleted", run_id=str(run_id), error=str(error))
        return False
    return delete(workspace_id, run_id, contents)
