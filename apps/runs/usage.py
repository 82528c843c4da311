"""What a workspace uses of what it may. Call it inside the workspace's scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.db.models import Count, Sum

from apps.runs.artifacts import promised_bytes, stored_bytes
from apps.runs.models import Run
from apps.runs.selectors import compute_seconds
from apps.runs.states import ACTIVE
from apps.workspaces import plans


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is limited.

    Attributes:
        used: in `unit`, as counted where it is refused.
        allowed: the most.
        period: over which time it is counted; `now` for what comes back when a run is over.
    """

    name: str
    unit: str
    used: float
    allowed: float
    period: Literal["now", "month"]


def usage() -> list[Measure]:
    """Every measure of the workspace in force."""
    quotas = plans.quotas()
    used = Run.objects.filter(state__in=ACTIVE).aggregate(
        runs=Count("id"),
        memory=Sum("memory_bytes", default=0),
        flops=Sum("flops", default=0.0),
        seconds=Sum("max_seconds", default=0),
    )
    return [
        Measure("active_runs", "runs", used["runs"], quotas.active_runs, "now"),
        Measure("memory", "bytes", used["memory"], quotas.memory, "now"),
        Measure("flops", "operations", used["flops"], quotas.flops, "now"),
        Measure("compute", "seconds", compute_seconds() + used["seconds"], quotas.compute_seconds, "month"),
        Measure("storage", "bytes", stored_bytes() + promised_bytes(), quotas.storage, "now"),
    ]
