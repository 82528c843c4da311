"""Running a run again from its manifest, to see whether it comes out the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from apps.ops.refusal import Fault, Refusal
from apps.projects.services import refuse_archived
from apps.runs.manifests import manifest_of
from apps.runs.models import Reproduction, Run
from apps.runs.quotas import Demand
from apps.runs.refusals import NotReproducible
from apps.runs.services import enqueue
from apps.runs.states import RunState
from apps.runs.verdicts import Change, changes, prospect_of_trail
from apps.workspaces import plans
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import scope

if TYPE_CHECKING:
    from apps.accounts.models import User

_NOT_YET = {
    RunState.QUEUED: ("The run has not begun.", "Wait until it has succeeded."),
    RunState.RUNNING: ("The run is still under way.", "Wait until it has succeeded."),
    RunState.CANCELLED: (
        "The run was cancelled before its end, so that there is no result to compare with.",
        "Submit its graph again with the same seed and length.",
    ),
    RunState.FAILED: (
        "The run failed before its end, so that there is no result to compare with.",
        "Mend what its error names, and submit its graph again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Prospect:
    """Whether a run can be reproduced here.

    Attributes:
        faults: why it cannot; empty when it can.
        changed: what is not as it was when it ran. It can be reproduced all the same, and may come out differently
            without anything being at fault.
        note: what it cannot be compared by, because the run's trail is gone; empty when it is there.
    """

    faults: tuple[Fault, ...]
    changed: tuple[Change, ...]
    note: str = ""


def prospect(run: Run) -> Prospect:
    """Whether a run can be reproduced with what is installed here. Call it inside the workspace's scope.

    The device is that of the process that asks; a worker on another machine may have another.
    """
    if run.state != RunState.SUCCEEDED:
        return Prospect((Fault("run", *_NOT_YET[RunState(run.state)]),), ())
    manifest = manifest_of(run)
    faults = [*_missing_record(run, manifest), *_refused_graph(run), *_missing_weights(manifest)]
    if faults:
        return Prospect(tuple(faults), ())
    return Prospect((), tuple(changes(manifest, _here(run, manifest))), prospect_of_trail(run))


def reproduce(actor: User, run: Run) -> Run:
    """Queue a run that computes another again: graph version, seed, length, tier and control log are that one's.

    When it has succeeded, it says whether it is equal, or where it first differs.

    Raises:
        NotReproducible: the run did not succeed, or what it was made of is not there any more.
        Invalid, QuotaExceeded: nothing was queued; every reason is listed.
        PermissionDenied: the actor may not run graphs here.
    """
    with scope(run.workspace_id, actor.pk):
        require(actor, Verb.SUBMIT_RUN)
        expected = prospect(run)
        if expected.faults:
            raise NotReproducible(expected.faults)
        # The operator may allow less than then; how long a run may take is nothing of its result.
        seconds = min(run.max_seconds, plans.quotas().run_seconds)
        demand = Demand(run.ticks, run.memory_bytes, run.flops, seconds, run.recording_bytes)
        again = enqueue(
            actor, run.graph_version, run.project_id, run.seed, demand,
            kind=run.kind, design=run.design, points_total=run.points_total, origin=run,
            recording=run.recording,
        )  # fmt: skip
        Reproduction.objects.create(
            workspace_id=run.workspace_id, run=again, manifest=manifest_of(run), expected=run.result_hash
        )
    return again


def _missing_record(run: Run, manifest: dict[str, Any]) -> list[Fault]:
    if run.result_hash and "tier" in manifest and "control_log" in manifest:
        return []
    message = "The run is older than manifests, or its manifest was not kept."
    return [Fault("manifest", message, "Submit its graph again with the same seed and length.")]


def _refused_graph(run: Run) -> list[Fault]:
    """Why its graph cannot be run (any more)."""
    from apps.projects.checking import checked
    from attractor import GraphRejected

    check = partial(checked, run.graph_version.spec)
    try:
        refuse_archived(run.graph_version.graph)
        check()
    except Refusal as refusal:
        return list(refusal.faults)
    except GraphRejected as rejected:
        return [
            Fault(
                f"graph.{one.place}", f"The graph cannot be run here any more: {one.message}",
                "Have the operator install the version of the nodes that the manifest names.",
            )
            for one in rejected.problems
        ]  # fmt: skip
    return []


def _missing_weights(manifest: dict[str, Any]) -> list[Fault]:
    """Weights that the run was made with and that are not here, or are others now."""
    from attractor.errors import MissingWeights
    from models.registry import ZOO, read_card

    faults = []
    for node, facts in manifest.get("weights", {}).items():
        wanted, reference = facts.get("sha256"), facts.get("weights")
        if wanted is None:
            continue
        mend = f"Have the operator put the weights of {reference} back whose SHA-256 is {wanted}."
        entry = ZOO.get(reference)
        if entry is None or not entry.weights().is_file():
            faults.append(Fault(f"weights.{node}", f"The weights of {reference} are gone.", mend))
            continue
        try:
            now = read_card(entry).weights.sha256
        except MissingWeights as missing:
            faults.append(Fault(f"weights.{node}", str(missing), mend))
            continue
        if now != wanted:
            faults.append(Fault(f"weights.{node}", f"The weights of {reference} are others now ({now}).", mend))
    return faults


def _here(run: Run, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the run would be computed with, as far as this process knows."""
    import torch

    from attractor import Registry
    from attractor.result import device_class, versions
    from attractor.tier import Tier
    from attractor.toolchain import missing_compiler

    kinds = Registry.default().kinds()
    tier = manifest["tier"]
    if run.kind == Run.Kind.SINGLE and Tier(tier, "").compiled and missing_compiler("cpu") is not None:
        tier = "kernels" if Tier(tier, "").kernels else "eager"
    return {
        "tier": tier,
        "device": device_class(torch.device("cpu")),
        "versions": versions(),
        "kinds": {name: kinds[name].version for name in manifest.get("kinds", {}) if name in kinds},
    }
