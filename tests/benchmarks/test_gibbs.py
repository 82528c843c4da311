"""Gibbs sweeps beside thrml: the same torus and random graph, couplings and temperature; flips and independent samples.

Both sides update the colours of the same proper colouring in turn, so that they run the same Markov chain; its
autocorrelation time is nevertheless measured on either side, and their energies are held against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import networkx as nx
import numpy as np
import pytest
import torch

from attractor.energy import Couplings, SpinModel
from attractor.energy.lattice_sampler import LatticeSampler
from attractor.energy.spin_sampler import SpinSampler, random_spins
from attractor.statistics.autocorrelation_time import autocorrelation_time
from tests.benchmarks.report import Side

pytestmark = pytest.mark.benchmark

T = 2.5
SWEEPS = 50
DRAWS = 2000
KEY = torch.tensor([11, 13])


@dataclass(frozen=True)
class Case:
    name: str
    size: int
    edges: np.ndarray
    weights: np.ndarray
    chains: int

    @property
    def model(self) -> SpinModel:
        return SpinModel.of(Couplings.of_edges(self.size, self.edges, torch.from_numpy(self.weights)), temperature=T)


def case(kind: str, size: int, chains: int) -> Case:
    rng = np.random.default_rng(1)
    if kind == "torus":
        side = int(size**0.5)
        graph = nx.convert_node_labels_to_integers(nx.grid_2d_graph(side, side, periodic=True))
    else:
        graph = nx.gnm_random_graph(size, 2 * size, seed=1)
    edges = np.array(graph.edges)
    weights = rng.standard_normal(len(edges)).astype(np.float32)
    return Case(f"{kind} {size}, {chains} chain{'s' * (chains > 1)}", size, edges, weights, chains)


class Ours:
    """`sweeps` sweeps of a case by the kernel, and a series of energies."""

    def __init__(self, case: Case) -> None:
        self.model = case.model
        self.sampler = SpinSampler(self.model, kernels=True)
        uniform = torch.rand(case.size, case.chains, generator=torch.Generator().manual_seed(0))
        self.spins = random_spins(uniform)
        self.tick = 0

    def sweep(self, sweeps: int) -> None:
        self.spins = self.sampler(self.spins, KEY, self.tick, sweeps)
        self.tick += 1

    def energies(self, draws: int) -> np.ndarray:
        self.sweep(200)
        found = []
        for _ in range(draws):
            self.sweep(1)
            found.append(self.model.energy(self.spins.mT))
        return torch.stack(found, -1).double().numpy()


class Thrml:
    """The same by thrml, compiled once, chains by `jax.vmap`."""

    def __init__(self, case: Case) -> None:
        import jax
        import jax.numpy as jnp
        import thrml
        from thrml.models.ising import IsingEBM, IsingSamplingProgram

        self.jax = jax
        self.model = case.model
        nodes = [thrml.SpinNode() for _ in range(case.size)]
        edges = [(nodes[i], nodes[j]) for i, j in case.edges]
        ebm = IsingEBM(nodes, edges, jnp.zeros(case.size), jnp.asarray(case.weights), jnp.asarray(1.0 / T))
        blocks = self.model.colouring.blocks()
        self.order = np.argsort(np.concatenate(blocks))
        free = [thrml.Block([nodes[i] for i in block]) for block in blocks]
        program = IsingSamplingProgram(ebm, free, [])
        rng = np.random.default_rng(0)
        self.state = [jnp.asarray(rng.random((case.chains, len(block))) < 0.5) for block in blocks]

        def run(schedule: thrml.SamplingSchedule, key: jax.Array, state: list[jax.Array]) -> list[jax.Array]:
            return thrml.sample_states(key, program, schedule, state, [], free)

        def many(schedule: thrml.SamplingSchedule):
            return jax.jit(jax.vmap(partial(run, schedule)))

        self.last = {n: many(thrml.SamplingSchedule(n, 1, 1)) for n in (SWEEPS - 1, 199)}
        self.series = many(thrml.SamplingSchedule(0, DRAWS, 1))
        self.key = jax.random.key(1)
        self.chains = case.chains

    def sweep(self, sweeps: int) -> None:
        self.key, own = self.jax.random.split(self.key)
        drawn = self.last[sweeps - 1](self.jax.random.split(own, self.chains), self.state)
        self.state = [part[:, -1] for part in self.jax.block_until_ready(drawn)]

    def energies(self, draws: int) -> np.ndarray:
        self.sweep(200)
        drawn = self.series(self.jax.random.split(self.key, self.chains), self.state)
        up = np.concatenate([np.asarray(part) for part in drawn], axis=-1)[..., self.order]
        spins = torch.from_numpy(np.where(up, np.int8(1), np.int8(-1)))
        return self.model.energy(spins).double().numpy()


@pytest.mark.parametrize(
    ("kind", "size", "chains", "goal"),
    [("torus", 4096, 64, 10), ("random", 4096, 64, 10), ("torus", 4096, 1, 5), ("torus", 65536, 1, 5)],
)
def test_flips_and_independent_samples_beside_thrml(report, kind, size, chains, goal):
    pytest.importorskip("thrml")
    one = case(kind, size, chains)
    ours, theirs = Ours(one), Thrml(one)
    flips = SWEEPS * size * chains
    speeds = report.compare(
        one.name, "flips/s",
        {"kernel": Side(partial(ours.sweep, SWEEPS), flips), "thrml": Side(partial(theirs.sweep, SWEEPS), flips)},
        goals={"thrml": goal},
    )  # fmt: skip
    series = {"kernel": ours.energies(DRAWS), "thrml": theirs.energies(DRAWS)}
    means, independent = {}, {}
    for name, energy in series.items():
        tau = float(autocorrelation_time(energy))
        means[name] = energy.mean(), energy.std() * (tau / energy.size) ** 0.5
        independent[name] = speeds[name].median / size / tau
        report.figure(one.name, f"{name}: autocorrelation time of the energy", tau, "sweeps")
        report.figure(one.name, f"{name}: independent samples", independent[name], "1/s")
    ratio = independent["kernel"] / independent["thrml"]
    report.figure(one.name, "independent samples, kernel / thrml", ratio, "", f"≥ {goal}")
    # The same law on both sides, or the comparison is worth nothing.
    difference = means["kernel"][0] - means["thrml"][0]
    assert abs(difference) < 6 * np.hypot(means["kernel"][1], means["thrml"][1])


@pytest.mark.parametrize("side", [64, 256, 1024])
def test_packed_lattice(report, side):
    size, chains = side * side, 64
    edges = np.array(nx.convert_node_labels_to_integers(nx.grid_2d_graph(side, side, periodic=True)).edges)
    signs = np.where(np.random.default_rng(1).random(len(edges)) < 0.5, 1.0, -1.0).astype(np.float32)
    model = SpinModel.of(Couplings.of_edges(size, edges, torch.from_numpy(signs)), temperature=1.0)
    packed = LatticeSampler(model, (side, side), kernels=True)
    general = SpinSampler(model, kernels=True)
    spins = random_spins(torch.rand(size, chains, generator=torch.Generator().manual_seed(0)))
    work = SWEEPS * size * chains
    speeds = report.compare(
        f"±J {side}², {chains} chains", "flips/s",
        {
            "packed": Side(lambda: packed(spins, KEY, 0, SWEEPS), work),
            "general graph": Side(lambda: general(spins, KEY, 0, SWEEPS), work),
        },
    )  # fmt: skip
    report.figure(f"±J {side}², {chains} chains", "packed", speeds["packed"].median / 1e9, "flips/ns", "≥ 2")


@pytest.mark.parametrize("chains", [1, 4, 16, 64, 256, 1024])
def test_scaling_over_chains(report, chains):
    one = case("torus", 4096, chains)
    ours = Ours(one)
    report.compare(f"scaling: {one.name}", "flips/s", {"kernel": Side(partial(ours.sweep, 10), 10 * 4096 * chains)})
