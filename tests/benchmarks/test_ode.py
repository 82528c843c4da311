"""Steps a second of oscillator ensembles, beside a C loop, diffrax, torchdiffeq and scipy at equal order and step.

The C loop is compiled by the gcc of the machine, with one thread; beside it our kernel has one thread too. The other
peers have all cores, as their users would give them, and so has our kernel beside them.
"""

import ctypes
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from attractor.kernels.ode_ensemble import kernel, neighbour_table, reference
from attractor.oscillators import CELLS
from attractor.topology import make_topology
from tests.benchmarks.report import Report, Side

pytestmark = pytest.mark.benchmark

STEP = 0.005
SHORT = 200
"""Steps after which two orbits that differ in rounding are still close."""
WORK = 2**21
"""Steps of single cells in a call: what a call costs before its first step does not show."""
CASES = [("chua", 1024), ("lorenz", 65_536)]


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C loops."""
    library = tmp_path_factory.mktemp("peer") / "ode_ensemble.so"
    source = Path(__file__).with_name("ode_ensemble.c")
    command = ["gcc", "-O3", "-march=native", "-shared", "-fPIC", str(source), "-o", str(library)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return ctypes.CDLL(str(library))


def start(cell: str, n: int) -> torch.Tensor:
    noise = 0.3 * torch.randn(1, 3, n, generator=torch.Generator().manual_seed(1))
    return torch.tensor(CELLS[cell].start).view(1, 3, 1) + noise


def parameters(cell: str) -> list[float]:
    return [float(parameter.default) for parameter in CELLS[cell].params]


def inputs(
    cell: str, n: int, method: str, steps: int, topology: str = "none", mask: int = 0
) -> tuple[Any, ...]:  # fmt: skip
    graph = make_topology(topology, n, 4, 0.0, lambda size, lane: np.random.default_rng(lane).random(size))
    params = torch.tensor(parameters(cell), dtype=torch.float64).view(1, 1, -1, 1)
    return (
        start(cell, n), params, None, torch.full((1, 1), 0.3, dtype=torch.float64), torch.full((1, 1), steps),
        torch.full((1, 1), STEP, dtype=torch.float64), neighbour_table(graph), torch.from_numpy(graph.degrees), 1,
        cell, method, mask,
    )  # fmt: skip


def pointer(array: np.ndarray[Any, Any]) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def c_side(loop: ctypes.CDLL, cell: str, n: int, steps: int, strip: int) -> Callable[[], np.ndarray[Any, Any]]:
    function = getattr(loop, f"rk4_{cell}")
    p = np.array(parameters(cell), np.float32)

    def call() -> np.ndarray[Any, Any]:
        s = start(cell, n)[0].numpy().copy()
        function(*map(pointer, s), n, strip, steps, ctypes.c_float(STEP), pointer(p))
        return s

    return call


def field(cell: str, maximum: Callable[..., Any], minimum: Callable[..., Any], stack: Callable[..., Any]) -> Any:
    """The equation for states (3, N), in the operations of a library."""
    p = parameters(cell)

    def chua(s: Any) -> Any:
        x, y, z = s[0], s[1], s[2]
        diode = p[3] * x + (p[2] - p[3]) * minimum(maximum(x, -1.0), 1.0)
        return stack((p[0] * (y - x - diode), x - y + z, -p[1] * y))

    def lorenz(s: Any) -> Any:
        x, y, z = s[0], s[1], s[2]
        return stack((p[0] * (y - x), x * (p[1] - z) - y, x * y - p[2] * z))

    return {"chua": chua, "lorenz": lorenz}[cell]


def torchdiffeq_side(cell: str, n: int, steps: int) -> Callable[[], Any]:
    torchdiffeq = pytest.importorskip("torchdiffeq", reason="a peer: `make bench` installs it")
    slope = field(cell, lambda x, low: torch.clamp(x, min=low), lambda x, high: torch.clamp(x, max=high), torch.stack)
    times = torch.tensor([0.0, STEP * steps])

    def call() -> Any:
        with torch.no_grad():
            return torchdiffeq.odeint(
                lambda t, s: slope(s), start(cell, n)[0], times, method="rk4", options={"step_size": STEP}
            )[-1]

    return call


def diffrax_side(cell: str, n: int, steps: int) -> Callable[[], Any]:
    diffrax = pytest.importorskip("diffrax", reason="a peer: `make bench` installs it")
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    slope = field(cell, jnp.maximum, jnp.minimum, jnp.stack)
    term = diffrax.ODETerm(lambda t, s, args: slope(s))

    @jax.jit
    def solve(s: Any) -> Any:
        return diffrax.diffeqsolve(
            term, diffrax.Dopri5(), 0.0, STEP * steps, STEP, s, saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.ConstantStepSize(), max_steps=steps + 8,
        ).ys[0]  # fmt: skip

    first = jnp.asarray(start(cell, n)[0].numpy())
    return lambda: solve(first).block_until_ready()


def scipy_side(cell: str, n: int, steps: int) -> Callable[[], Any]:
    """RK45 is Dormand and Prince; tolerances that never bind leave it at the largest step."""
    slope = field(cell, np.maximum, np.minimum, np.stack)

    def call() -> Any:
        return solve_ivp(
            lambda t, s: slope(s.reshape(3, n)).reshape(-1), (0.0, STEP * steps), start(cell, n)[0].numpy().reshape(-1),
            "RK45", first_step=STEP, max_step=STEP, rtol=1e3, atol=1e3, t_eval=[STEP * steps],
        ).y  # fmt: skip

    return call


@pytest.mark.parametrize(("cell", "n"), CASES)
def test_per_core_beside_c(report: Report, loop: ctypes.CDLL, one_thread: None, cell: str, n: int) -> None:
    short = c_side(loop, cell, n, SHORT, n)
    np.testing.assert_allclose(kernel(*inputs(cell, n, "rk4", SHORT))[0, 0].numpy(), short(), atol=5e-3)
    steps = WORK // n
    ours = inputs(cell, n, "rk4", steps)
    naive, strips = (c_side(loop, cell, n, steps, strip) for strip in (n, 256))
    work = float(n * steps)
    report.compare(
        f"{n} {cell} cells, RK4, one core", "steps/s",
        {
            "kernel": Side(lambda: kernel(*ours), work),
            "gcc -O3 -march=native": Side(naive, work),
            "gcc, cells in strips of 256": Side(strips, work),
        },
        goals={"gcc -O3 -march=native": 0.7},
    )  # fmt: skip


def test_coupled_per_core_beside_c(report: Report, loop: ctypes.CDLL, one_thread: None) -> None:
    n = 1024
    ours = inputs("chua", n, "rk4", SHORT, "ring", 0b001)
    table = ours[6].numpy()
    p = np.array(parameters("chua"), np.float32)
    scratch = [np.empty(size * n, np.float32) for size in (3, 12, 1)]

    def call() -> np.ndarray[Any, Any]:
        s = start("chua", n)[0].numpy().copy()
        h, coupling = ctypes.c_float(STEP), ctypes.c_float(0.3)
        loop.rk4_coupled_chua(pointer(s), *map(pointer, scratch), pointer(table), 4, n, SHORT, h, coupling, pointer(p))
        return s

    np.testing.assert_allclose(kernel(*ours)[0, 0].numpy(), call(), atol=5e-3)
    work = float(n * SHORT)
    report.compare(
        "1024 chua cells on a ring of degree 4, RK4, one core", "steps/s",
        {"kernel": Side(lambda: kernel(*ours), work), "gcc -O3 -march=native": Side(call, work)},
        goals={"gcc -O3 -march=native": 0.7},
    )  # fmt: skip


@pytest.mark.parametrize(("cell", "n"), CASES)
def test_beside_diffrax_and_scipy(report: Report, cell: str, n: int) -> None:
    short = np.asarray(diffrax_side(cell, n, SHORT)())
    np.testing.assert_allclose(kernel(*inputs(cell, n, "dopri5", SHORT))[0, 0].numpy(), short, atol=5e-3)
    steps = WORK // n
    ours, peer, scipy_peer = inputs(cell, n, "dopri5", steps), diffrax_side(cell, n, steps), scipy_side(cell, n, steps)
    work = float(n * steps)
    report.compare(
        f"{n} {cell} cells, Dormand–Prince, all cores", "steps/s",
        {
            "kernel": Side(lambda: kernel(*ours), work),
            "diffrax Dopri5": Side(peer, work),
            "scipy RK45": Side(scipy_peer, work),
        },
        goals={"diffrax Dopri5": 10},
    )  # fmt: skip


@pytest.mark.parametrize(("cell", "n"), CASES)
def test_beside_torchdiffeq(report: Report, cell: str, n: int) -> None:
    short = torchdiffeq_side(cell, n, SHORT)().numpy()
    np.testing.assert_allclose(kernel(*inputs(cell, n, "rk4", SHORT))[0, 0].numpy(), short, atol=5e-3)
    steps = WORK // n
    ours, peer = inputs(cell, n, "rk4", steps), torchdiffeq_side(cell, n, steps)
    work = float(n * steps)
    report.compare(
        f"{n} {cell} cells, RK4, all cores", "steps/s",
        {
            "kernel": Side(lambda: kernel(*ours), work),
            "torchdiffeq rk4": Side(peer, work),
            "our torch reference": Side(lambda: reference(*ours), work),
        },
        goals={"torchdiffeq rk4": 20},
    )  # fmt: skip


def test_scaling_over_cells(report: Report, one_thread: None) -> None:
    for n in (16, 256, 4096, 65_536):
        steps = WORK // n
        ours = inputs("chua", n, "rk4", steps)
        report.compare(
            f"{n} chua cells, RK4, one core", "steps/s",
            {"kernel": Side(lambda ours=ours: kernel(*ours), float(n * steps))},
        )  # fmt: skip
