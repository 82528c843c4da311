"""The ensemble kernel against its reference, against scipy, and against itself cut up differently."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from attractor.kernels import ode_ensemble as operator
from attractor.kernels.ode_ensemble import kernel, neighbour_table, reference
from attractor.oscillators import CELLS
from attractor.topology import make_topology


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def uniform(n, lane):
    return np.random.default_rng(lane).random(n)


def ensemble(
    cell, points=1, n=37, ticks=3, method="rk4", topology="none", degree=4, mask=0, dtype=torch.float64,
    **given,
):  # fmt: skip
    """Arguments of the operator: defaults of the cell, steps of 0.004."""
    depth = len(CELLS[cell].components)
    graph = make_topology(topology, n, degree, 0.3, uniform)
    defaults = torch.tensor([p.default for p in CELLS[cell].params], dtype=torch.float64)
    start = torch.tensor(CELLS[cell].start, dtype=torch.float64)[:, None]
    arguments = {
        "s": (start + 0.3 * numbers(points, depth, n)).to(dtype),
        "params": defaults.view(1, 1, -1, 1),
        "drive": None,
        "coupling": torch.full((1, 1), 0.7, dtype=torch.float64),
        "steps": torch.full((1, 1), 5),
        "h": torch.full((1, 1), 0.004, dtype=torch.float64),
        "neighbours": neighbour_table(graph),
        "degrees": torch.from_numpy(graph.degrees),
        "ticks": ticks,
        "cell": cell,
        "method": method,
        "mask": mask,
    }
    return arguments | given


def own(cell, *shape, seed=5):
    """Parameters around the defaults."""
    defaults = torch.tensor([p.default for p in CELLS[cell].params], dtype=torch.float64)
    return defaults[:, None] * (1.0 + 0.05 * numbers(*shape, seed=seed))


SLOW = pytest.mark.slow  # Every combination of cell and method is compiled by itself, which takes seconds.


@pytest.mark.parametrize(
    ("cell", "method"),
    [
        *((cell, "rk4") for cell in CELLS),
        ("chua", "dopri5"),
        pytest.param("vanderpol", "dopri5", marks=SLOW),
        pytest.param("lorenz", "dopri5", marks=SLOW),
        pytest.param("rossler", "dopri5", marks=SLOW),
    ],
)
def test_uncoupled_equals_the_reference(cell, method):
    """With drives and parameters that change from tick to tick, from point to point and from cell to cell."""
    count = len(CELLS[cell].params)
    inputs = ensemble(
        cell, points=2, n=200, method=method, drive=numbers(3, 2, 200, seed=2), params=own(cell, 3, 2, count, 200)
    )
    torch.testing.assert_close(kernel(**inputs), reference(**inputs), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(
    ("cell", "method", "topology", "mask"),
    [
        ("chua", "rk4", "random", 0b001),
        ("chua", "rk4", "ring", 0b001),
        pytest.param("rossler", "rk4", "all_to_all", 0b111, marks=SLOW),
        pytest.param("vanderpol", "rk4", "grid2d", 0b010, marks=SLOW),
        pytest.param("lorenz", "dopri5", "small_world", 0b001, marks=SLOW),
    ],
)
def test_coupled_equals_the_reference(cell, method, topology, mask):
    """Irregular graphs with cells that have no neighbour, regular ones and the mean field; ε differs by point and
    tick, and a sweep of speeds takes different numbers of steps."""
    inputs = ensemble(
        cell, points=2, n=36, topology=topology, degree=2 if topology == "random" else 4, mask=mask, method=method,
        coupling=torch.tensor([[0.2, 0.9], [0.0, 1.5], [3.0, 0.1]], dtype=torch.float64),
        steps=torch.tensor([[5, 3]]), h=torch.tensor([[0.004, 0.005]], dtype=torch.float64),
        drive=numbers(1, 1, 36, seed=2),
    )  # fmt: skip
    if topology == "random":
        assert 0 in inputs["degrees"]
    torch.testing.assert_close(kernel(**inputs), reference(**inputs), atol=1e-11, rtol=1e-11)


def test_single_precision_is_as_near_as_its_rounding():
    inputs = ensemble("chua", n=300, ticks=20, dtype=torch.float32)
    exact = reference(**inputs | {"s": inputs["s"].double()})
    torch.testing.assert_close(kernel(**inputs).double(), exact, atol=2e-5, rtol=2e-5)


def test_orbit_against_dop853():
    """Not only against our own reference: every cell of a Lorenz ensemble with its own ρ, by scipy."""
    rho = torch.linspace(20.0, 30.0, 5, dtype=torch.float64)
    params = torch.stack([torch.full((5,), 10.0).double(), rho, torch.full((5,), 8 / 3).double()]).view(1, 1, 3, 5)
    inputs = ensemble("lorenz", n=5, ticks=4, params=params, steps=torch.tensor([[500]]))
    inputs["h"] = torch.tensor([[0.001]], dtype=torch.float64)
    out = kernel(**inputs)
    for i, r in enumerate(rho.tolist()):
        exact = solve_ivp(
            lambda t, s, r=r: (10 * (s[1] - s[0]), s[0] * (r - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]),
            (0, 2), inputs["s"][0, :, i].numpy(), method="DOP853", rtol=1e-12, atol=1e-12, t_eval=[0.5, 1.0, 1.5, 2.0],
        )  # fmt: skip
        np.testing.assert_allclose(out[:, 0, :, i].numpy().T, exact.y, atol=1e-6)


@pytest.mark.parametrize(("method", "order"), [("rk4", 4), ("dopri5", 5)])
def test_order_of_convergence(method, order):
    """Halving the step divides the error by 2^order: Van der Pol over 2 units, against dopri5 at a tiny step."""

    def end(method, steps):
        inputs = ensemble("vanderpol", n=4, ticks=1, method=method, steps=torch.tensor([[steps]]))
        inputs["params"] = inputs["params"].expand(1, 1, 2, 4)
        return kernel(**inputs | {"h": torch.tensor([[2.0 / steps]], dtype=torch.float64)})

    exact = end("dopri5", 4000)
    errors = [float((end(method, steps) - exact).abs().max()) for steps in (40, 80)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


@pytest.mark.parametrize("mask", [0, 0b001])
def test_bits_do_not_depend_on_the_cut(mask, monkeypatch):
    """Ticks together or one by one, points together or one by one, one thread or three: the same bits."""
    inputs = ensemble(
        "chua", points=5, n=300, ticks=6, topology="grid2d", mask=mask,
        params=own("chua", 6, 5, 4, 1), drive=numbers(6, 5, 300),
        coupling=numbers(6, 5, seed=3).abs(),
    )  # fmt: skip
    whole = kernel(**inputs)
    axes = ("params", "drive", "coupling")
    s, ticks = inputs["s"], []
    for k in range(6):
        ticks.append(kernel(**inputs | {"s": s, "ticks": 1} | {name: inputs[name][k : k + 1] for name in axes}))
        s = ticks[-1][0]
    assert torch.equal(torch.cat(ticks), whole)
    for b in range(5):
        alone = {name: inputs[name][:, b : b + 1] for name in axes} | {"s": inputs["s"][b : b + 1]}
        assert torch.equal(kernel(**inputs | alone), whole[:, b : b + 1])
    monkeypatch.setattr("attractor.kernels.threads.SMALL", 1e-9)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert torch.equal(kernel(**inputs), whole)
    finally:
        torch.set_num_threads(before)


def test_bits_of_a_free_cell_do_not_depend_on_its_place():
    inputs = ensemble("chua", n=300, dtype=torch.float32)
    whole = kernel(**inputs)
    for low, high in ((0, 1), (7, 140), (129, 300)):
        part = kernel(**inputs | {"s": inputs["s"][..., low:high], "degrees": inputs["degrees"][low:high]})
        assert torch.equal(part, whole[..., low:high])


def test_a_lost_orbit_stays_lost_and_alone():
    inputs = ensemble("chua", n=40, ticks=2)
    inputs["s"][0, 0, 7] = float("nan")
    inputs["s"][0, 0, 9] = float("inf")
    out = kernel(**inputs)
    lost = ~torch.isfinite(out).all(2)
    assert lost[:, 0].nonzero()[:, 1].tolist() == [7, 9] * 2


def test_gradients_are_those_of_finite_differences():
    inputs = ensemble("chua", points=2, n=5, topology="ring", mask=0b001, ticks=2)
    names = ("s", "params", "drive", "coupling", "h")
    inputs |= {"drive": numbers(2, 2, 5, seed=4), "params": own("chua", 2, 2, 4, 1), "h": inputs["h"].expand(2, 2)}
    inputs["steps"] = torch.tensor([[2]])
    given = tuple(inputs[name].clone().requires_grad_() for name in names)

    def outcome(*values):
        return kernel(**inputs | dict(zip(names, values, strict=True)))

    assert torch.autograd.gradcheck(outcome, given)


def test_the_operator_is_known_to_torch():
    """Fake tensors, autograd registration, no hidden mutation or aliasing."""
    inputs = ensemble("chua", points=2, n=16, topology="ring", mask=0b001)
    torch.library.opcheck(operator.ode_ensemble, tuple(inputs.values()))
    free = ensemble("chua", n=16) | {"s": ensemble("chua", n=16)["s"].requires_grad_()}
    # Its gradient is that of the reference, which no compiler traces.
    untraced = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(operator.ode_ensemble, tuple(free.values()), test_utils=untraced)


def test_no_kernel_for_a_foreign_device():
    inputs = {k: v.to("meta") if isinstance(v, torch.Tensor) else v for k, v in ensemble("chua").items()}
    with pytest.raises(NotImplementedError, match="eager"):
        kernel(**inputs)
