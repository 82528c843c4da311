"""Points of sweeps and iterations of fits: what came of each, written under the fence, and read again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.runs.models import Run, RunAttempt, RunEvent, RunPoint
from apps.runs.services import Happening, append_events, held_run
from apps.workspaces.scope import scope


@dataclass(frozen=True, slots=True)
class DonePoint:
    """A point that is done: `error` says why it failed. Numbers that JSON has no form for are None."""

    index: int
    params: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    result_hash: str = ""
    error: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.error is None:
            finite = {name: value if _finite(value) else None for name, value in self.metrics.items()}
            object.__setattr__(self, "metrics", finite)

    @property
    def identity(self) -> str:
        """What the point adds to the hash of the whole."""
        return identity(self.index, self.result_hash, self.error)


def identity(index: int, result_hash: str, error: Mapping[str, Any] | None) -> str:
    """A line that two computations of the same point share."""
    if error is None:
        return f"{index} {result_hash}\n"
    return f"{index} {error['code']} {error['node']} {error['tick']}\n"


def hash_of(identities: Mapping[int, str]) -> str:
    """``sha256:…`` over the points of a sweep or fit in their order, however and by whomever they were computed."""
    digest = hashlib.sha256()
    for index in sorted(identities):
        digest.update(identities[index].encode())
    return "sha256:" + digest.hexdigest()


def record_points(attempt: RunAttempt, done: Sequence[DonePoint], after: int | None = None) -> list[RunEvent]:
    """Write points that are done, with one event that tells them; returns it.

    Args:
        after: as of `record_events`: what was written without the caller hearing of it is not written again.

    Raises:
        Fenced: the attempt does not hold the run any more.
    """
    with scope(attempt.workspace_id):
        run = held_run(attempt)
        if after is not None and run.last_event > after:
            return list(RunEvent.objects.filter(run=run, seq__gt=after).order_by("seq"))
        RunPoint.objects.bulk_create(
            [
                RunPoint(
                    workspace_id=run.workspace_id, run=run, index=one.index, params=dict(one.params), seed=one.seed,
                    state=RunPoint.State.SUCCEEDED if one.error is None else RunPoint.State.FAILED,
                    metrics=dict(one.metrics), result_hash=one.result_hash,
                    error=None if one.error is None else dict(one.error),
                )
                for one in done
            ]
        )  # fmt: skip
        failed = sum(one.error is not None for one in done)
        run.points_failed += failed
        run.points_done += len(done) - failed
        told = {
            "points": [_told(one) for one in done],
            "done": run.points_done, "failed": run.points_failed, "total": run.points_total,
        }  # fmt: skip
        rows = append_events(run, [Happening("points", told)])
        run.save(update_fields=["last_event", "points_done", "points_failed"])
        RunAttempt.objects.filter(pk=attempt.pk).update(reached=run.points_done + run.points_failed)
    return rows


def _told(one: DonePoint) -> dict[str, Any]:
    told: dict[str, Any] = {"index": one.index, "params": dict(one.params), "seed": one.seed}
    if one.error is not None:
        return {**told, "error": dict(one.error)}
    return {**told, "metrics": dict(one.metrics)}


def points(of: Run | UUID | str) -> QuerySet[RunPoint]:
    """The points of a run that are done, in their order. Call it inside the workspace's scope."""
    return RunPoint.objects.filter(run_id=of.pk if isinstance(of, Run) else of).order_by("index")


def identities(of: Run) -> dict[int, str]:
    """The identity of every point that is done, by its number."""
    rows = points(of).values_list("index", "result_hash", "error")
    return {index: identity(index, result_hash, error) for index, result_hash, error in rows}


def carry_over(origin: Run, to: Run) -> int:
    """Give a new run the points of another that succeeded; how many there are."""
    taken = [
        RunPoint(
            workspace_id=to.workspace_id, run=to, index=one.index, state=one.state, params=one.params, seed=one.seed,
            metrics=one.metrics, result_hash=one.result_hash, carried=True, finished_at=one.finished_at,
        )
        for one in points(origin).filter(state=RunPoint.State.SUCCEEDED)
    ]  # fmt: skip
    RunPoint.objects.bulk_create(taken, batch_size=5000)
    return len(taken)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
