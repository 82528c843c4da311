"""Every error the engine raises on purpose. Each says where it happened and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a graph: its `place` (``nodes.osc.params.alpha``), what is wrong, and the mend."""

    place: str
    message: str
    mend: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.place}: {self.message} {self.mend}"


class AttractorError(Exception):
    """Base of all errors of the engine."""

    code = "error"


class GraphRejected(AttractorError):
    """A graph that cannot be run; `problems` lists every reason at once."""

    code = "graph_rejected"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"the graph has {len(self.problems)} problem(s):\n{lines}")


class ControlRejected(AttractorError):
    """A live control change that the declaration of its parameter does not allow."""

    code = "control_rejected"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class NodeFailed(AttractorError):
    """A node that could not compute its tick. The run stops with the node and the tick named."""

    code = "node_failed"

    def __init__(self, node: str, tick: int, message: str, mend: str = "") -> None:
        self.node = node
        self.tick = tick
        self.message = message
        self.mend = mend
        super().__init__(f"node {node!r} failed at tick {tick}: {message} {mend}".rstrip())


class Diverged(NodeFailed):
    """A state that left the guard (|state| > 1e3, or not finite). `state` is the state that tripped it."""

    code = "diverged"

    def __init__(self, node: str, tick: int, message: str, mend: str, state: torch.Tensor) -> None:
        super().__init__(node, tick, message, mend)
        self.state = state


class MissingWeights(AttractorError):
    """A network whose weights are absent or not the ones its card names."""

    code = "missing_weights"


class CheckpointRefused(AttractorError):
    """A checkpoint that is damaged, or that belongs to another graph or version."""

    code = "checkpoint_refused"
