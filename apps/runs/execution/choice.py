"""How an attempt at a run is executed, by the kind of run. Importing this module imports torch."""

from __future__ import annotations

from apps.runs.execution.execution import Execution
from apps.runs.execution.pipe import Pipe
from apps.runs.execution.series_execution import SeriesExecution
from apps.runs.models import Run
from apps.workspaces.scope import scope


def execution_of(workspace_id: str, run_id: str, number: int, pipe: Pipe) -> Execution:
    """The execution of attempt `number` at a run."""
    with scope(workspace_id):
        kind = Run.objects.values_list("kind", flat=True).get(pk=run_id)
    of_kind = Execution if kind == Run.Kind.SINGLE else SeriesExecution
    return of_kind(workspace_id, run_id, number, pipe)
