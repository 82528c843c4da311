"""What a failed run says about its failure."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Failure:
    """`code` is stable and documented; `node` and `tick` say where, None when it was nowhere in the graph."""

    code: str
    message: str
    mend: str
    node: str | None = None
    tick: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def out_of_time(limit: int, tick: int | None) -> Failure:
    """The run has held workers for as long as it may."""
    return Failure(
        code="out_of_time",
        message=f"The run has taken the {limit} s that it may take.",
        mend="Give it a higher max_seconds, fewer ticks or smaller nodes.",
        tick=tick,
    )


def worker_lost(tick: int) -> Failure:
    """The lease ran out: the worker died or lost its way to the database."""
    return Failure(
        code="worker_lost",
        message="The worker that ran it has not been heard of since its lease ran out.",
        mend="Submit the run again. If it happens again, look for the worker's last lines in the log.",
        tick=tick,
    )
