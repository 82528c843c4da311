"""What operators do with runs: the steps are those of `apps.runs.services`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from apps.console.log import given, note
from apps.console.rights import Right, require
from apps.ops.refusal import Fault
from apps.runs import services
from apps.runs.models import Run
from apps.runs.refusals import RunIsOver
from apps.runs.states import RunState
from apps.workspaces.missing import NotFound
from apps.workspaces.scope import scope
from apps.workspaces.services import audit

if TYPE_CHECKING:
    from apps.accounts.models import User


def cancel(actor: User, workspace_id: UUID, run_id: UUID, reason: str) -> Run:
    """Cancel a run: one that waits at once, else its worker is told.

    Raises:
        Invalid: there is no reason.
        NotFound: there is no such run in that workspace.
        PermissionDenied: the actor has no right to.
        RunIsOver: it is.
    """
    require(actor, Right.RUNS)
    why = given(reason)
    with scope(workspace_id):
        run = services.cancel_one(actor, run_id)
        audit(actor, "run.cancel", run, reason=why, by_operator=True)
        note(actor, "run.cancel", run, why, workspace=str(workspace_id))
    return run


def requeue(actor: User, workspace_id: UUID, run_id: UUID, reason: str) -> str:
    """Have a run go on that is stuck: one that waits gets its message sent again, one whose worker is lost goes back
    to the queue; in a word, which it was.

    Raises as `cancel`; `RunIsOver`: also for one whose worker is alive, from which nobody takes it.
    """
    require(actor, Right.RUNS)
    why = given(reason)
    with scope(workspace_id):
        run = Run.objects.filter(pk=run_id).first()
        if run is None:
            raise NotFound(f"run {run_id}")
        if run.state == RunState.RUNNING and services.hand_over_lost(run_id):
            done = "handed over"
        elif run.state == RunState.QUEUED and services.resend(run_id):
            done = "sent again"
        elif run.is_final:
            raise RunIsOver([Fault("run", f"It is {run.state}.", "Whoever submitted it can submit another.")])
        else:
            mend = "Cancel it, if it is not to go on. When the worker is lost it goes back to the queue by itself."
            raise RunIsOver([Fault("run", "A worker computes it, whose lease has not ended.", mend)])
        run.refresh_from_db()
        audit(actor, "run.requeue", run, reason=why, by_operator=True, done=done)
        note(actor, "run.requeue", run, why, workspace=str(workspace_id), done=done)
    return done
