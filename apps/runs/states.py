"""The states of a run and of an attempt at it; `transitions` has the steps between them."""

from django.db.models import TextChoices


class RunState(TextChoices):
    """Where a run is. The last three are final."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class AttemptState(TextChoices):
    """Where one worker's attempt at a run is. `lost`: it died before the run was over; `released`: its worker
    was told to stop."""

    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    LOST = "lost", "Lost"
    RELEASED = "released", "Released"


FINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
ACTIVE = frozenset(RunState) - FINAL
