"""What a workspace may use, checked before a run is queued."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Sum

from apps.ops.refusal import Fault, Invalid
from apps.runs.artifacts import promised_bytes, stored_bytes
from apps.runs.models import Run
from apps.runs.refusals import QuotaExceeded
from apps.runs.selectors import compute_seconds
from apps.runs.states import ACTIVE
from apps.workspaces import alerts, plans
from apps.workspaces.models import Workspace

MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Demand:
    """What one run would take: ticks, estimated bytes of memory, estimated floating-point operations, the seconds
    for which it may hold a worker at most, and the bytes that it may record."""

    ticks: int
    memory_bytes: int
    flops: float
    seconds: int
    storage_bytes: int = 0


def check_request(seed: int, demand: Demand) -> None:
    """Refuse what could never run here. Raises `Invalid` with every reason."""
    quotas = plans.quotas()
    faults = []
    if not 0 <= seed <= MAX_SEED:
        faults.append(Fault("seed", f"{seed} is out of range.", f"Give a whole number from 0 to {MAX_SEED}."))
    if not 1 <= demand.ticks <= quotas.ticks:
        faults.append(Fault("ticks", f"{demand.ticks} is out of range.", f"Give 1 to {quotas.ticks} ticks."))
    if not 1 <= demand.seconds <= quotas.run_seconds:
        faults.append(
            Fault(
                "max_seconds", f"{demand.seconds} is out of range.", f"Give 1 to {quotas.run_seconds} seconds, or none."
            )
        )
    if demand.memory_bytes > quotas.memory:
        faults.append(
            Fault(
                "graph",
                f"The run would need about {demand.memory_bytes:.3g} bytes of memory; {quotas.memory:.3g} are allowed.",
                "Make the nodes smaller, or ask the operator for a higher quotas.memory.",
            )
        )
    if demand.flops > quotas.flops:
        faults.append(
            Fault(
                "ticks",
                f"The run would take about {demand.flops:.3g} floating-point operations; "
                f"{quotas.flops:.3g} are allowed.",
                "Run fewer ticks or smaller nodes, or ask the operator for a higher quotas.flops.",
            )
        )
    if demand.storage_bytes > quotas.recording:
        faults.append(
            Fault(
                "record",
                f"The run would record up to {demand.storage_bytes:.3g} bytes; {quotas.recording:.3g} are allowed.",
                "Record fewer ports, or more rarely (every), or ask the operator for a higher quotas.recording.",
            )
        )
    if faults:
        raise Invalid(faults)


def admit(workspace_id: UUID, demand: Demand) -> None:
    """Refuse a run that would take the workspace over its quota. Raises `QuotaExceeded`.

    Each active run is counted with all the time that it may take: the month's compute time can never be exceeded.
    Holds the workspace's row until the transaction ends, so that two submissions at once are counted one after
    the other.
    """
    quotas = plans.quotas()
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
    used = Run.objects.filter(state__in=ACTIVE).aggregate(
        runs=Count("id"),
        memory=Sum("memory_bytes", default=0),
        flops=Sum("flops", default=0.0),
        seconds=Sum("max_seconds", default=0),
    )
    wait = "Wait until a run is over, or cancel one."
    faults = []
    if used["runs"] + 1 > quotas.active_runs:
        faults.append(
            Fault("runs", f"{used['runs']} runs are queued or running; {quotas.active_runs} are allowed.", wait)
        )
    if used["memory"] + demand.memory_bytes > quotas.memory:
        faults.append(
            Fault("memory", f"Together the active runs would need more than {quotas.memory:.3g} bytes.", wait)
        )
    if used["flops"] + demand.flops > quotas.flops:
        faults.append(
            Fault("flops", f"Together the active runs would take more than {quotas.flops:.3g} operations.", wait)
        )
    if demand.storage_bytes:
        faults += storage_faults(demand.storage_bytes)
    spent = compute_seconds()
    if spent + used["seconds"] + demand.seconds > quotas.compute_seconds:
        faults.append(
            Fault(
                "max_seconds",
                f"This month's runs have taken {spent:.0f} s, those that are queued or running may take "
                f"{used['seconds']} s, and this one {demand.seconds} s; {quotas.compute_seconds} s are allowed.",
                "Give it a lower max_seconds, wait for the next month, or ask the operator for a higher "
                "quotas.compute_seconds.",
            )
        )
    if faults:
        raise QuotaExceeded(faults)
    alerts.note("compute", spent + used["seconds"] + demand.seconds, quotas.compute_seconds)


def storage_faults(more: int) -> list[Fault]:
    """Why the workspace in force may not store so many bytes more, as far as it may not.

    What active runs and exports may still write counts as written. The caller holds the workspace's row.
    """
    allowed = plans.quotas().storage
    taken, promised = stored_bytes(), promised_bytes()
    if taken + promised + more <= allowed:
        alerts.note("storage", taken + promised + more, allowed)
        return []
    return [
        Fault(
            "storage",
            f"Artifacts and trails take {taken:.3g} bytes, active runs and exports may write {promised:.3g}, and this "
            f"one {more:.3g}; {allowed:.3g} are allowed.",
            "Delete artifacts, have what runs left kept for fewer days, record less, or ask the operator for a higher "
            "quotas.storage.",
        )
    ]
