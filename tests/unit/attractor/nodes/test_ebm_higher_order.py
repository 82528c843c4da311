"""Multi-spin couplings against enumeration."""

import itertools
import math

import pytest
import torch
from model_source import glass

from attractor.energy import enumerated
from attractor.errors import NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.ebm_higher_order import MultiSpinCoupling

TUPLES = [[0, 1, 2], [2, 3, 4], [1, 4, 5]]


def coupled(bench, **kwargs):
    settings = {"N": 6, "arrangement": "tuples", "tuples": TUPLES, "strength": 0.7, "T": 1.2}
    return bench(MultiSpinCoupling, **(settings | kwargs))


def product(states, group):
    return math.prod(states[..., unit].double() for unit in group)


def law(groups, n, strength, temperature, base=None):
    states = torch.tensor(list(itertools.product((-1, 1), repeat=n)))
    energy = -strength * sum(product(states, group) for group in groups)
    if base is not None:
        energy = energy + base.energy(states)
    return states, energy, torch.softmax(-energy / temperature, 0)


@pytest.mark.parametrize("order", [3, 4, 5])
def test_the_conditionals_hold_the_groups(bench, order):
    """Means of the products themselves: without the groups in the conditionals they would be 0."""
    groups = [list(range(k, k + order)) for k in (0, 1)]
    node = coupled(bench, order=order, tuples=groups, chains=1000, sweeps=5)
    s = torch.cat([out["spins"] for out in node.run(6)[3:]])
    states, _, p = law(groups, 6, 0.7, 1.2)
    for group in groups:
        exact = float(p @ product(states, group))
        assert exact > 0.4
        assert float(product(s, group).mean()) == pytest.approx(exact, abs=5 / math.sqrt(2000))
    pair = s.double().T @ s.double() / len(s)
    assert float((pair - torch.einsum("s,si,sj->ij", p, states.double(), states.double())).abs().max()) < 0.11


def test_energy_of_the_groups_and_of_a_model_beneath(bench):
    base = glass(temperature=0.9)
    node = coupled(bench, shapes={"base": (6,)}, chains=1000, sweeps=20)
    out = node.run(3, base=base)[-1]
    _, energy, p = law(TUPLES, 6, 0.7, 0.9, base)
    exact = float(p @ energy)
    spread = math.sqrt(float(p @ energy.square()) - exact**2)
    assert float(out["energy"]) == pytest.approx(exact, abs=5 * spread / math.sqrt(1000))
    torch.testing.assert_close(enumerated(out["model"]).probabilities, p)
    assert float(out["energy"]) == pytest.approx(float(out["model"].energy(out["spins"]).mean()))


def test_units_of_a_group_are_joined(bench):
    """Two colours would do for the pairs around a ring; the clique graph of triples needs three and more."""
    model = coupled(bench, arrangement="ring", N=9)()["model"]
    graph = model.graph
    assert sorted(graph.neighbours(0).tolist()) == [1, 2, 7, 8]
    assert model.colouring.count == 3
    assert model.colouring.conflict(graph) is None


@pytest.mark.parametrize(("arrangement", "count"), [("ring", 12), ("random", 20)])
def test_arrangements(bench, arrangement, count):
    node = coupled(bench, arrangement=arrangement, N=12, m=20, order=4)
    groups = node()["model"].products[0].members
    assert groups.shape == (count, 4)
    assert len({tuple(group) for group in groups.tolist()}) == count
    assert all(len(set(group)) == 4 for group in groups.tolist())
    again = coupled(bench, arrangement=arrangement, N=12, m=20, order=4)()["model"].products[0].members
    other = coupled(bench, arrangement=arrangement, N=12, m=20, order=4, seed=2)()["model"].products[0].members
    assert groups.tolist() == again.tolist()
    assert (groups.tolist() == other.tolist()) == (arrangement == "ring")


def test_groups_that_arrive(bench):
    node = coupled(bench, shapes={"groups": (2, 3)})
    assert node()["spins"] is ABSENT
    arrived = torch.tensor([[0.0, 1.0, 5.0], [2.0, 3.0, 4.0]])
    model = node(groups=arrived)["model"]
    assert model.products[0].members.tolist() == [[0, 1, 5], [2, 3, 4]]
    assert node(groups=arrived.clone())["model"] is model
    with pytest.raises(NodeFailed, match="twice"):
        node(groups=torch.tensor([[0.0, 1.0, 1.0], [2.0, 3.0, 4.0]]))


def test_more_sweeps_are_more_sweeps(bench):
    once, often = (coupled(bench, sweeps=k)()["spins"] for k in (1, 9))
    assert not torch.equal(once, often)
    node = coupled(bench, T=1e-3, strength=5.0, chains=3)
    frozen = node.run(20)[-1]["spins"]
    assert torch.equal(node()["spins"], frozen)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tuples": []}, "no rows"),
        ({"tuples": [[0, 1]]}, "no rows"),
        ({"tuples": [[0, 1, 6]]}, "not there"),
        ({"tuples": [[0, 1, 1]]}, "twice"),
        ({"tuples": [[0, 1, 2.5]]}, "not there"),
        ({"arrangement": "random", "m": 15}, "would repeat"),
        ({"arrangement": "ring", "N": 3}, "repeats"),
        ({"N": 4, "order": 5}, "no group"),
    ],
)
def test_groups_are_checked_before_the_run(changed, message):
    values = MultiSpinCoupling.defaults() | {"N": 6, "arrangement": "tuples", "tuples": TUPLES}
    with pytest.raises(ShapeProblem, match=message):
        MultiSpinCoupling.validate(values | changed)


def test_a_batch_is_its_runs(bench):
    swept = coupled(bench, batch=(2,))
    strengths, heats = torch.tensor([0.2, 1.5]).double(), torch.tensor([0.5, 2.0]).double()
    swept.params = swept.params | {"strength": strengths, "T": heats}
    together = swept.run(4)[-1]
    for point in range(2):
        node = coupled(bench, strength=float(strengths[point]), T=float(heats[point]))
        alone = node.run(4)[-1]
        assert torch.equal(together["spins"][point], alone["spins"])
        torch.testing.assert_close(together["energy"][point], alone["energy"])
