"""Imports: tables and arrays that somebody brings, checked and kept as artifacts, as they came."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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

log = structlog.get_logger(__name__)


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
    actor: User, workspace: Workspace, path: Path, name: str, expected: Sequence[Mapping[str, Any]] = ()
) -> Artifact:
    """Check a file and keep it as an artifact. Nothing in it is ever unpickled.

    Args:
        name: of the artifact; its suffix says the format.
        expected: [{name, unit, kind, nan, min, max}] of columns that it must have.

    Raises:
        NotImported: the file has faults; every one is listed, with row and column.
        QuotaExceeded, PermissionDenied: as `may_import`.
        files.AWAY: the storage does not take it.
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
    artifacts.upload(workspace.id, path, content)
    with scope(workspace.id, actor.pk):
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        if over := storage_faults(size):
            raise QuotaExceeded(over)
        made = artifacts.keep(
            path, content, kind=Artifact.Kind.IMPORT, run=None, name=name, media_type=known.media_type,
            facts={"format": known.name, "columns": report["columns"]}, lineage={}, created_by=actor,
        )  # fmt: skip
        audit(actor, "artifact.import", made, name=name, size=size, content=content)
    return made


def _checked(path: Path, name: str, expected: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the check says. Archives are judged here, at once; all else in a process of its own, which may die of it."""
    from attractor.importing.archive import judge
    from attractor.importing.report import Report

    if name.lower().endswith(".npz"):
        report = Report()
        if not judge(path, report):
            return {"columns": [], "total": report.total, "problems": [one.as_dict() for one in report.problems]}
    job = {"path": str(path), "name": name, "expected": list(expected), "memory": MEMORY, "seconds": SECONDS}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "attractor.importing"], input=json.dumps(job).encode(), capture_output=True,
            timeout=SECONDS, check=True,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        log.warning("import_check_died", error=str(error), said=str(error.stderr or b"")[-2000:])
        what = "takes too long" if isinstance(error, subprocess.TimeoutExpired) else "broke the program that reads it"
        fault = {"place": "file", "message": f"{what.capitalize()}.", "mend": "Write it anew, smaller, or as CSV."}
        return {"columns": [], "total": 1, "problems": [fault]}
    said: dict[str, Any] = json.loads(ended.stdout)
    return said
