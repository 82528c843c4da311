"""What a run would take, before there is one. Importing this module imports torch."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from apps.ops.refusal import Fault, Refusal
from apps.projects.checking import checked
from apps.runs.models import Run
from apps.runs.quotas import Demand, check_request
from apps.runs.states import RunState
from apps.workspaces import plans
from attractor import GraphRejected

RUNS_LOOKED_AT = 20
"""So many of the newest runs tell how fast the next will be."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run of a graph would take.

    Attributes:
        nodes: how many the graph has.
        ticks: length of the run.
        memory_bytes: see `attractor.plan.Estimate`, as `flops_per_tick`.
        flops: of all ticks.
        simulated_s: seconds of model time.
        expected_s: seconds that a worker will need, if it computes as fast as for the median of the workspace's newest
            runs; None where there are none.
    """

    content_hash: str
    nodes: int
    ticks: int
    memory_bytes: int
    flops_per_tick: float
    flops: float
    simulated_s: float
    expected_s: float | None


def checked_estimate(document: Any, ticks: int) -> tuple[Estimate | None, list[Fault]]:
    """What a run of a graph's JSON document would take, and everything for which it would be refused.

    Reads the runs of the workspace in force. None where the graph cannot be run at all.
    """
    try:
        spec, plan = checked(document)
    except GraphRejected as rejected:
        return None, [Fault(one.place, one.message, one.mend) for one in rejected.problems]
    flops = plan.estimate.flops_per_tick * ticks
    speed = usual_speed()
    estimate = Estimate(
        content_hash=spec.content_hash,
        nodes=plan.estimate.nodes,
        ticks=ticks,
        memory_bytes=plan.estimate.memory_bytes,
        flops_per_tick=plan.estimate.flops_per_tick,
        flops=flops,
        simulated_s=ticks / float(plan.clock.rate),
        expected_s=None if speed is None else flops / speed,
    )
    try:
        check_request(0, Demand(ticks, estimate.memory_bytes, flops, plans.quotas().run_seconds))
    except Refusal as refusal:
        return estimate, list(refusal.faults)
    return estimate, []


def usual_speed() -> float | None:
    """Estimated operations a second in the median of the newest runs that came to their end; None without any."""
    ended = Run.objects.filter(state=RunState.SUCCEEDED, finished_at__gt=F("started_at"), flops__gt=0)
    rows = ended.order_by("-finished_at").values_list("flops", "started_at", "finished_at")[:RUNS_LOOKED_AT]
    speeds = [flops / (finished - started).total_seconds() for flops, started, finished in rows if started and finished]
    return statistics.median(speeds) if speeds else None
