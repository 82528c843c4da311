"""The operator against its torch reference, and the reference against closed forms that no code of ours made."""

import itertools
import math

import numpy as np
import pytest
import torch

from attractor.kernels.fdtd import BOUNDARIES, CourantViolated, Grid, OutOfRange, kernel, reference

SIZES = [(40, 17), (33, 130), (24, 22, 33)]  # odd, one more than a vector, and both more and less than two of them


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def start(size, boundary, *batch, dtype=torch.float32, layer=5):
    grid = Grid(len(size), 1.0, 0.3, boundary, layer)
    p = noise(*batch, *size, dtype=dtype)
    memory = [0.1 * noise(*one.shape, seed=2, dtype=dtype) for one in grid.memory(p)]
    return grid, p, 0.1 * noise(*p.shape, seed=1, dtype=dtype), memory


def assert_same(after, expected):
    assert torch.equal(after[0], expected[0])
    assert torch.equal(after[1], expected[1])
    for one, other in zip(after[2], expected[2], strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(after[3], expected[3], rtol=1e-5, atol=0)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", SIZES)
def test_kernel_equals_the_reference_bit_for_bit(size, boundary):
    """Over rounds of several steps, with and without a source, alone and in a batch of different speeds."""
    grid, p, d, memory = start(size, boundary)
    source = noise(*size, seed=3)
    for fed, steps in itertools.product((None, source), (1, 11)):
        assert_same(
            kernel(p, d, memory, fed, 1.0, 0.05, grid, steps), reference(p, d, memory, fed, 1.0, 0.05, grid, steps)
        )
    grid, p, d, memory = start(size, boundary, 2)
    c = torch.tensor([1.0, 0.7], dtype=torch.float64)
    gamma = torch.tensor([0.0, 0.4], dtype=torch.float64)
    after = kernel(p, d, memory, source, c, gamma, grid, 9)
    assert_same(after, reference(p, d, memory, source, c, gamma, grid, 9))
    for b in range(2):
        alone = kernel(p[b], d[b], [one[b] for one in memory], source, float(c[b]), float(gamma[b]), grid, 9)
        assert_same(alone, (after[0][b], after[1][b], [one[b] for one in after[2]], after[3][b]))


@pytest.mark.parametrize("size", [(8, 64), (3, 40), (5, 6, 7)])
def test_many_steps_go_around_a_grid_of_few_planes(size):
    grid, p, d, memory = start(size, "periodic")
    assert_same(kernel(p, d, memory, None, 1.0, 0.05, grid, 33), reference(p, d, memory, None, 1.0, 0.05, grid, 33))


@pytest.mark.slow
def test_double_precision_kernel_equals_the_reference():
    grid, p, d, memory = start((33, 50), "mur1", dtype=torch.float64)
    assert_same(kernel(p, d, memory, None, 1.0, 0.05, grid, 11), reference(p, d, memory, None, 1.0, 0.05, grid, 11))


@pytest.mark.parametrize("size", [(70, 40), (30, 17, 14)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_bands_of_planes_change_nothing(boundary, size):
    """Also where a layer of 5 planes is cut, or is nearly all of a band."""
    from attractor.kernels.cpu import fdtd as cpu
    from attractor.kernels.fdtd import _factors

    grid, p, d, memory = start(size, boundary, 2)
    table, decay = (one.contiguous().numpy() for one in _factors(p, 1.0, 0.05, grid))
    planes = p.reshape(2, size[0], -1, size[-1]).numpy(), d.reshape(2, size[0], -1, size[-1]).numpy()
    layers = [one.reshape(2, -1).numpy() for one in memory]
    source = np.empty((0, *planes[0].shape[1:]), np.float32)
    found = [
        cpu.advance(*planes, layers, source, table, decay, 8, cpu.BOUNDARIES[boundary], bands) for bands in (1, 2, 3, 5)
    ]
    for one, other, kept in found[1:]:
        assert np.array_equal(one, found[0][0])
        assert np.array_equal(other, found[0][1])
        for layer, expected in zip(kept, found[0][2], strict=True):
            assert np.array_equal(layer, expected)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "boundary"), [((600, 500), "reflecting"), ((600, 500), "pml"), ((80, 70, 60), "pml")])
def test_threads_change_nothing(size, boundary):
    """A grid large enough to be shared among as many threads as there are."""
    grid, p, d, memory = start(size, boundary)
    assert_same(kernel(p, d, memory, None, 1.0, 0.05, grid, 9), reference(p, d, memory, None, 1.0, 0.05, grid, 9))


def test_inputs_are_left_as_they_are():
    grid, p, d, memory = start((40, 33), "pml")
    before = [one.clone() for one in (p, d, *memory)]
    kernel(p, d, memory, None, 1.0, 0.0, grid, 3)
    for one, other in zip(before, (p, d, *memory), strict=True):
        assert torch.equal(one, other)


def test_torch_accepts_the_operator():
    from attractor.kernels.fdtd import _factors, _flat, _operator

    grid, p, d, memory = start((24, 18), "pml", dtype=torch.float64)
    arguments = (*_flat(p, d, memory, noise(24, 18, dtype=torch.float64), grid), *_factors(p, 1.0, 0.1, grid), "pml", 2)
    torch.library.opcheck(
        _operator, arguments, test_utils=("test_schema", "test_faketensor", "test_autograd_registration")
    )


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("advance", [reference, kernel])
def test_gradients_are_those_of_finite_differences(advance, boundary):
    grid, p, d, memory = start((16, 17), boundary, dtype=torch.float64, layer=4)
    source = noise(16, 17, seed=4, dtype=torch.float64)
    c, gamma = torch.tensor(0.8, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    look = noise(16, 17, seed=5, dtype=torch.float64)

    def loss(p, d, source, c, gamma):
        after = advance(p, d, memory, source, c, gamma, grid, 5)
        return (look * after[0]).sum() + 1e-3 * after[3]

    inputs = [one.clone().requires_grad_() for one in (p, d, source, c, gamma)]
    assert torch.autograd.gradcheck(loss, inputs, fast_mode=True, rtol=1e-4, eps=1e-6)


def mode(size, boundary, numbers):
    """A standing wave on the grid, and the eigenvalue of −dx²∇²: Strang, the discrete sine and Fourier bases."""
    shape, eigenvalue = torch.ones(()), 0.0
    for n, number in zip(size, numbers, strict=True):
        x = torch.arange(n, dtype=torch.float64)
        angle = 2 * math.pi * number / n if boundary == "periodic" else math.pi * number / (n + 1)
        factor = torch.cos(angle * x) if boundary == "periodic" else torch.sin(angle * (x + 1))
        shape = shape.unsqueeze(-1) * factor
        eigenvalue += 4 * math.sin(angle / 2) ** 2
    return shape, eigenvalue


@pytest.mark.parametrize("boundary", ["periodic", "reflecting"])
@pytest.mark.parametrize(("size", "numbers"), [((32, 20), (2, 1)), ((16, 18, 17), (1, 2, 1))])
@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_a_standing_wave_obeys_the_damped_recurrence(size, boundary, numbers, gamma):
    """A mode with eigenvalue λ follows (1 + a)z² − (2 − c²dt²λ)z + (1 − a) = 0, a = γdt/2: two roots, written out."""
    dt, c, n = 0.3, 0.9, 40
    grid = Grid(len(size), 1.0, dt, boundary)
    shape, eigenvalue = mode(size, boundary, numbers)
    a = gamma * dt / 2
    roots = np.roots([1 + a, -(2 - (c * dt) ** 2 * eigenvalue), 1 - a])
    # p_0 = p_{-1} = 1
    weights = np.linalg.solve(np.array([[1, 1], 1 / roots]), [1, 1])
    p, *_ = reference(shape, torch.zeros_like(shape), [], None, c, gamma, grid, n)
    torch.testing.assert_close(p, float((weights @ roots**n).real) * shape, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("boundary", ["periodic", "reflecting"])
@pytest.mark.parametrize("size", [(30, 21), (16, 17, 18)])
def test_energy_is_conserved_in_a_closed_grid(size, boundary):
    """The staggered product form is conserved exactly: the rounding of double precision is all that is left."""
    grid, p, d, memory = start(size, boundary, dtype=torch.float64)
    energies = []
    for _ in range(10):
        p, d, memory, energy = reference(p, d, memory, None, 1.0, 0.0, grid, 20)
        energies.append(float(energy))
    assert energies[0] > 0
    assert max(energies) / min(energies) - 1 < 1e-12


def test_energy_is_the_formula_of_the_field_and_the_one_before():
    """½Σ[(p − p⁻)²/dt² + c²∇p·∇p⁻], by numpy, with dx and c that are not 1 and without an absolute value."""
    p, before = noise(20, 16, dtype=torch.float64).numpy(), noise(20, 16, seed=1, dtype=torch.float64).numpy()
    grid = Grid(2, 2.0, 0.4, "reflecting")
    # A step that changes nothing but p⁻ → p: c as good as 0 and no damping.
    after = reference(torch.from_numpy(before), torch.from_numpy(p - before), [], None, 1e-9, 0.0, grid)
    _, d, _, kinetic = after
    assert float(kinetic) == pytest.approx(0.5 * float((d.numpy() ** 2).sum()) / 0.4**2, rel=1e-9)
    moved = reference(torch.from_numpy(p), torch.zeros(20, 16, dtype=torch.float64), [], None, 3.0, 0.0, grid)
    last, now = p, moved[0].numpy()
    gradients = [np.diff(np.pad(one, 1), axis=axis)[cut] / 2.0 for one in (now, last) for axis, cut in
                 ((0, (slice(None), slice(1, -1))), (1, (slice(1, -1), slice(None))))]  # fmt: skip
    potential = sum((a * b).sum() for a, b in zip(gradients[:2], gradients[2:], strict=True))
    expected = 0.5 * (((now - last) ** 2).sum() / 0.4**2 + 9.0 * potential)
    assert float(moved[3]) == pytest.approx(expected, rel=1e-12)


def test_single_precision_keeps_the_energy_at_a_small_courant_number():
    """c·dt/dx = 0.01, where 2p − p⁻ loses the increment: 20,000 steps move the energy by less than 10⁻⁵."""
    grid = Grid(2, 1.0, 0.01, "reflecting")
    shape, _ = mode((16, 16), "reflecting", (1, 1))
    p = shape.float()
    p, d, _, first = kernel(p, torch.zeros_like(p), [], None, 1.0, 0.0, grid, 1)
    _, _, _, last = kernel(p, d, [], None, 1.0, 0.0, grid, 20_000)
    assert float(last) == pytest.approx(float(first), rel=1e-5)


def pulse(size, place, width=3.0):
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    away = sum((x - x0) ** 2 for x, x0 in zip(axes, place, strict=True))
    return torch.exp(-away / (2 * width**2))


@pytest.mark.parametrize(("boundary", "most"), [("mur1", 0.172), ("pml", 1e-3), ("reflecting", 10.0)])
def test_what_comes_back_from_the_edge(boundary, most):
    """Against the same pulse on a grid so large that nothing can come back, relative to its height at the edge.

    Mur's first order reflects (1 − cos 45°)/(1 + cos 45°) = 0.172 of what meets the corners, and less elsewhere.
    """
    steps = 130
    small, large = (64, 64), (192, 192)
    kwargs = {"dx": 1.0, "dt": 0.5, "layer": 12}
    grid, free = Grid(2, boundary=boundary, **kwargs), Grid(2, boundary="reflecting", **kwargs)
    p, q = pulse(small, (31.5, 31.5)), pulse(large, (95.5, 95.5))
    here = reference(p, torch.zeros_like(p), grid.memory(p), None, 1.0, 0.0, grid, steps)[0]
    there = reference(q, torch.zeros_like(q), [], None, 1.0, 0.0, free, steps)[0][64:128, 64:128]
    inside = slice(14, 50)
    error = float((here - there)[inside, inside].abs().max())
    arriving = reference(q, torch.zeros_like(q), [], None, 1.0, 0.0, free, 64)[0]
    crossing = float(arriving[95, 64].abs())  # its height on the way through the edge of the small grid
    assert error / crossing < most
    if boundary == "reflecting":
        assert error / crossing > 0.3, "the zero edge reflects"


@pytest.mark.parametrize("boundary", ["mur1", "pml"])
def test_absorbing_edges_of_a_cube_let_the_energy_out(boundary):
    size = (28, 30, 29)
    grid = Grid(3, 1.0, 0.5, boundary, 6)
    p = pulse(size, (14, 15, 14), 2.5)
    p, d, memory, first = reference(p, torch.zeros_like(p), grid.memory(p), None, 1.0, 0.0, grid)
    _, _, _, last = reference(p, d, memory, None, 1.0, 0.0, grid, 150)
    assert 0 <= float(last) < 5e-3 * float(first)


@pytest.mark.parametrize("advance", [reference, kernel])
def test_refuses_an_unstable_step(advance):
    p = torch.zeros(16, 16)
    limit = 1 / math.sqrt(2)
    advance(p, p, [], None, limit, 0.0, Grid(2, dt=1.0))
    with pytest.raises(CourantViolated, match=r"0\.72 is beyond the limit 1/√2 = 0\.7071"):
        advance(p, p, [], None, 0.72, 0.0, Grid(2, dt=1.0))
    with pytest.raises(CourantViolated):
        advance(p, p, [], None, torch.tensor([0.1, 0.8]), 0.0, Grid(2, dt=1.0))
    cube = torch.zeros(16, 16, 16)
    with pytest.raises(CourantViolated, match="√3"):
        advance(cube, cube, [], None, 0.6, 0.0, Grid(3, dt=1.0))
    with pytest.raises(CourantViolated):
        advance(p, p, [], None, float("nan"), 0.0, Grid(2, dt=1.0))


@pytest.mark.parametrize("advance", [reference, kernel])
def test_refuses_what_has_no_meaning(advance):
    p = torch.zeros(16, 16)
    with pytest.raises(OutOfRange, match="damping"):
        advance(p, p, [], None, 1.0, -0.1, Grid(2))
    with pytest.raises(OutOfRange, match="speed"):
        advance(p, p, [], None, -1.0, 0.1, Grid(2))
    with pytest.raises(ValueError, match="source"):
        advance(p, p, [], torch.zeros(16, 15), 1.0, 0.1, Grid(2))
    with pytest.raises(ValueError, match="too small"):
        advance(p, p, [], None, 1.0, 0.1, Grid(2, boundary="pml"))
    with pytest.raises(ValueError, match="dims"):
        Grid(1)
    with pytest.raises(ValueError, match="none of"):
        Grid(2, boundary="open")
