"""Writes on fits: parameters of a graph that make a loss small, found as one run, and put into the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from apps.ops.refusal import Fault, Invalid
from apps.projects.models import Graph, GraphVersion
from apps.projects.selectors import latest_version
from apps.projects.services import add_version
from apps.runs.models import Run
from apps.runs.quotas import Demand
from apps.runs.refusals import GraphChanged, NothingToApply
from apps.runs.services import drawn_seed, enqueue, usual_ticks
from apps.runs.states import RunState
from apps.workspaces import plans
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import scope

if TYPE_CHECKING:
    from apps.accounts.models import User


def submit_fit(
    actor: User, workspace: Workspace, graph: Graph, design: Mapping[str, Any], seed: int | None = None,
    ticks: int | None = None, max_seconds: int | None = None,
) -> Run:  # fmt: skip
    """Queue a fit of the graph's newest version, which begins at its base values.

    Args:
        design: {params, loss, iterations, rate, window} of `FitDesignSerializer`.
        seed: of every evaluation; drawn when not given.
        ticks: length of every evaluation; without one that of a single run.
        max_seconds: time for which the whole fit may hold workers before it fails; without one `quotas.run_seconds`.

    Raises:
        GraphRejected: the graph, a parameter, its bounds or the loss is not legal, or nothing leads from the parameters
            to the loss; every fault is listed.
        Invalid, QuotaExceeded: nothing was queued; every reason is listed.
        PermissionDenied: the actor may not run graphs here.
    """
    from apps.projects.checking import checked
    from apps.runs.designs import FitDesign, default_window, loss_faults
    from attractor import GraphRejected
    from attractor.fitting import bound_faults

    with scope(workspace.id, actor.pk):
        require(actor, Verb.SUBMIT_RUN)
        quotas = plans.quotas()
        length = usual_ticks(graph) if ticks is None else ticks
        faults = []
        if design["iterations"] > quotas.points:
            mend = "Take fewer, or ask the operator for a higher quotas.points."
            faults.append(Fault("iterations", f"At most {quotas.points:,} are allowed.", mend))
        if not 1 <= length <= quotas.ticks:
            faults.append(Fault("ticks", f"{length} is out of range.", f"Give 1 to {quotas.ticks}."))
        if faults:
            raise Invalid(faults)
        version = latest_version(graph)
        _, plan = checked(version.spec)
        document = {**design, "window": design.get("window") or default_window(length)}
        if problems := loss_faults(document["loss"], plan, length):
            raise GraphRejected(problems)
        fit = FitDesign.of(document)
        if problems := bound_faults(plan, fit.params, fit.bounds):
            raise GraphRejected(problems)
        cost = fit.cost(plan, length)
        return enqueue(
            actor, version, graph.project_id, drawn_seed() if seed is None else seed,
            Demand(
                length, cost.memory_bytes, cost.flops, quotas.run_seconds if max_seconds is None else max_seconds
            ),
            kind=Run.Kind.FIT, design=document, points_total=cost.points,
        )  # fmt: skip


def apply_fit(actor: User, run: Run, *, onto_newest: bool = False) -> GraphVersion:
    """Make the fitted values the base values of the graph, in a new version.

    A newest version that has them already is given as it is, so that applying twice does nothing more.

    Args:
        onto_newest: put the values also into a graph that has changed since the fit was submitted.

    Raises:
        NothingToApply: the run is no fit that succeeded.
        GraphChanged: there is a newer version than the fitted one.
        GraphRejected: the newest version does not take the values.
        PermissionDenied: the actor may not write graphs here.
    """
    from attractor import GraphSpec

    with scope(run.workspace_id, actor.pk):
        require(actor, Verb.WRITE_GRAPH)
        if run.kind != Run.Kind.FIT or run.state != RunState.SUCCEEDED or run.result is None:
            what = f"The fit is {run.state}." if run.kind == Run.Kind.FIT else "The run is no fit."
            raise NothingToApply([Fault("run", what, "Apply a fit that succeeded.")])
        values = run.result["fit"]["params"]
        # The lock makes this version and the next one neighbours, whoever saves another at the same moment.
        graph = Graph.objects.select_for_update().get(pk=run.graph_version.graph_id)
        newest = latest_version(graph)
        fitted = GraphSpec.parse(newest.spec).replace(values)
        if newest.content_hash == fitted.content_hash:
            return newest
        if newest.pk != run.graph_version_id and not onto_newest:
            message = f"It is at version {newest.number}; version {run.graph_version.number} was fitted."
            raise GraphChanged([Fault("graph", message, "Apply onto the newest version, or fit that one.")])
        facts = {"run": str(run.pk), "params": values}
        return add_version(actor, run.workspace, graph, fitted.document(), "run.apply", **facts)
