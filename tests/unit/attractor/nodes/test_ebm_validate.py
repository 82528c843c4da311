"""The validator: what it counts, holds back and puts right."""

import pytest
import torch

from attractor.errors import NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.ebm_validate import StateValidator

GOOD = torch.tensor([[1, -1, 1], [-1, -1, 1]], dtype=torch.int8)


def validator(bench, **kwargs):
    return bench(StateValidator, **({"shapes": {"state": (2, 3), "energy": (2,)}} | kwargs))


def test_a_valid_state_passes_as_it_is(bench):
    for state in (GOOD, GOOD.double()):
        out = validator(bench)(state=state, energy=torch.zeros(2))
        assert out["state"].dtype == torch.int8
        assert torch.equal(out["state"], GOOD)
        assert bool(out["valid"])
        assert float(out["n_violations"]) == 0.0


@pytest.mark.parametrize("wrong", [0.0, 0.5, -1.5, float("nan"), float("inf")])
def test_what_is_no_spin_is_counted_and_held_back(bench, wrong):
    state = GOOD.double()
    state[1, 2] = state[0, 0] = wrong
    out = validator(bench)(state=state)
    assert out["state"] is ABSENT
    assert not bool(out["valid"])
    assert float(out["n_violations"]) == 2.0
    assert float(out["projected"]) == 0.0


def test_boolean_storage_is_no_spin(bench):
    """0 and 1 must be mapped to ±1 by their owner: the zeros are violations, and the ones pass."""
    out = validator(bench)(state=GOOD > 0)
    assert float(out["n_violations"]) == 3.0
    assert out["state"] is ABSENT


def test_an_energy_that_is_not_finite_is_a_violation(bench):
    out = validator(bench)(state=GOOD, energy=torch.tensor([float("nan"), 1.0]))
    assert out["state"] is ABSENT
    assert float(out["n_violations"]) == 1.0
    # No projection mends an energy.
    assert validator(bench, repair="project")(state=GOOD, energy=torch.tensor([float("inf"), 1.0]))["state"] is ABSENT


def test_projection_is_explicit_and_counted(bench):
    node = validator(bench, repair="project")
    state = torch.tensor([[0.2, -3.0, 1.0], [-0.1, -1.0, 0.0]])
    out = node(state=state)
    assert torch.equal(out["state"], torch.tensor([[1, -1, 1], [-1, -1, 1]], dtype=torch.int8))
    assert not bool(out["valid"])
    assert float(out["n_violations"]) == float(out["projected"]) == 4.0
    assert float(node(state=state)["projected"]) == 8.0
    assert float(node(state=GOOD)["projected"]) == 8.0


@pytest.mark.parametrize("wrong", [float("nan"), float("-inf")])
def test_what_has_no_nearest_spin_is_not_projected(bench, wrong):
    state = GOOD.double()
    state[0, 1] = wrong
    out = validator(bench, repair="project")(state=state)
    assert out["state"] is ABSENT
    assert float(out["projected"]) == 0.0


def test_a_vector_is_one_chain_and_silence_stays(bench):
    node = bench(StateValidator, shapes={"state": (3,)})
    assert node(state=torch.tensor([1.0, -1.0, 1.0]))["state"].shape == (1, 3)
    assert all(value is ABSENT for value in node().values())
    with pytest.raises(ShapeProblem):
        StateValidator.shapes(StateValidator.defaults(), {"state": ()})


def test_points_of_a_sweep(bench):
    node = validator(bench, batch=(2,), repair="project")
    out = node(state=torch.stack([GOOD.double(), 0.5 * GOOD.double()]))
    assert out["valid"].tolist() == [True, False]
    assert out["projected"].tolist() == [0.0, 6.0]
    assert torch.equal(out["state"], torch.stack([GOOD, GOOD]))
    with pytest.raises(NodeFailed, match="point 1"):
        validator(bench, batch=(2,))(state=torch.stack([GOOD.double(), 0.5 * GOOD.double()]))
