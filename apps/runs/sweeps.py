"""Writes on sweeps: a graph at many points as one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from apps.ops.refusal import Fault, Invalid
from apps.projects.models import Graph, GraphVersion
from apps.projects.selectors import latest_version
from apps.runs.models import Run, RunPoint
from apps.runs.points import carry_over, points
from apps.runs.quotas import Demand
from apps.runs.refusals import NothingToRepeat
from apps.runs.services import drawn_seed, enqueue, usual_ticks
from apps.runs.states import FINAL
from apps.workspaces import plans
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import scope

if TYPE_CHECKING:
    from apps.accounts.models import User


def submit_sweep(
    actor: User, workspace: Workspace, graph: Graph, design: Mapping[str, Any], seed: int | None = None,
    ticks: int | None = None, max_seconds: int | None = None,
) -> Run:  # fmt: skip
    """Queue a sweep of the graph's newest version.

    Args:
        design: {axes, sampling, points, metrics} of `SweepDesignSerializer`; without metrics the last value of every
            scalar output is one.
        seed: of all points, unless an axis is the seed, and of what is drawn; drawn when not given.
        ticks: length of every point's run; without one that of a single run.
        max_seconds: time for which the whole sweep may hold workers before it fails; without one `quotas.run_seconds`.

    Raises:
        GraphRejected: the graph, an axis or a metric is not legal; every fault is listed.
        Invalid, QuotaExceeded: nothing was queued; every reason is listed.
        PermissionDenied: the actor may not run graphs here.
    """
    with scope(workspace.id, actor.pk):
        require(actor, Verb.SUBMIT_RUN)
        version = latest_version(graph)
        length = usual_ticks(graph) if ticks is None else ticks
        limit = plans.quotas().run_seconds if max_seconds is None else max_seconds
        return _enqueue(actor, version, graph, dict(design), drawn_seed() if seed is None else seed, length, limit)


def rerun_failed(actor: User, run: Run, max_seconds: int | None = None) -> Run:
    """Queue a sweep of those points of another that failed or were never computed.

    It has the points that succeeded from the beginning, so that in the end it is the whole sweep, with the hash of one
    in which nothing failed.

    Args:
        max_seconds: as of `submit_sweep`; without one that of the other, as far as it is still allowed.

    Raises:
        NothingToRepeat: the run is no sweep, or not over, or all of its points succeeded.
        GraphRejected, Invalid, QuotaExceeded, PermissionDenied: as `submit_sweep`.
    """
    with scope(run.workspace_id, actor.pk):
        require(actor, Verb.SUBMIT_RUN)
        if run.kind != Run.Kind.SWEEP or run.state not in FINAL:
            what = f"a {run.state} sweep" if run.kind == Run.Kind.SWEEP else "no sweep"
            raise NothingToRepeat([Fault("run", f"The run is {what}.", "Repeat points of a sweep that is over.")])
        if run.points_done == run.points_total:
            raise NothingToRepeat([Fault("run", "All points succeeded.", "Submit a new sweep for other points.")])
        version = run.graph_version
        limit = min(run.max_seconds, plans.quotas().run_seconds) if max_seconds is None else max_seconds
        return _enqueue(actor, version, version.graph, dict(run.design or {}), run.seed, run.ticks, limit, origin=run)


def _enqueue(
    actor: User, version: GraphVersion, graph: Graph, document: dict[str, Any], seed: int, ticks: int,
    max_seconds: int, origin: Run | None = None,
) -> Run:  # fmt: skip
    from apps.projects.checking import checked
    from apps.runs.designs import SweepDesign, default_metrics

    most = plans.quotas().points
    # Before anything is made: numbers too large are refused at once.
    if (many := SweepDesign.of({**document, "metrics": []}).count) > most:
        raise Invalid(
            [
                Fault(
                    "axes",
                    f"The sweep would have {many:,} points; {most:,} are allowed.",
                    "Take fewer steps or points, or ask the operator for a higher quotas.points.",
                )
            ]
        )
    if not 1 <= ticks <= plans.quotas().ticks:
        raise Invalid([Fault("ticks", f"{ticks} is out of range.", f"Give 1 to {plans.quotas().ticks}.")])
    spec, plan = checked(version.spec)
    document = {**document, "metrics": document.get("metrics") or default_metrics(plan)}
    design = SweepDesign.of(document)
    all_points = design.all_points(spec, seed)
    done = set()
    if origin is not None:
        done = set(points(origin).filter(state=RunPoint.State.SUCCEEDED).values_list("index", flat=True))
    cost = design.cost(spec, plan, [point for point in all_points if point.index not in done], ticks)
    run = enqueue(
        actor, version, graph.project_id, seed,
        Demand(ticks, cost.memory_bytes, cost.flops, max_seconds),
        kind=Run.Kind.SWEEP, design=document, points_total=len(all_points), points_done=len(done), origin=origin,
    )  # fmt: skip
    if origin is not None:
        carry_over(origin, run)
    return run
