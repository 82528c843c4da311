"""Factors: what they put on a model changes what is sampled."""

import json
import math

import numpy as np
import pytest
import torch
from model_source import glass

from attractor.energy import enumerated
from attractor.energy.terms import TERMS
from attractor.errors import NodeFailed
from attractor.node import ABSENT, ShapeProblem
from attractor.nodes.ebm_factor import WeightedFactor
from attractor.nodes.ebm_multichain import MultiChain

N = 6
TRIPLE = {"type": "higher", "settings": json.dumps({"N": N, "groups": [[0, 1, 2]], "weights": [1.5]})}


def factor(bench, shapes=None, **kwargs):
    return bench(WeightedFactor, shapes=shapes or {}, **kwargs)


def correlations(bench, model, seed=1):
    node = bench(MultiChain, shapes={"model": (N,)}, seed=seed, chains=512, warmup=10, length=60)
    s = torch.cat([out["samples"] for out in node.run(70, model=model)[10:]]).double()
    return s.T @ s / len(s), (s[:, 0] * s[:, 1] * s[:, 2]).mean()


def test_a_factor_enters_the_sampled_conditionals(bench):
    """An energy that the conditionals do not know would leave the law of the model as it was."""
    model = glass()
    out = factor(bench, {"model": (N,)}, weight=0.8, **TRIPLE)(model=model)
    law = enumerated(model)
    states = law.states.double()
    triple = states[:, 0] * states[:, 1] * states[:, 2]
    p = torch.softmax(-(law.energies - 0.8 * 1.5 * triple), 0)
    pair, threefold = correlations(bench, out["factor"])
    assert float((pair - torch.einsum("s,si,sj->ij", p, states, states)).abs().max()) < 0.05
    assert float(threefold) == pytest.approx(float(p @ triple), abs=0.05)
    assert abs(float(p @ triple) - float(law.probabilities @ triple)) > 0.5


def test_weight_and_modulation(bench):
    node = factor(bench, {"model": (N,), "weight_mod": ()}, weight=2.0, **TRIPLE)
    model, states = glass(), enumerated(glass()).states
    triple = (states[:, 0] * states[:, 1] * states[:, 2]).double()
    for mod, weight in ((0.0, 2.0), (-0.25, 1.5), (-1.0, 0.0)):
        made = node(model=model, weight_mod=torch.tensor(mod))["factor"]
        torch.testing.assert_close(made.energy(states), model.energy(states) - weight * 1.5 * triple)
    colouring = made.colouring
    assert node(model=model, weight_mod=torch.tensor(0.5))["factor"].colouring is colouring


def test_the_energy_told_is_the_weighted_term_alone(bench):
    shapes = {"model": (N,), "variables": (3, N)}
    node = factor(bench, shapes, weight=2.0, **TRIPLE)
    s = torch.where(torch.rand(3, N) < 0.5, 1, -1).to(torch.int8)
    out = node(model=glass(), variables=s)
    assert float(out["energy"]) == pytest.approx(-3.0 * float((s[:, 0] * s[:, 1] * s[:, 2]).double().mean()))
    assert node(model=glass())["energy"] is ABSENT
    with pytest.raises(NodeFailed, match="none of the term's units"):
        node(model=glass(), variables=torch.zeros(3, N, dtype=torch.int8))
    harmonic = factor(bench, {"variables": (1, 12)}, type="harmonic", weight=0.5)
    nothing = -torch.ones(1, 12, dtype=torch.int8)
    # λ(0 − v)² = 9: the value is that of the definition, constants included.
    assert float(harmonic(variables=nothing)["energy"]) == pytest.approx(4.5)


def test_factors_chain_and_stand_alone(bench):
    alone = factor(bench, **TRIPLE)()["factor"]
    states = enumerated(alone).states
    chained = factor(bench, {"model": (N,)}, type="unary", settings=json.dumps({"bias": [1.0] * N}))(model=alone)
    torch.testing.assert_close(chained["factor"].energy(states), alone.energy(states) - states.sum(-1).double())


def test_the_model_is_the_same_object_while_nothing_changes(bench):
    node = factor(bench, {"model": (N,)}, **TRIPLE)
    model = glass()
    assert node(model=model)["factor"] is node(model=model)["factor"]
    assert node(model=glass(seed=1))["factor"] is not node(model=model)["factor"]


def test_data_make_the_term(bench):
    node = factor(bench, {"data": (3, 2)}, type="rl_value_function", settings='{"tau": 0.5}')
    assert node()["factor"] is ABSENT
    q = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]], dtype=torch.float64)
    made = node(data=q)["factor"]
    policy = torch.softmax(q / 0.5, -1)
    np.testing.assert_allclose(enumerated(made).marginals(2), policy, rtol=1e-9)
    assert node(data=q.clone())["factor"] is made
    assert node(data=2 * q)["factor"] is not made


def test_a_term_of_its_own_data_keeps_them_while_they_are_silent(bench):
    node = factor(bench, {"data": (2, 2)}, type="spatial_locality")
    first = node(data=torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64))["factor"]
    assert node()["factor"] is first
    assert float(first.energy(torch.ones(1, 2)) - first.energy(-torch.ones(1, 2))) == pytest.approx(5.0)


@pytest.mark.parametrize("kind", [kind for kind in TERMS if kind not in ("neural_coherence", "hebbian_energy")])
def test_every_type_works_with_its_defaults(bench, kind):
    made = factor(bench, type=kind)()["factor"]
    assert math.isfinite(float(made.energy(torch.ones(1, made.size, dtype=torch.int64))))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[1]", "no JSON object"),
        ("{", "no JSON"),
        ('{"M": 3}', "Extra inputs"),
        ('{"N": 1}', "greater than"),
        ('{"pairs": [[0, 5]]}', "outside"),
    ],
)
def test_settings_are_checked_before_the_run(settings, message):
    with pytest.raises(ShapeProblem, match=message) as refused:
        WeightedFactor.validate(WeightedFactor.defaults() | {"settings": settings})
    assert refused.value.port == "settings"


def test_shapes_must_fit(bench):
    with pytest.raises(ShapeProblem, match="term has"):
        factor(bench, {"model": (N + 1,)}, **TRIPLE)
    with pytest.raises(ShapeProblem, match="takes no data"):
        factor(bench, {"data": (2, 2)}, **TRIPLE)
    with pytest.raises(ShapeProblem, match="no signals"):
        factor(bench, type="neural_coherence")
    with pytest.raises(NodeFailed, match="no energy model"):
        factor(bench, {"model": (N,)}, **TRIPLE)(model=1)


def test_a_sweep_of_weights(bench):
    node = factor(bench, {"model": (N,)}, batch=(2,), **TRIPLE)
    node.params = node.params | {"weight": torch.tensor([1.0, 3.0], dtype=torch.float64)}
    together, states = node(model=glass())["factor"], enumerated(glass()).states
    for point, weight in enumerate((1.0, 3.0)):
        alone = factor(bench, {"model": (N,)}, weight=weight, **TRIPLE)(model=glass())["factor"]
        torch.testing.assert_close(together.energy(states)[point], alone.energy(states))
