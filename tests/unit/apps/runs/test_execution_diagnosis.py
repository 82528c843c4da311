"""What a run says about the exception that ended it."""

import pytest
import torch

from apps.runs.execution.diagnosis import diagnose
from attractor.errors import AttractorError, Diverged, GraphRejected, MissingWeights, NodeFailed, Problem


def test_a_failed_node_is_named_with_its_own_tick():
    failure = diagnose(NodeFailed("osc", 41, "it broke.", "Mend it."), tick=99)
    assert failure.as_dict() == {
        "code": "node_failed", "node": "osc", "tick": 41, "message": "it broke.", "mend": "Mend it.",
    }  # fmt: skip
    assert diagnose(Diverged("osc", 3, "m", "n", torch.zeros(1)), 9).code == "diverged"


def test_a_rejected_graph_lists_every_problem():
    problems = [Problem("nodes.a", "is wrong.", "Right it."), Problem("edges[1]", "is loose.", "Tie it.")]
    failure = diagnose(GraphRejected(problems), 0)
    assert failure.code == "graph_rejected"
    for problem in problems:
        assert str(problem) in failure.message


@pytest.mark.parametrize(
    ("error", "code"), [(MissingWeights("no file"), "missing_weights"), (AttractorError("x"), "error")]
)
def test_errors_of_the_engine_keep_their_code_and_words(error, code):
    failure = diagnose(error, 5)
    assert (failure.code, failure.message, failure.tick) == (code, str(error), 5)
    assert failure.mend


def test_want_of_memory_is_found_below_the_node_that_met_it():
    try:
        try:
            torch.empty(2**50, dtype=torch.float64)
        except RuntimeError as error:
            raise NodeFailed("big", 7, "RuntimeError", "?") from error
    except NodeFailed as wrapped:
        failure = diagnose(wrapped, 0)
    assert (failure.code, failure.node, failure.tick) == ("out_of_memory", "big", 7)
    assert diagnose(MemoryError(), 4).code == "out_of_memory"
    assert diagnose(MemoryError(), 4).tick == 4


def test_anything_else_is_internal_and_named():
    failure = diagnose(ZeroDivisionError("division by zero"), 12)
    assert (failure.code, failure.node, failure.tick) == ("internal", None, 12)
    assert "ZeroDivisionError: division by zero" in failure.message
    assert diagnose(RuntimeError("something else"), 1).code == "internal"
