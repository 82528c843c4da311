"""The manifest of a run: everything that is needed to compute it again."""

from __future__ import annotations

from typing import Any

from apps.runs import selectors
from apps.runs.models import Run


def manifest_of(run: Run) -> dict[str, Any]:
    """What a run was or is computed from, with and by, and what was done to it. Call it inside the workspace's scope.

    Graph, seed and length are known from the beginning; tier, device, versions, kinds and weights as soon as a worker
    has prepared it (of a sweep or a fit when it is over); the control log grows until its end.
    """
    version = run.graph_version
    return {
        "run": str(run.pk),
        "kind": run.kind,
        "graph": {"id": str(version.graph_id), "version": version.number, "content_hash": version.content_hash},
        "graph_hash": version.content_hash,
        "seed": run.seed,
        "ticks": run.ticks,
        "design": run.design,
        **run.manifest,
        "control_log": selectors.control_log(run),
        "state": run.state,
        "result_hash": run.result_hash,
        "origin": None if run.origin_id is None else str(run.origin_id),
    }
