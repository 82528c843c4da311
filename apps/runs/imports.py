"""Imports: tables and arrays that somebody brings, checked and kept as artifacts, as they came."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from apps.ops.refusal import Fault
from apps.runs import artifacts, files
from apps.runs.models import Artifact
from apps.runs.quotas import storage_faults
from apps.runs.refusals import NotImported, QuotaExceeded
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

MEMORY: Final = 2**31
"""Bytes that the check of a file may take."""
SECONDS: Final = 120
AT_ONCE: Final = 2
"""Checks that one process of the web server has under way; each may take MEMORY."""
WAIT_SECONDS: Final = 10.0
_checks: Final = threading.BoundedSemaphore(AT_ONCE)

log = structlog.get_logger(__name__)


class StorageAway(Exception):
    """The storage does not take the file."""


class Busy(Exception):
    """As many files are being checked as may be at once."""


def may_import(actor: User, workspace: Workspace, size: int) -> None:
    """Refuse before anything of the file is written.

    Raises:
        PermissionDenied: the actor may not make artifacts here.
        QuotaExceeded: the workspace's storage has no room for so many bytes.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.WRITE_ARTIFACT)
        if faults := storage_faults(size):
            raise QuotaExceeded(faults)


def import_file(
    actor: User, workspace: Workspace, path: Path, name: str, expected: Sequence[Mapping[str, Any]],
    once: Callable[[str, Callable[[], UUID]], UUID],
) -> UUID:  # fmt: skip
    """Check a file and keep it as an artifact. Nothing in it is ever unpickled.

    Args:
        name: of the artifact; its suffix says the format.
        expected: [{name, unit, kind, nan, min, max}] of columns that it must have.
        once: given the file's SHA-256 and what makes the artifact, calls it, or says what it made before.

    Returns:
        the artifact's id.

    Raises:
        NotImported: the file has faults; every one is listed, with row and column.
        QuotaExceeded, PermissionDenied: as `may_import`.
        StorageAway: the storage does not take it.
        Busy: too many files are being checked.
    """
    from attractor.importing.check import format_of

    may_import(actor, workspace, path.stat().st_size)
    report = _checked(path, name, expected)
    if report["problems"]:
        faults = [Fault(one["place"], one["message"], one["mend"]) for one in report["problems"]]
        raise NotImported(faults, {"total": report["total"]})
    known = format_of(name)
    assert known is not None
    content, size = files.hash_of(path), path.stat().st_size

    def kept() -> UUID:
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        if over := storage_faults(size):
            raise QuotaExceeded(over)
        made = artifacts.keep(
            path, content, kind=Artifact.Kind.IMPORT, run=None, name=name, media_type=known.media_type,
            facts={"format": known.name, "columns": report["columns"]}, lineage={}, created_by=actor,
        )  # fmt: skip
        audit(actor, "artifact.import", made, name=name, size=size, content=content)
        return made.pk

    try:
        artifacts.upload(workspace.id, path, content)
        with scope(workspace.id, actor.pk):
            return once(content, kept)
    except files.AWAY as away:
        raise StorageAway(str(away)) from away


def _checked(path: Path, name: str, expected: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the check says. Archives are judged here, at once; all else in a process of its own, which may die of it."""
    from attractor.importing.archive import judge
    from attractor.importing.report import Report

    if name.lower().endswith(".npz"):
        report = Report()
        if not judge(path, report):
            return {"columns": [], "total": report.total, "problems": [one.as_dict() for one in report.problems]}
    if not _checks.acquire(timeout=WAIT_SECONDS):
        raise Busy
    try:
        return _checked_aside(path, name, expected)
    finally:
        _checks.release()


def _checked_aside(path: Path, name: str, expected: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    job = {"path": str(path), "name": name, "expected": list(expected), "memory": MEMORY, "seconds": SECONDS}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "attractor.importing"], input=json.dumps(job).encode(), capture_output=True,
            timeout=SECONDS, check=True, env=_environment(),
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        log.warning("import_check_died", error=str(error), said=str(error.stderr or b"")[-2000:])
        what = "takes too long" if isinstance(error, subprocess.TimeoutExpired) else "broke the program that reads it"
        fault = {"place": "file", "message": f"{what.capitalize()}.", "mend": "Write it anew, smaller, or as CSV."}
        return {"columns": [], "total": 1, "problems": [fault]}
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


def _environment() -> dict[str, str]:
    """What the process needs to begin. It reads what a stranger wrote: no secret is in it."""
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
