"""What people tell a run."""

import uuid
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from apps.runs import selectors, services
from apps.runs.failure import Failure
from apps.runs.models import RunCommand
from apps.runs.refusals import NotClaimable, RunIsOver
from apps.workspaces.missing import NotFound
from apps.workspaces.models import AuditEvent, Role
from apps.workspaces.scope import scope
from attractor.errors import ControlRejected

pytestmark = pytest.mark.django_db


def running(tenant: Any) -> Any:
    run = tenant.submit()
    with scope(tenant.workspace.id):
        return run, services.claim(run.pk, "worker")


def test_a_queued_run_is_cancelled_at_once_and_never_claimed(ann: Any) -> None:
    run = ann.submit()
    command = services.command(ann.user, run, "cancel")
    assert command.applied_at is not None
    now = ann.look(run)
    assert now.state == "cancelled"
    assert now.finished_at is not None
    with scope(ann.workspace.id):
        assert selectors.events_after(run, 0)[-1].payload == {"state": "cancelled"}
        with pytest.raises(NotClaimable):
            services.claim(run.pk, "worker")


def test_a_running_run_is_told_in_order_and_answers(ann: Any) -> None:
    run, attempt = running(ann)
    for kind, payload in (
        ("control", {"target": "osc.coupling", "value": 0.3}),
        ("pause", {}),
        ("resume", {}),
        ("cancel", {}),
    ):
        services.command(ann.user, run, kind, payload)
    assert ann.look(run).state == "running"
    with scope(ann.workspace.id):
        pending = selectors.pending_commands(run, 0)
        assert [(command.seq, command.kind) for command in pending] == [
            (1, "control"), (2, "pause"), (3, "resume"), (4, "cancel"),
        ]  # fmt: skip
        assert [command.seq for command in selectors.pending_commands(run, 2)] == [3, 4]
    event = services.apply_command(attempt, 1, 64)
    assert (event.kind, event.tick) == ("control", 64)
    assert event.payload == {"command": 1, "do": "control", "target": "osc.coupling", "value": 0.3, "refusal": None}
    services.apply_command(attempt, 2, 64)
    assert ann.look(run).paused
    services.apply_command(attempt, 3, 64)
    assert not ann.look(run).paused
    with scope(ann.workspace.id):
        assert [command.seq for command in selectors.pending_commands(run, 0)] == [4]
        assert RunCommand.objects.get(run=run, seq=1).applied_tick == 64
    with pytest.raises(NotFound):
        services.apply_command(attempt, 1, 65)


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled", "cancelled while it is queued"])
def test_what_nobody_has_read_by_the_end_is_answered_by_the_end(ann: Any, end: str) -> None:
    """A command that is taken between the worker's last look and the end of the run is not left without an answer."""
    told = [("control", {"target": "osc.coupling", "value": 0.3}), ("resume", {})]
    queued = end == "cancelled while it is queued"
    run, attempt = (ann.submit(), None) if queued else running(ann)
    for kind, payload in told:
        services.command(ann.user, run, kind, payload)
    if end.startswith("cancelled"):
        services.command(ann.user, run, "cancel")
    if attempt is not None:
        services.finish(attempt, end, tick=5, error=Failure("x", "It broke.", "Mend it.") if end == "failed" else None)
    with scope(ann.workspace.id):
        commands = list(RunCommand.objects.filter(run=run).order_by("seq"))
        events = [event for event in selectors.events_after(run, 0) if event.kind == "control"]
        last = selectors.events_after(run, 0)[-1]
    assert all(command.applied_at is not None for command in commands)
    assert [command.refusal is None for command in commands] == [False, False, True][: len(commands)]
    assert commands[0].refusal["mend"]
    assert [(event.payload["command"], event.payload["do"]) for event in events][:2] == [(1, "control"), (2, "resume")]
    assert last.payload["state"] == end.split(maxsplit=1)[0]


def test_a_refusal_of_the_worker_is_kept_and_changes_nothing(ann: Any) -> None:
    run, attempt = running(ann)
    services.command(ann.user, run, "pause")
    why = {"place": "run", "message": "cannot pause now.", "mend": "Wait."}
    event = services.apply_command(attempt, 1, 3, refusal=why)
    assert event.payload["refusal"] == why
    assert not ann.look(run).paused
    with scope(ann.workspace.id):
        assert RunCommand.objects.get().refusal == why


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("osc.coupling", -1),
        ("osc.coupling", 1e9),
        ("osc.coupling", "a lot"),
        ("osc.coupling", None),
        ("osc.coupling", True),
        ("osc.coupling", float("inf")),
        ("osc.coupling", {"value": 0.3, "unit": "parsec"}),
        ("osc.N", 32),
        ("osc.no_such", 1),
        ("nobody.coupling", 1),
        ("osc", 1),
        ("", 1),
        ("osc.coupling.x", 1),
    ],
)
def test_a_control_that_the_declaration_does_not_allow_is_refused(ann: Any, target: str, value: Any) -> None:
    run, _ = running(ann)
    with pytest.raises(ControlRejected) as refused:
        services.command(ann.user, run, "control", {"target": target, "value": value})
    assert refused.value.problem.mend
    with scope(ann.workspace.id):
        assert not RunCommand.objects.exists()


@pytest.mark.parametrize("target", ["osc.no_such", "osc.coupling", "nobody.restart", "osc.force", ""])
def test_a_trigger_that_does_not_exist_is_refused(ann: Any, target: str) -> None:
    run, _ = running(ann)
    with pytest.raises(ControlRejected):
        services.command(ann.user, run, "trigger", {"target": target})


@pytest.mark.parametrize("kind", ["cancel", "pause", "resume"])
def test_a_final_run_takes_no_command(ann: Any, kind: str) -> None:
    run, attempt = running(ann)
    services.finish(attempt, "succeeded")
    with pytest.raises(RunIsOver, match="succeeded"):
        services.command(ann.user, run, kind)
    assert ann.look(run).last_command == 0


def test_who_may_command_and_that_it_is_noted(ann: Any, bob: Any, member_of: Any) -> None:
    run, _ = running(ann)
    with pytest.raises(PermissionDenied):
        services.command(member_of(ann, Role.VIEWER), run, "cancel")
    with pytest.raises(NotFound):
        services.command(bob.user, run, "cancel")
    editor = member_of(ann, Role.EDITOR)
    services.command(editor, run, "pause")
    with scope(ann.workspace.id):
        event = AuditEvent.objects.get(action="run.pause")
        assert (event.actor_id, event.object_id) == (editor.pk, str(run.pk))


def test_several_runs_are_cancelled_together_or_not_at_all(ann: Any, bob: Any) -> None:
    waiting, (under_way, _), (over, attempt) = ann.submit(), running(ann), running(ann)
    services.finish(attempt, "cancelled")
    ids = [str(run.pk) for run in (waiting, under_way, over)]
    foreign = bob.submit()
    assert ann.post("/runs/cancel/", {"runs": [*ids, str(foreign.pk)]}).status_code == 404
    assert ann.look(waiting).state == "queued"
    assert bob.look(foreign).state == "queued"
    answer = ann.post("/runs/cancel/", {"runs": ids})
    assert answer.status_code == 202
    assert sorted(answer.json()["told"]) == sorted(ids[:2])
    assert answer.json()["over"] == [ids[2]]
    assert ann.look(waiting).state == "cancelled"
    with scope(ann.workspace.id):
        assert [command.kind for command in selectors.pending_commands(under_way, 0)] == ["cancel"]


@pytest.mark.parametrize("runs", [[], ["no id"], [str(uuid.uuid4())] * 101])
def test_what_names_no_runs_cancels_none(ann: Any, runs: Any) -> None:
    assert ann.post("/runs/cancel/", {"runs": runs}).status_code == 400
