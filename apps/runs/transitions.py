"""The steps a run may take from one state to another: one rule each, and nothing else.

The trigger `runs_run_guard` of the database holds the same pairs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.utils import timezone

from apps.runs.states import RunState

if TYPE_CHECKING:
    from apps.runs.failure import Failure
    from apps.runs.models import Run


class IllegalStep(Exception):
    """A run was asked to go from one state to another that does not follow it."""

    def __init__(self, old: str, new: str) -> None:
        self.old = RunState(old)
        self.new = RunState(new)
        after = ", ".join(sorted(rule.new for rule in RULES if self.old in rule.old)) or "nothing: it is final"
        super().__init__(f"A run cannot go from {self.old} to {self.new}; after {self.old} comes {after}.")


class Transition(ABC):
    """A step of a run.

    Attributes:
        old: the states it may be taken from.
        new: where it leads.
    """

    old: ClassVar[frozenset[RunState]]
    new: ClassVar[RunState]

    def take(self, run: Run) -> None:
        """Take the step on a locked run, which the caller saves. Raises `IllegalStep`."""
        if run.state not in self.old:
            raise IllegalStep(run.state, self.new)
        run.state = self.new
        self.change(run)

    @abstractmethod
    def change(self, run: Run) -> None:
        """What changes with the state."""

    def status(self, run: Run) -> Mapping[str, Any]:
        """What the status event says of the step."""
        return {"state": self.new}


class Start(Transition):
    """A worker takes the run: a new attempt, which fences off all before."""

    old, new = frozenset({RunState.QUEUED}), RunState.RUNNING

    def change(self, run: Run) -> None:
        run.fence += 1
        run.started_at = run.started_at or timezone.now()

    def status(self, run: Run) -> Mapping[str, Any]:
        return {"state": self.new, "attempt": run.fence}


class HandOver(Transition):
    """The attempt is over and the run is not: it waits for the next worker, who goes on from the last checkpoint.

    Args:
        tick: of that checkpoint, 0 without one.
        reason: why, for people.
    """

    old, new = frozenset({RunState.RUNNING}), RunState.QUEUED

    def __init__(self, tick: int, reason: str) -> None:
        self.tick = tick
        self.reason = reason

    def change(self, run: Run) -> None:
        run.tick = self.tick
        run.progress = self.tick / run.ticks
        run.eta_s = run.ticks_per_s = None
        run.queued_at = timezone.now()

    def status(self, run: Run) -> Mapping[str, Any]:
        return {"state": self.new, "attempt": run.fence, "reason": self.reason, "resumes_at": self.tick}


class _End(Transition):
    """The run is over."""

    def change(self, run: Run) -> None:
        run.finished_at = timezone.now()
        run.eta_s = None
        run.paused = False

    def status(self, run: Run) -> Mapping[str, Any]:
        return {"state": self.new, "result_hash": run.result_hash} if run.result_hash else {"state": self.new}


class Succeed(_End):
    """All ticks are computed."""

    old, new = frozenset({RunState.RUNNING}), RunState.SUCCEEDED

    def change(self, run: Run) -> None:
        super().change(run)
        run.progress = 1.0


class Fail(_End):
    """The run cannot be computed; also while it still waits, when nothing is left to try."""

    old, new = frozenset({RunState.QUEUED, RunState.RUNNING}), RunState.FAILED

    def __init__(self, failure: Failure) -> None:
        self.failure = failure

    def change(self, run: Run) -> None:
        super().change(run)
        run.error = self.failure.as_dict()


class Cancel(_End):
    """Somebody does not want it any more."""

    old, new = frozenset({RunState.QUEUED, RunState.RUNNING}), RunState.CANCELLED


RULES: Final[Sequence[type[Transition]]] = (Start, HandOver, Succeed, Fail, Cancel)
