"""Whole graphs: ticks a second in every tier, overhead of a node and tick, scaling, memory: `make bench`."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from attractor import GraphSpec, Plan, Preset, Registry, Session
from attractor.node import TensorNode
from attractor.parameter import Parameter
from attractor.port import Port
from attractor.tier_request import TIERS
from config.layers import ROOT
from tests.benchmarks.report import Side

pytestmark = pytest.mark.benchmark

BLOCK = 32
ENDLESS = 10**9


def ring_of_oscillators_and_samplers(pairs: int = 8, size: int = 64) -> Plan:
    """Oscillator arrays that drive samplers that drive the next array, two of them under control."""
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    for i in range(pairs):
        nodes += [
            {"id": f"osc{i}", "kind": "osc.array", "params": {"N": size, "coupling": 0.1, "mod_depth": 0.01}},
            {"id": f"ebm{i}", "kind": "ebm.gaussian", "params": {"N": size, "method": "exact"}},
        ]
        edges += [
            {"src": f"osc{i}.x", "dst": f"ebm{i}.input"},
            {"src": f"ebm{i}.x", "dst": f"osc{(i + 1) % pairs}.modulation", "delay": 1, "init": 0},
        ]
    for i in range(2):
        nodes += [
            {"id": f"pid{i}", "kind": "ctl.pid", "params": {}},
            {"id": f"set{i}", "kind": "gen.value", "params": {"value": 0.5}},
        ]
        edges += [
            {"src": f"osc{i}.sync", "dst": f"pid{i}.measurement"},
            {"src": f"set{i}.value", "dst": f"pid{i}.setpoint"},
        ]
    routes = [{"src": f"pid{i}.control", "dst": f"osc{i}.coupling", "depth": 0.01} for i in range(2)]
    return Plan.of(GraphSpec.parse({"nodes": nodes, "edges": edges, "routes": routes}))


def free_arrays(count: int = 4, size: int = 1024) -> Plan:
    """Large arrays that know nothing of each other: no feedback anywhere."""
    nodes = [{"id": f"osc{i}", "kind": "osc.array", "params": {"N": size}} for i in range(count)]
    return Plan.of(GraphSpec.parse({"nodes": nodes}))


def emergent_logic() -> Plan:
    """The preset as shipped: an array in a loop with a search that runs in Python."""
    return Plan.of(Preset.load(ROOT / "presets" / "emergent_logic.json").graph)


class Wire(TensorNode):
    """Hands its input on: what it costs is the overhead of a node."""

    kind, title, category, summary = "bench.wire", "Wire", "benchmark", "Hands on."
    inputs = (Port("a", "vector", ("N",), optional=True), Port("b", "vector", ("N",), optional=True))
    outputs = (Port("y", "vector", ("N",)),)
    params = (Parameter("N", "int", 16, min=1), Parameter("gain", "float", 1.0, live=True))

    def prepare(self, ctx):
        self.own = torch.ones(self.settings["N"])

    def step(self, state, inputs, params, ctx):
        return state, {"y": inputs["a"] if isinstance(inputs["a"], torch.Tensor) else self.own}


def wires(count: int, *, looped: bool, routes: int = 0) -> Plan:
    nodes = [{"id": f"n{i}", "kind": "bench.wire", "params": {}} for i in range(count)]
    edges: list[dict[str, Any]] = [{"src": f"n{i}.y", "dst": f"n{i + 1}.a"} for i in range(count - 1)]
    if looped:
        edges.append({"src": f"n{count - 1}.y", "dst": "n0.b", "delay": 1, "init": 0})
    modulation = [
        {"src": f"n{i}.y", "dst": f"n{i}.gain", "reduce": "mean", "transform": {"smooth_ms": 20}} for i in range(routes)
    ]
    document = {"nodes": nodes, "edges": edges, "routes": modulation}
    return Plan.of(GraphSpec.parse(document), Registry([Wire]))


def side(plan: Plan, tier: str) -> Side:
    """One block of a session that is warm already."""
    session = Session(plan, seed=1, ticks=ENDLESS, block=BLOCK, tier=tier)
    assert session.result().tier == tier, session.result().tier_reason
    blocks = iter(session)
    next(blocks)
    return Side(lambda: next(blocks), work=BLOCK)


@pytest.mark.parametrize("make", [ring_of_oscillators_and_samplers, free_arrays, emergent_logic])
def test_ticks_a_second_of_a_graph_in_every_tier(report, make):
    plan = make()
    sides = {tier: side(plan, tier) for tier in reversed(TIERS)}
    report.compare(f"{make.__name__}, {len(plan.nodes)} nodes", "ticks/s", sides, goals={"eager": 10})


@pytest.mark.parametrize(("looped", "routes"), [(False, 0), (True, 0), (True, 20)])
def test_overhead_of_a_node_and_tick(report, looped, routes):
    count = 20
    speed = report.compare(
        f"wires, {'looped' if looped else 'straight'}, {routes} routes", "ticks/s",
        {"eager": side(wires(count, looped=looped, routes=routes), "eager")},
    )["eager"]  # fmt: skip
    name = f"wires, {'looped' if looped else 'straight'}, {routes} routes"
    report.figure(name, "eager", 1e6 / speed.median / count, "µs per node and tick", goal="≤ 20")


@pytest.mark.parametrize("size", [16, 256, 4096])
def test_scaling_with_the_size_of_an_array(report, size):
    plan = free_arrays(1, size)
    report.compare(f"array of {size}", "ticks/s", {tier: side(plan, tier) for tier in ("compiled", "eager")})


def most_so_far() -> int:
    """The largest size in bytes that this process has had; that of getrusage begins with the size of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def grown(count: int, size: int) -> int:
    """Bytes that a run of arrays adds to the most that this process ever took: to be asked in a process of its own."""
    side(free_arrays(1, 16), "eager").call()
    before = most_so_far()
    side(free_arrays(count, size), "eager").call()
    return most_so_far() - before


def in_its_own_process(count: int, size: int) -> float:
    """MiB by which a run of arrays makes a new process grow. What ran before would hide what this one takes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(grown, count, size).result() / 2**20


def test_memory_of_a_graph_against_its_estimate(report, monkeypatch):
    name = "32 arrays of 4096"
    report.figure(name, "estimated", free_arrays(32, 4096).estimate.memory_bytes / 2**20, "MiB")
    # The C library keeps what is freed between the values of a block. Only where every tensor has pages of its own does
    # the size of the process say what is in use.
    report.figure(name, "process", in_its_own_process(32, 4096), "MiB")
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(1 << 14))
    report.figure(name, "in use", in_its_own_process(32, 4096), "MiB", goal="estimated ± 25 %")
