"""From an exception to what the run says about its failure. Importing this module imports torch."""

from __future__ import annotations

from apps.runs.failure import Failure
from attractor.errors import AttractorError, GraphRejected, NodeFailed

_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "can't start new thread")
"""How torch and Python say it in a RuntimeError."""


def diagnose(error: BaseException, tick: int) -> Failure:
    """The failure of a run that `error` ended; `tick` is the last one the caller knows of."""
    if _is_out_of_memory(error):
        node, tick = (error.node, error.tick) if isinstance(error, NodeFailed) else (None, tick)
        return Failure(
            "out_of_memory",
            "The run needed more memory than a run may have.",
            "Make the graph smaller, or ask the operator for a higher worker.memory.",
            node,
            tick,
        )
    if isinstance(error, NodeFailed):
        return Failure(error.code, error.message, error.mend, error.node, error.tick)
    if isinstance(error, GraphRejected):
        problems = " ".join(str(problem) for problem in error.problems)
        return Failure(error.code, problems, "Mend the graph at the places named and run it again.", None, tick)
    if isinstance(error, AttractorError):
        return Failure(error.code, str(error), "Mend what the message names and run the graph again.", None, tick)
    return Failure(
        "internal",
        f"{type(error).__name__}: {error}",
        "This is a fault of the platform. The worker's log has the traceback under the id of the run.",
        None,
        tick,
    )


def _is_out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False
