"""What went wrong with a run, as its row and its last event say it. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

from attractor.errors import AttractorError, ControlRejected, GraphRejected, NodeFailed

OUT_OF_MEMORY = "out_of_memory"
_SMALLER = "Make the graph smaller, watch fewer values, or ask the operator for a higher worker.memory."
_TORCH_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def describe(error: BaseException, tick: int) -> dict[str, Any]:
    """`{code, node, tick, message, mend}` of whatever ended a run; `tick` is the last one known to the caller."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or _is_torch_out_of_memory(cause):
            node, tick = (error.node, error.tick) if isinstance(error, NodeFailed) else (None, tick)
            return failure(OUT_OF_MEMORY, node, tick, "The run needed more memory than it may have.", _SMALLER)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, NodeFailed):
        return failure(error.code, error.node, error.tick, error.message, error.mend)
    if isinstance(error, GraphRejected):
        return failure(
            error.code,
            None,
            tick,
            " ".join(str(problem) for problem in error.problems),
            "Mend the graph at the places named and run it again.",
        )
    if isinstance(error, ControlRejected):
        return failure(error.code, None, tick, str(error.problem), error.problem.mend)
    if isinstance(error, AttractorError):
        return failure(error.code, None, tick, str(error), "")
    return failure(
        "internal",
        None,
        tick,
        f"{type(error).__name__}: {error}",
        "This is a fault of the platform; the operator finds the traceback in the worker's log under the run's id.",
    )


def failure(code: str, node: str | None, tick: int | None, message: str, mend: str) -> dict[str, Any]:
    return {"code": code, "node": node, "tick": tick, "message": message, "mend": mend}


def _is_torch_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _TORCH_OUT_OF_MEMORY)
