"""The states of a run and the steps between them."""

from django.db.models import TextChoices


class RunState(TextChoices):
    """Where a run is. The last three are final."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class AttemptState(TextChoices):
    """Where one worker's attempt at a run is. `lost`: its lease ran out."""

    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    LOST = "lost", "Lost"


FINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
ACTIVE = frozenset(RunState) - FINAL

# The trigger `runs_run_guard` (migration 0001) holds the same table in the database.
STEPS: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.FAILED, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}


class IllegalStep(Exception):
    """A run was asked to go from one state to another that does not follow it."""

    def __init__(self, old: str, new: str) -> None:
        self.old = RunState(old)
        self.new = RunState(new)
        after = ", ".join(sorted(STEPS[self.old])) or "nothing: it is final"
        super().__init__(f"A run cannot go from {self.old} to {self.new}; after {self.old} comes {after}.")


def check_step(old: str, new: str) -> None:
    """Raises `IllegalStep` unless `new` may follow `old`."""
    if RunState(new) not in STEPS[RunState(old)]:
        raise IllegalStep(old, new)
