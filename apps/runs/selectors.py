"""Reads on runs. Call them inside the workspace's scope, except those that serve the sweeper."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import DurationField, ExpressionWrapper, F, QuerySet, Sum, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Greatest, Least

from apps.runs.models import Reproduction, Run, RunAttempt, RunCheckpoint, RunCommand, RunEvent
from apps.runs.place import Place, starts_in
from apps.runs.states import FINAL, RunState
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Workspace
from apps.workspaces.scope import reading

SESSION_KINDS = (RunEvent.Kind.LOG, RunEvent.Kind.METRIC)
"""What a session tells; the other kinds tell of the run around it."""


def runs() -> QuerySet[Run]:
    """The workspace's runs, newest first, each with its graph version, graph and preset, without the results."""
    return (
        Run.objects.select_related("workspace", "graph_version__graph__preset")
        .defer("result", "manifest", "graph_version__document", "graph_version__graph__preset__document")
        .order_by("-created_at", "-id")
    )


def run(workspace: Workspace, run_id: UUID | str) -> Run:
    """One run with graph version, graph and preset. Raises `NotFound`; opens the workspace's scope itself."""
    return _run(workspace, run_id, _whole)


def shown_run(workspace: Workspace, run_id: UUID | str) -> Run:
    """The same without the manifest, which no answer about the run itself has."""
    return _run(workspace, run_id, lambda: _whole().defer("manifest"))


def run_alone(workspace: Workspace, run_id: UUID | str) -> Run:
    """The same without graph version, graph and preset, and without what may be large: for what is kept beside it."""
    return _run(workspace, run_id, lambda: Run.objects.defer("design", "recording", "result", "manifest"))


def _whole() -> QuerySet[Run]:
    return Run.objects.select_related("graph_version__graph__preset")


def _run(workspace: Workspace, run_id: UUID | str, rows: Callable[[], QuerySet[Run]]) -> Run:
    with reading(workspace.id):
        found = rows().filter(pk=run_id).first()
    if found is None:
        raise NotFound(f"run {run_id}")
    found.workspace = workspace
    return found


def with_graph(workspace: Workspace, run_id: UUID | str) -> Run | None:
    """A run of which only the ids and the graph are read; None when there is none. Opens the scope itself."""
    with reading(workspace.id):
        run = Run.objects.select_related("graph_version").only("id", "workspace_id", "graph_version__document")
        return run.filter(pk=run_id).first()


def events_after(of: Run, seq: int, limit: int | None = None, kinds: Sequence[str] | None = None) -> list[RunEvent]:
    """The run's events with a number above `seq`, of some kinds or of all, in order; at most `limit`."""
    rows = RunEvent.objects.filter(run_id=of.pk, seq__gt=seq).order_by("seq")
    if kinds is not None:
        rows = rows.filter(kind__in=kinds)
    return list(rows if limit is None else rows[:limit])


def reproduction(of: Run) -> Reproduction | None:
    """What a run follows that reproduces another; None for any other run."""
    return Reproduction.objects.filter(run_id=of.pk).first()


def control_log(of: Run) -> list[dict[str, Any]]:
    """What was set and fired while a run went on, with the ticks, as far as it is known now."""
    kept = of.manifest.get("control_log")
    if of.is_final and kept is not None:
        return list(kept)
    return [
        {"tick": one.applied_tick, "target": one.payload["target"], "value": one.payload.get("value", True)}
        for one in controls_from(of, 0)
    ]


def pending_commands(of: Run, after: int) -> list[RunCommand]:
    """The commands with a number above `after` that no worker has answered, in order."""
    return list(RunCommand.objects.filter(run_id=of.pk, seq__gt=after, applied_at=None).order_by("seq"))


def checkpoints(of: Run) -> list[RunCheckpoint]:
    """The checkpoints of a run, furthest first."""
    return list(RunCheckpoint.objects.filter(run_id=of.pk).order_by("-tick", "-created_at"))


def kept_checkpoints(of: Run) -> QuerySet[RunCheckpoint]:
    """The checkpoints of a run, newest first, for lists."""
    return RunCheckpoint.objects.filter(run_id=of.pk).order_by("-created_at", "-id")


def attempts(of: Run) -> QuerySet[RunAttempt]:
    """The attempts at a run, newest first."""
    return RunAttempt.objects.filter(run_id=of.pk).order_by("-number")


def told_from(of: Run, tick: int) -> list[tuple[int | None, Any, Any]]:
    """(tick, node, message) of all that the run's sessions have said from a tick on."""
    told = RunEvent.objects.filter(run_id=of.pk, kind__in=SESSION_KINDS, tick__gte=tick)
    return list(told.order_by("seq").values_list("tick", "payload__node", "payload__message"))


def controls_from(of: Run, tick: int) -> list[RunCommand]:
    """What was set and fired from a tick on, as it was done, in the order in which it was done."""
    done = RunCommand.objects.filter(
        run_id=of.pk, kind__in=(RunCommand.Kind.CONTROL, RunCommand.Kind.TRIGGER),
        applied_tick__gte=tick, refusal__isnull=True,
    )  # fmt: skip
    return list(done.order_by("applied_tick", "seq"))


def finished_with_checkpoints(at_most: int = 100) -> list[tuple[UUID, UUID]]:
    """(workspace, run) of runs that are over and have checkpoints, in any workspace; ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, run_id FROM runs_finished_with_checkpoints(%s)", [at_most])
        return list(cursor.fetchall())


def untidied(late_seconds: float, at_most: int = 20) -> list[tuple[UUID, UUID]]:
    """(workspace, run) of runs that ended so long ago that no checkpoint comes any more, whose checkpoints are not to
    be kept any longer, and of which none was looked for since; in any workspace, ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, run_id FROM runs_untidied(%s, %s)", [late_seconds, at_most])
        return list(cursor.fetchall())


def next_in_queue(at_most: int = 10) -> list[tuple[UUID, UUID]]:
    """(workspace, run) of the queued runs of all workspaces in the order in which workers take them; ids only."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT workspace_id, run_id FROM runs_in_queue() WHERE position > 0 ORDER BY position LIMIT %s", [at_most]
        )
        return list(cursor.fetchall())


def seconds_held(of: Run) -> float:
    """Time for which the attempts at a run that are over have held workers, s."""
    over = RunAttempt.objects.filter(run_id=of.pk, finished_at__isnull=False)
    total: timedelta = over.aggregate(total=Sum(_time(F("started_at")), default=timedelta()))["total"]
    return total.total_seconds()


def month_begins() -> datetime:
    """When the calendar month began in which compute time is counted, UTC."""
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def compute_seconds() -> float:
    """Time for which runs of the workspace in force that are over have held workers since the month began, s.

    Of each run at most its `max_seconds`.
    """
    since = month_begins()
    over = RunAttempt.objects.filter(run__state__in=FINAL, finished_at__gte=since)
    held = Sum(_time(Greatest(F("started_at"), Value(since))))
    # What a process that could not end in time took beyond its limit is not the workspace's to pay.
    most = ExpressionWrapper(F("run__max_seconds") * Value(timedelta(seconds=1)), output_field=DurationField())
    of_runs = over.order_by().values("run_id").annotate(counted=Least(held, most))
    total: timedelta = of_runs.aggregate(total=Sum("counted", default=timedelta()))["total"]
    return total.total_seconds()


def _time(since: Any) -> Combinable:
    return ExpressionWrapper(F("finished_at") - since, output_field=DurationField())


def place_of(of: Run) -> Place | None:
    """Where a queued run stands among the runs of all workspaces; None when it does not wait."""
    if of.state != RunState.QUEUED:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT run_id, position, seconds FROM runs_in_queue() ORDER BY position")
        rows = cursor.fetchall()
    running = [seconds for _, position, seconds in rows if position == 0]
    waiting = [(run_id, seconds) for run_id, position, seconds in rows if position > 0]
    ahead = next((n for n, (run_id, _) in enumerate(waiting) if run_id == of.pk), None)
    if ahead is None:  # a worker has taken it since it was read
        return None
    return Place(ahead + 1, starts_in(running, [seconds for _, seconds in waiting[:ahead]]))


def expired_leases(at_most: int = 100) -> list[tuple[UUID, UUID]]:
    """(workspace, run) of running runs whose worker's lease is over, in any workspace; ids only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, run_id FROM runs_with_expired_lease(%s)", [at_most])
        return list(cursor.fetchall())


def queued_for(seconds: float, at_most: int = 100) -> list[tuple[UUID, UUID]]:
    """(workspace, run) of runs whose message was sent longer ago and that still wait, in any workspace."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workspace_id, run_id FROM runs_queued_for(%s, %s)", [seconds, at_most])
        return list(cursor.fetchall())
