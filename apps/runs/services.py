"""Writes on runs.

Those for people (`submit`, `command`, `cancel_many`) check permission and leave an audit event. Those for workers
(`claim`, `renew`, `record_events`, `record_progress`, `record_checkpoint`, `apply_command`, `hand_over`, `finish`) name
their attempt and raise `Fenced` when it does not hold the run any more, so a worker that comes back from the dead
writes nothing. Those for the sweeper are `hand_over_lost`, `resend`, `forget_checkpoints` and
`note_tidied`.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.expressions import Combinable
from django.db.models.functions import Greatest, Least, Now
from django.utils import timezone

from apps.accounts import acting
from apps.console import flags
from apps.ops.refusal import Fault, Invalid
from apps.projects.models import Graph, GraphVersion
from apps.projects.selectors import latest_version
from apps.projects.services import refuse_archived
from apps.runs import queue, selectors
from apps.runs.failure import Failure, out_of_time, worker_lost
from apps.runs.models import Reproduction, Run, RunAttempt, RunCheckpoint, RunCommand, RunEvent
from apps.runs.quotas import Demand, admit, check_request
from apps.runs.refusals import Fenced, NotClaimable, RunIsOver
from apps.runs.states import ACTIVE, FINAL, AttemptState, RunState
from apps.runs.trails import keep_trail
from apps.runs.transitions import Cancel, Fail, HandOver, Start, Succeed, Transition
from apps.runs.verdicts import KeptTrail, conclude
from apps.webhooks.services import announce
from apps.workspaces import plans
from apps.workspaces.missing import NotFound
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Verb, require
from apps.workspaces.scope import current_workspace_id, scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User

DEFAULT_TICKS = 1000
SEEDS_DRAWN_BELOW = 2**32


@dataclass(frozen=True)
class Happening:
    """An event before it has a number. `payload` must be JSON; `tick` is None outside the run's clock."""

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    tick: int | None = None
    at: datetime | None = None


# --- For people ---------------------------------------------------------------------------------------------------


def submit(
    actor: "User",
    workspace: Workspace,
    graph: Graph,
    seed: int | None = None,
    ticks: int | None = None,
    max_seconds: int | None = None,
    record: Sequence[Mapping[str, Any]] | None = None,
) -> Run:
    """Queue a run of the graph's newest version.

    Args:
        seed: 0 … 2^63 - 1; drawn when not given.
        ticks: length; without one what the preset is meant to last, else 1000.
        max_seconds: time for which it may hold workers before it fails; without one `quotas.run_seconds`.
        record: [{node, port, every}] of what it records; without one metrics and what views show, see `recordings`.

    Returns:
        The queued run. Once the outermost transaction has been committed its `warnings` say so if the broker
        did not take the message; the sweeper then sends it again.

    Raises:
        GraphRejected: the engine does not accept the graph (any more).
        Archived: the graph or its project is.
        Invalid, QuotaExceeded: nothing was queued; every reason is listed.
        PermissionDenied: the actor may not run graphs here.
    """
    from apps.projects.checking import checked
    from apps.runs.recordings import designed

    with scope(workspace.id, actor.pk):
        require(actor, Verb.SUBMIT_RUN)
        refuse_archived(graph)
        version = latest_version(graph)
        _, plan = checked(version.spec)
        length = usual_ticks(graph) if ticks is None else ticks
        limit = plans.quotas().run_seconds if max_seconds is None else max_seconds
        recording, storage = designed(plan, max(1, length), record)
        demand = Demand(length, plan.estimate.memory_bytes, plan.estimate.flops_per_tick * length, limit, storage)
        run = enqueue(
            actor, version, graph.project_id, drawn_seed() if seed is None else seed, demand, recording=recording
        )
    return run


def enqueue(
    actor: "User", version: GraphVersion, project_id: UUID, seed: int, demand: Demand, **fields: Any
) -> Run:  # fmt: skip
    """Queue a run of any kind, inside the scope and after the permission check of whoever asks for it.

    Args:
        fields: of the row, beside those of every run.

    Raises:
        Invalid, QuotaExceeded: nothing was queued; every reason is listed.
        SwitchedOff: operators let nothing be queued at present.
    """
    flags.demand(flags.SUBMIT_RUNS, version.workspace_id)
    check_request(seed, demand)
    admit(version.workspace_id, demand)
    run = Run.objects.create(
        workspace_id=version.workspace_id, project_id=project_id, graph_version=version, seed=seed,
        ticks=demand.ticks, memory_bytes=demand.memory_bytes, flops=demand.flops, max_seconds=demand.seconds,
        recording_bytes=demand.storage_bytes, created_by=actor, **fields,
    )  # fmt: skip
    append_events(run, [Happening("status", {"state": RunState.QUEUED})])
    run.save(update_fields=["last_event"])
    audit(
        actor, "run.submit", run, kind=run.kind, seed=seed, ticks=demand.ticks, content_hash=version.content_hash
    )  # fmt: skip
    transaction.on_commit(lambda: _send(run))
    return run


def usual_ticks(graph: Graph) -> int:
    """Length of a run of this graph for which none is given."""
    if graph.preset is None:
        return DEFAULT_TICKS
    return int(graph.preset.document.get("limits", {}).get("ticks", DEFAULT_TICKS))


def drawn_seed() -> int:
    """The seed of a run for which none is given."""
    return secrets.randbelow(SEEDS_DRAWN_BELOW)


def _send(run: Run) -> None:
    if not queue.send(run.workspace_id, run.pk):
        run.warnings.append(queue.BROKER_AWAY)


def command(actor: "User", run: Run, kind: str, payload: Mapping[str, Any] | None = None) -> RunCommand:
    """Tell a run something: cancel, pause, resume, control {"target", "value"} or trigger {"target"}.

    A queued run is cancelled at once; anything else waits in a row for the worker.

    Raises:
        ControlRejected: the graph has no such live parameter or trigger, or the value is not legal.
        RunIsOver: the run is final.
        PermissionDenied: the actor may not control runs here.
        WhileImpersonating: an operator acts in the actor's name, and to cancel cannot be taken back.
    """
    kind = RunCommand.Kind(kind)
    with scope(run.workspace_id, actor.pk):
        require(actor, Verb.CONTROL_RUN)
        if kind is RunCommand.Kind.CANCEL:
            acting.refuse()
        told = _checked_payload(run, kind, dict(payload or {}))
        held = _locked(run.pk)
        if held.is_final:
            raise RunIsOver([Fault("run", f"The run is {held.state} and takes no command.", "Submit a new run.")])
        row = _tell(actor, held, kind, told)
        audit(actor, f"run.{kind}", held, **told)
    return row


def _tell(actor: "User", held: Run, kind: RunCommand.Kind, told: dict[str, Any]) -> RunCommand:
    held.last_command += 1
    row = RunCommand(
        workspace_id=held.workspace_id, run=held, seq=held.last_command, kind=kind, payload=told, created_by=actor
    )
    if kind is RunCommand.Kind.CANCEL and held.state == RunState.QUEUED:
        row.applied_at = timezone.now()
        _take(held, Cancel())
    row.save(force_insert=True)
    held.save()
    return row


def cancel_one(actor: "User", run_id: UUID) -> Run:
    """Cancel one run of the workspace in force, like `cancel_all`. Raises `RunIsOver`, `NotFound`."""
    held = _locked(run_id)
    if held.is_final:
        raise RunIsOver([Fault("run", f"The run is {held.state} and takes no command.", "There is nothing to cancel.")])
    _tell(actor, held, RunCommand.Kind.CANCEL, {})
    return held


def cancel_all(actor: "User") -> None:
    """Cancel every active run of the workspace in force, inside the transaction and with the permission and the audit
    event of whoever has a reason to."""
    active = Run.objects.filter(state__in=ACTIVE).order_by("id").values_list("pk", flat=True)
    for run_id in list(active):
        run = _locked(run_id)
        if not run.is_final:
            _tell(actor, run, RunCommand.Kind.CANCEL, {})


def cancel_many(actor: "User", workspace: Workspace, run_ids: Iterable[UUID]) -> tuple[list[UUID], list[UUID]]:
    """Cancel several runs, all or none.

    Returns:
        those that are told to stop, and those that were over already.

    Raises:
        NotFound: one of them is not there; nothing was cancelled.
        PermissionDenied: the actor may not control runs here.
        WhileImpersonating: as `command`.
    """
    told, over = [], []
    with scope(workspace.id, actor.pk):
        require(actor, Verb.CONTROL_RUN)
        acting.refuse()
        # In one order for everybody: two who cancel the same runs wait for each other once.
        for run_id in sorted(set(run_ids)):
            run = _locked(run_id)
            if run.is_final:
                over.append(run_id)
            else:
                command(actor, run, RunCommand.Kind.CANCEL)
                told.append(run_id)
    return told, over


def _checked_payload(run: Run, kind: RunCommand.Kind, payload: dict[str, Any]) -> dict[str, Any]:
    if kind in {RunCommand.Kind.CONTROL, RunCommand.Kind.TRIGGER} and run.kind != Run.Kind.SINGLE:
        message = f"A {run.kind} computes what its design says and takes no live {kind}."
        raise Invalid([Fault(payload["target"], message, "Run the graph alone to control it live.")])
    if kind in {RunCommand.Kind.CONTROL, RunCommand.Kind.TRIGGER} and Reproduction.objects.filter(run=run).exists():
        message = f"A run that reproduces another does what was done to that one and takes no live {kind}."
        raise Invalid([Fault(payload["target"], message, "Run the graph itself to control it live.")])
    if kind is RunCommand.Kind.CONTROL:
        from apps.runs.control import check_control

        value = check_control(run.graph_version.spec, payload["target"], payload["value"])
        return {"target": payload["target"], "value": value}
    if kind is RunCommand.Kind.TRIGGER:
        from apps.runs.control import check_trigger

        check_trigger(run.graph_version.spec, payload["target"])
        return {"target": payload["target"]}
    return {}


# --- For workers --------------------------------------------------------------------------------------------------


def claim(run_id: UUID | str, worker: str) -> RunAttempt:
    """Take a queued run of the workspace in force; `worker` names the process for people.

    Raises:
        NotClaimable: it is not waiting, because another worker has it or it is over.
        NotFound: there is no such run.
    """
    with scope(current_workspace_id()):
        run = _locked(run_id)
        if run.state != RunState.QUEUED:
            raise NotClaimable(f"Run {run_id} is {run.state}, not queued.")
        _take(run, Start())
        run.save()
        attempt = RunAttempt.objects.create(
            workspace_id=run.workspace_id, run=run, number=run.fence, worker=worker,
            heartbeat_at=Now(), lease_expires_at=Now() + _lease(),
        )  # fmt: skip
        attempt.refresh_from_db()
        attempt.run = run  # the worker needs it, and has no scope to fetch it in
        audit(None, "run.claim", run, attempt=run.fence, worker=worker)
    return attempt


def _lease() -> timedelta:
    return timedelta(seconds=settings.ATTRACTOR.runs.lease)


def renew(attempt: RunAttempt) -> None:
    """Extend the lease by `runs.lease` seconds of the database's clock. Raises `Fenced`."""
    with scope(attempt.workspace_id):
        holding = Run.objects.filter(pk=OuterRef("run_id"), fence=attempt.number, state=RunState.RUNNING)
        renewed = RunAttempt.objects.filter(Exists(holding), pk=attempt.pk, state=AttemptState.RUNNING).update(
            heartbeat_at=Now(), lease_expires_at=Now() + _lease()
        )
    if not renewed:
        raise _fenced(attempt)


def record_manifest(attempt: RunAttempt, manifest: Mapping[str, Any]) -> None:
    """Note what an attempt computes the run with, as soon as that is known. Raises `Fenced`.

    What is done to the run from then on is in its commands; the control log is in the manifest of its end.
    """
    with scope(attempt.workspace_id):
        run = held_run(attempt)
        run.manifest = {name: value for name, value in manifest.items() if name != "control_log"}
        run.save(update_fields=["manifest"])


def record_progress(
    attempt: RunAttempt,
    tick: int,
    progress: float,
    eta_s: float | None = None,
    ticks_per_s: float | None = None,
) -> None:
    """Note how far the run is. Raises `Fenced`."""
    with scope(attempt.workspace_id):
        noted = Run.objects.filter(pk=attempt.run_id, fence=attempt.number, state=RunState.RUNNING).update(
            tick=tick, progress=progress, eta_s=eta_s, ticks_per_s=ticks_per_s
        )
    if not noted:
        raise _fenced(attempt)


def record_events(attempt: RunAttempt, events: Iterable[Happening], after: int | None = None) -> list[RunEvent]:
    """Append events, numbered on from the last; returns them.

    Args:
        after: the number of the last event as the caller knows it. A run that has events after it has these already:
            the caller did not hear that they were written, and is given them.

    Raises:
        Fenced: the attempt does not hold the run any more.
    """
    with scope(attempt.workspace_id):
        run = held_run(attempt)
        if after is not None and run.last_event > after:
            return list(RunEvent.objects.filter(run=run, seq__gt=after).order_by("seq"))
        rows = append_events(run, events)
        run.save(update_fields=["last_event"])
    return rows


def apply_command(attempt: RunAttempt, seq: int, tick: int, refusal: Mapping[str, str] | None = None) -> RunEvent:
    """Note that the run has done command number `seq` at a tick, or why it did not; says so in an event.

    Args:
        refusal: {place, message, mend} when the session would not do it.

    Raises:
        Fenced: the attempt does not hold the run any more.
        NotFound: the run has no such unanswered command.
    """
    with scope(attempt.workspace_id):
        run = held_run(attempt)
        row = RunCommand.objects.select_for_update().filter(run_id=run.pk, seq=seq, applied_at=None).first()
        if row is None:
            raise NotFound(f"unanswered command {seq} of run {run.pk}")
        told = _answered(row, tick, refusal)
        if refusal is None and row.kind in {RunCommand.Kind.PAUSE, RunCommand.Kind.RESUME}:
            run.paused = row.kind == RunCommand.Kind.PAUSE
        (event,) = append_events(run, [told])
        run.save(update_fields=["last_event", "paused"])
    return event


def finish(
    attempt: RunAttempt,
    state: str,
    *,
    tick: int | None = None,
    result: Mapping[str, Any] | None = None,
    result_hash: str = "",
    error: Failure | None = None,
    manifest: Mapping[str, Any] | None = None,
    events: Iterable[Happening] = (),
    waited: float = 0.0,
    trail: KeptTrail | None = None,
) -> Run:
    """End the run: succeeded (with its result), failed (with its error) or cancelled.

    Args:
        tick: ticks computed in all, as far as the caller knows: the clock of a run never goes back.
        manifest: without one that of the beginning stays.
        events: what is still to be told before the end.
        waited: seconds since the attempt had come to its end, which could not be written; they are not counted.
        trail: of a run that succeeded. With it one that reproduces another is compared.

    Raises:
        Fenced: the attempt does not hold the run any more; nothing was written.
        ValueError: an error without failure, or a failure without error.
    """
    final = RunState(state)
    if (error is not None) != (final is RunState.FAILED):
        raise ValueError("A failed run has an error, and no other run has one.")
    with scope(attempt.workspace_id):
        run = held_run(attempt)
        append_events(run, events)
        run.tick = max(run.tick, tick or 0)
        if error is not None and error.tick is not None and error.node is None:
            error = replace(error, tick=max(error.tick, run.tick))
        run.result = None if result is None else dict(result)
        run.result_hash = result_hash
        run.manifest = run.manifest if manifest is None else dict(manifest)
        if final is RunState.SUCCEEDED:
            said = (keep_trail(run, trail), conclude(run, trail))
            append_events(run, [Happening("log", payload, run.tick) for payload in said if payload is not None])
        _take(run, _END[final]() if error is None else Fail(error))
        run.save()
        _end_attempt(attempt.pk, AttemptState(final.value), Now() - timedelta(seconds=waited))
        audit(None, f"run.{final}", run, attempt=attempt.number, result_hash=result_hash)
    return run


_END: Mapping[RunState, type[Transition]] = {RunState.SUCCEEDED: Succeed, RunState.CANCELLED: Cancel}


def record_checkpoint(attempt: RunAttempt, content: str, tick: int, size: int) -> list[str]:
    """Note that a checkpoint of the run is in the object storage, and drop the oldest past `runs.checkpoints`.

    Args:
        content: its hash, see `checkpoints`.
        tick: of the session.
        size: bytes.

    Returns:
        the hashes of checkpoints that no row names any more.

    Raises:
        Fenced: the attempt does not hold the run any more.
    """
    with scope(attempt.workspace_id):
        run = held_run(attempt)
        RunCheckpoint.objects.update_or_create(
            run=run, content=content,
            defaults={"workspace_id": run.workspace_id, "attempt": attempt.number, "tick": tick, "size": size},
        )  # fmt: skip
        kept = settings.ATTRACTOR.runs.checkpoints
        RunAttempt.objects.filter(pk=attempt.pk).update(reached=tick)
        dropped = list(RunCheckpoint.objects.filter(run=run).order_by("-created_at", "-tick")[kept:])
        RunCheckpoint.objects.filter(pk__in=[row.pk for row in dropped]).delete()
    return [row.content for row in dropped]


def hand_over(attempt: RunAttempt, why: Failure, *, counts: bool = True, at_once: bool = True) -> Run:
    """Give the run back to the queue, for the next worker to go on from its last checkpoint.

    A run that somebody has cancelled is cancelled. One that has held workers for as long as it may is failed, and so is
    one of which `runs.attempts` attempts have died since the last that made a checkpoint: whatever kills them would
    kill the next.

    Args:
        why: what happened to this attempt; the run's error if it is the last.
        counts: whether it may have been the run's fault (not so when its worker is told to stop).
        at_once: whether the next attempt may begin now; else the sweeper sends the run's message after a while.

    Raises:
        Fenced: the attempt does not hold the run any more.
    """
    with scope(attempt.workspace_id):
        run = held_run(attempt)
        _let_go(run, attempt, why, AttemptState.LOST if counts else AttemptState.RELEASED, at_once=at_once)
    return run


def _let_go(run: Run, attempt: RunAttempt, why: Failure, state: AttemptState, *, at_once: bool) -> None:
    """End a locked run's attempt, which must be its newest, without the run having come to its end."""
    # Nobody has worked on it since the lease ran out, however late that is found.
    _end_attempt(attempt.pk, state, Least(Now(), F("lease_expires_at")))
    # Also one that the attempt has answered: it did not live to write the end.
    cancels = RunCommand.objects.filter(run=run, kind=RunCommand.Kind.CANCEL)
    lost = _lost_in_vain(run)
    if cancels.exists():
        cancels.filter(applied_at=None).update(applied_at=Now(), applied_tick=run.tick)
        _take(run, Cancel())
    elif selectors.seconds_held(run) >= run.max_seconds:
        _take(run, Fail(out_of_time(run.max_seconds, run.tick)))
    elif state is AttemptState.LOST and lost >= settings.ATTRACTOR.runs.attempts:
        _take(run, Fail(why))
    else:
        _take(run, HandOver(_kept_ticks(run), why.message))
        if at_once and lost <= 1:
            transaction.on_commit(partial(queue.send, run.workspace_id, run.pk))
    run.save()
    audit(None, "run.hand_over", run, attempt=attempt.number, worker=attempt.worker, why=why.code, state=run.state)


def _kept_ticks(run: Run) -> int:
    """Up to where the next attempt need not compute again."""
    if run.points_total is not None:
        return run.ticks * (run.points_done + run.points_failed) // run.points_total
    newest = RunCheckpoint.objects.filter(run=run).order_by("-tick").first()
    return newest.tick if newest else 0


def _lost_in_vain(run: Run) -> int:
    """How many attempts at a run have died since the last that made a checkpoint."""
    attempts = RunAttempt.objects.filter(run=run)
    made = attempts.filter(reached__isnull=False).order_by("-number").values_list("number", flat=True).first() or 0
    return attempts.filter(state=AttemptState.LOST, number__gt=made).count()


# --- For the sweeper ----------------------------------------------------------------------------------------------


def hand_over_lost(run_id: UUID | str) -> bool:
    """Hand a run of the workspace in force over if its worker's lease is over; whether it was."""
    with scope(current_workspace_id()):
        run = _locked(run_id)
        lost = RunAttempt.objects.select_for_update().filter(
            run_id=run.pk, number=run.fence, state=AttemptState.RUNNING, lease_expires_at__lt=Now()
        )
        attempt = lost.first()
        if run.state != RunState.RUNNING or attempt is None:
            return False
        _let_go(run, attempt, worker_lost(run.tick), AttemptState.LOST, at_once=True)
    return True


def forget_checkpoints(run_id: UUID | str) -> int:
    """Drop the rows of the checkpoints of a run of the workspace in force that is over; how many there were."""
    with scope(current_workspace_id()):
        return RunCheckpoint.objects.filter(run_id=run_id, run__state__in=FINAL).delete()[0]


def note_tidied(run_id: UUID | str) -> None:
    """Note that no file of a checkpoint is left of a run of the workspace in force that is over."""
    with scope(current_workspace_id()):
        RunAttempt.objects.filter(run_id=run_id, run__state__in=FINAL).update(tidied=True)


def resend(run_id: UUID | str) -> bool:
    """Send the message of a run of the workspace in force again if it is still queued; whether it was."""
    with scope(current_workspace_id()):
        workspace_id = current_workspace_id()
        waiting = Run.objects.filter(pk=run_id, state=RunState.QUEUED).update(queued_at=Now())
        if waiting:
            transaction.on_commit(partial(queue.send, workspace_id, UUID(str(run_id))))
    return bool(waiting)


# --- Shared -------------------------------------------------------------------------------------------------------


def _locked(run_id: UUID | str) -> Run:
    """The run with its row held until the transaction ends: numbers of events and commands are given under it."""
    run = Run.objects.select_for_update(no_key=True).filter(pk=run_id).first()
    if run is None:
        raise NotFound(f"run {run_id}")
    return run


def held_run(attempt: RunAttempt) -> Run:
    """The attempt's run, locked. Raises `Fenced` unless the attempt is the newest and the run goes on."""
    run = (
        Run.objects.select_for_update(no_key=True)
        .filter(pk=attempt.run_id, fence=attempt.number, state=RunState.RUNNING)
        .first()
    )
    if run is None:
        raise _fenced(attempt)
    return run


def _fenced(attempt: RunAttempt) -> Fenced:
    return Fenced(f"Attempt {attempt.number} does not hold run {attempt.run_id} any more.")


def append_events(run: Run, events: Iterable[Happening]) -> list[RunEvent]:
    """Number and write events of a locked run; the caller saves `last_event`."""
    rows: Sequence[RunEvent] = [
        RunEvent(
            workspace_id=run.workspace_id, run=run, seq=run.last_event + offset, kind=RunEvent.Kind(event.kind),
            tick=event.tick, payload=dict(event.payload), at=event.at or timezone.now(),
        )
        for offset, event in enumerate(events, start=1)
    ]  # fmt: skip
    RunEvent.objects.bulk_create(rows)
    run.last_event += len(rows)
    return list(rows)


def _take(run: Run, step: Transition) -> None:
    """Take a step on a locked run and say so; the caller saves it."""
    step.take(run)
    if run.is_final:
        append_events(run, _answers_to_the_rest(run))
    if isinstance(step, Fail):
        append_events(run, [Happening("error", step.failure.as_dict(), step.failure.tick)])
    append_events(run, [Happening("status", step.status(run), None if isinstance(step, Start) else run.tick)])
    if not isinstance(step, HandOver):
        announce(f"run.{run.state}", {"run": _announced(run)})


def _answers_to_the_rest(run: Run) -> list[Happening]:
    """Answer the commands that a locked run took and nobody has read, because it had come to its end by then."""
    left = RunCommand.objects.select_for_update().filter(run=run, applied_at=None).order_by("seq")
    over = {"place": "run", "message": "The run had come to its end before it was told this.", "mend": "Run it again."}
    done = run.state == RunState.CANCELLED
    return [_answered(row, run.tick, None if done and row.kind == RunCommand.Kind.CANCEL else over) for row in left]


def _answered(row: RunCommand, tick: int, refusal: Mapping[str, str] | None) -> Happening:
    """Note when a command was done, or why not, and what is to be told of it."""
    row.applied_at = timezone.now()
    row.applied_tick = tick
    row.refusal = None if refusal is None else dict(refusal)
    row.save(update_fields=["applied_at", "applied_tick", "refusal"])
    return Happening("control", {"command": row.seq, "do": row.kind, **row.payload, "refusal": row.refusal}, tick)


def _announced(run: Run) -> dict[str, Any]:
    """What webhooks are told of a run."""
    return {
        "id": str(run.pk),
        "kind": run.kind,
        "project": str(run.project_id),
        "graph_version": str(run.graph_version_id),
        "state": run.state,
        "seed": run.seed,
        "ticks": run.ticks,
        "tick": run.tick,
        "attempt": run.fence,
        "error": run.error,
        "result_hash": run.result_hash,
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at and run.finished_at.isoformat(),
    }


def _end_attempt(attempt_id: UUID, state: AttemptState, at: Combinable) -> None:
    """Note that an attempt is over since `at`, of the database's clock."""
    ended = Greatest(F("started_at"), at)
    RunAttempt.objects.filter(pk=attempt_id).update(state=state, finished_at=ended, heartbeat_at=ended)
