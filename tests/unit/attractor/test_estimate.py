"""The estimate of a plan against what its run is measured to take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from meter import Meter

from attractor import GraphSpec, Plan, Preset, Session
from attractor.sweep import Sweep
from attractor.sweep_axis import Axis

BOUND = 0.25
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Case:
    """A graph, and the ticks over which its work is counted, after `skip` others."""

    spec: GraphSpec
    ticks: int = 34
    skip: int = 0


def graph(
    *nodes: tuple[str, str, dict[str, Any]], edges: tuple[Any, ...] = (), routes: tuple[Any, ...] = (), **case: int
) -> Case:
    """A case of nodes (id, kind, params), edges (source, target[, further keys]) and routes."""
    document = {
        "nodes": [{"id": name, "kind": kind, "params": params} for name, kind, params in nodes],
        "edges": [{"src": edge[0], "dst": edge[1], **(edge[2] if len(edge) > 2 else {})} for edge in edges],
        "routes": list(routes),
    }
    return Case(GraphSpec.parse(document), **case)


def vector(n: int) -> dict[str, Any]:
    return {"type": "vector", "values": [((7 * k) % 11 - 5) / 5 for k in range(n)]}


def places(n: int, size: tuple[int, ...]) -> list[list[float]]:
    return [[(3.7 * k * (axis + 1)) % (side - 1) for axis, side in enumerate(size)] for k in range(n)]


def wave(size: list[int], boundary: str, steps: int) -> Case:
    params = {"dims": len(size), "size": size, "boundary": boundary, "steps": steps, "pml_width": 8, "dt": 0.1}
    return graph(("wave", "field.wave", params))


ISING = ("ising", "ebm.ising", {"N": 256, "chains": 8, "sweeps": 1})
SPINS = ("ising", "ebm.ising", {"N": 36, "chains": 500, "sweeps": 1})

CASES = {
    "ring of chua cells": graph(("a", "osc.array", {"N": 2048, "topology": "ring", "degree": 6, "speed": 2.0})),
    "noisy torus of lorenz cells": graph(
        ("a", "osc.array", {"cell": "lorenz", "N": 900, "topology": "grid2d", "noise": 0.1, "speed": 4.0}),
    ),
    "small world of van der pol cells": graph(
        ("a", "osc.array", {"cell": "vanderpol", "N": 1000, "topology": "small_world", "degree": 8, "speed": 2.0,
                            "method": "dopri5", "couple_var": "xyz"}),
    ),
    "rossler cells, all to all": graph(
        ("a", "osc.array", {"cell": "rossler", "N": 3000, "topology": "all_to_all", "couple_var": "y"}),
    ),
    "random graph of chua cells": graph(
        ("a", "osc.array", {"N": 1500, "topology": "random", "degree": 5, "couple_var": "xyz"}),
    ),
    "two driven oscillators": graph(
        ("a", "osc.lorenz", {"samples": 4096}), ("b", "osc.vanderpol", {"samples": 2000, "method": "dopri5"}),
        edges=(("a.x", "b.force", {"reduce": "last"}),),
    ),
    "periodic wave": wave([256, 192], "periodic", 2),
    "reflecting wave": wave([128, 160], "reflecting", 5),
    "wave with mur's edge": wave([200, 200], "mur1", 3),
    "wave with an absorbing layer": wave([128, 128], "pml", 3),
    "wave in 3-D, periodic": wave([40, 36, 32], "periodic", 1),
    "wave in 3-D, absorbing layer": wave([32, 32, 40], "pml", 2),
    "wave in 3-D, mur's edge": wave([48, 32, 32], "mur1", 1),
    "beam": graph(("beam", "field.wave_complex", {"size": [128, 160], "steps": 2, "n2k": 1.0})),
    "beam with an absorbing layer": graph(
        ("beam", "field.wave_complex", {"size": [128, 96], "steps": 3, "boundary": "pml", "pml_width": 8}),
    ),
    "sources, wave and probes": graph(
        ("amplitude", "gen.value", vector(200)),
        ("splat", "field.source", {"size": [96, 128], "positions": places(200, (96, 128))}),
        ("wave", "field.wave", {"size": [96, 128], "dt": 0.1}),
        ("probe", "field.probe", {"positions": places(2000, (96, 128))}),
        edges=(("amplitude.value", "splat.amplitude"), ("splat.field", "wave.source"), ("wave.field", "probe.field")),
    ),
    "gaussian field, exact": graph(("g", "ebm.gaussian", {"N": 700, "samples": 10, "chains": 8})),
    "gaussian field, gibbs": graph(
        ("g", "ebm.gaussian", {"N": 1024, "method": "gibbs", "samples": 2, "sweeps": 2, "chains": 16}),
    ),
    "gaussian field, langevin": graph(
        ("g", "ebm.gaussian", {"N": 1000, "graph": "ring", "method": "langevin", "step": 0.01, "samples": 4,
                               "chains": 12}),
    ),
    "ising grid": graph(("i", "ebm.ising", {"N": 1024, "chains": 100, "sweeps": 3})),
    "ising grid of bits": graph(
        ("i", "ebm.ising", {"N": 1024, "chains": 64, "sweeps": 2, "J_init": "edwards_anderson_pm1"}),
    ),
    "sparse ising": graph(
        ("i", "ebm.ising", {"N": 900, "graph": "sparse_k", "degree": 8, "chains": 150, "sweeps": 1}),
    ),
    "dense ising": graph(("i", "ebm.ising", {"N": 24, "graph": "dense", "chains": 800, "sweeps": 1})),
    "potts": graph(
        ("p", "ebm.potts", {"N": 25, "K": 12, "chains": 200, "sweeps": 1}), ticks=32,
    ),
    "mixed": graph(("m", "ebm.mixed", {"Ns": 100, "Nc": 400, "J_ss": 0.0, "chains": 60, "sweeps": 3})),
    "groups of four": graph(
        ("h", "ebm.higher_order", {"N": 300, "order": 4, "chains": 150, "sweeps": 2}),
    ),
    "annealing": graph(
        ISING, ("anneal", "ebm.anneal", {"replicas": 400, "sweeps": 2}), edges=(("ising.model", "anneal.model"),),
    ),
    "tempering": graph(
        ISING, ("anneal", "ebm.anneal", {"mode": "parallel_tempering", "replicas": 300, "swap_every": 4}),
        edges=(("ising.model", "anneal.model"),),
    ),
    "several chains": graph(
        ISING, ("chains", "ebm.multichain", {"chains": 60, "length": 40, "warmup": 10}),
        edges=(("ising.model", "chains.model"),), skip=1, ticks=111,
    ),
    "clamped spins": graph(
        ISING, ("mask", "gen.value", {"type": "vector", "values": [k % 2 for k in range(256)]}),
        ("observed", "ebm.ising", {"N": 256, "chains": 300, "sweeps": 1}),
        ("clamp", "ebm.clamp", {"sweeps": 3}),
        edges=(("ising.model", "clamp.model"), ("observed.spins", "clamp.state"),
               ("observed.spins", "clamp.observations"), ("mask.value", "clamp.mask")),
    ),
    "contrastive divergence": graph(
        SPINS, ("cd", "ebm.train_cd", {"k": 2, "minibatch": 4000, "memory": 20000, "every": 8}),
        edges=(("ising.spins", "cd.data"),), skip=1, ticks=63,
    ),
    "persistent contrastive divergence": graph(
        SPINS, ("pcd", "ebm.train_pcd", {"k": 1, "minibatch": 1000, "particles": 5000, "memory": 5000,
                                        "every": 8}),
        edges=(("ising.spins", "pcd.data"),), skip=1, ticks=63,
    ),
    "pseudo-likelihood": graph(
        ("ising", "ebm.ising", {"N": 16, "chains": 500, "sweeps": 1}),
        ("fit", "ebm.train_moments", {"method": "pseudo_likelihood", "memory": 4000, "every": 4, "report": 4}),
        edges=(("ising.spins", "fit.data"),), skip=1, ticks=63,
    ),
    "likelihood, exact": graph(
        ("ising", "ebm.ising", {"N": 12, "chains": 200, "sweeps": 1}),
        ("fit", "ebm.train_moments", {"memory": 4000, "every": 2, "report": 4}),
        edges=(("ising.spins", "fit.data"),), skip=1, ticks=63,
    ),
    "moments in a window": graph(
        ISING, ("moments", "ebm.moments", {"window": 100}), edges=(("ising.spins", "moments.samples"),),
        skip=100,
    ),
    "moments that fade": graph(
        ISING, ("moments", "ebm.moments", {"mode": "ema"}), edges=(("ising.spins", "moments.samples"),),
    ),
    "profile": graph(
        ISING, ("profile", "ebm.profile", {"window": 100, "hop": 10}), edges=(("ising.spins", "profile.samples"),),
        skip=100, ticks=64,
    ),
    "pattern": graph(
        ("wave", "osc.lorenz", {"speed": 10.0, "samples": 1}), ("pattern", "an.pattern", {"window": 200, "motif": 20}),
        edges=(("wave.x", "pattern.signal", {"reduce": "last"}),), skip=200, ticks=40,
    ),
    "windows of a vector": graph(
        ("array", "osc.array", {"N": 512, "speed": 2.0}), ("window", "util.encode", {"mode": "window", "window": 40}),
        ("level", "util.encode", {"mode": "standard"}),
        edges=(("array.x", "level.value"), ("level.value", "window.value")), skip=40,
    ),
    "projection and its means": graph(
        ("array", "osc.array", {"N": 500, "topology": "none"}),
        ("drive", "util.encode", {"mode": "project", "N": 1500}),
        ("pid", "ctl.pid", {}),
        edges=(("array.x", "drive.value"), ("drive.value", "pid.measurement", {"reduce": "rms"})),
    ),
    "array and field in a loop": graph(
        ("array", "osc.array", {"N": 576, "topology": "grid2d", "speed": 3.0}), ("field", "ebm.gaussian", {"N": 576}),
        edges=(("array.x", "field.input"), ("field.x", "array.modulation", {"delay": 1, "init": 0})),
    ),
    "arrays under control": graph(
        *((f"osc{k}", "osc.array", {"N": 1024, "topology": "ring", "coupling": 0.1}) for k in range(3)),
        *((f"pid{k}", "ctl.pid", {}) for k in range(3)),
        edges=tuple((f"osc{k}.sync", f"pid{(k + 1) % 3}.measurement") for k in range(3)),
        routes=tuple({"src": f"pid{k}.control", "dst": f"osc{k}.coupling", "depth": 0.01,
                      "transform": {"smooth_ms": 20}} for k in range(3)),
    ),
    "emergent_logic": Case(Preset.load(ROOT / "presets" / "emergent_logic.json").graph, ticks=64, skip=96),
}  # fmt: skip

# Those that take long, and those that take longest.
LONG = {
    "noisy torus of lorenz cells", "rossler cells, all to all", "wave with an absorbing layer",
    "wave in 3-D, absorbing layer", "sources, wave and probes", "beam with an absorbing layer", "gaussian field, gibbs",
    "gaussian field, langevin", "ising grid", "ising grid of bits", "potts", "mixed", "tempering", "moments that fade",
    "windows of a vector", "array and field in a loop", "arrays under control", "emergent_logic",
}  # fmt: skip
LONGEST = {
    "small world of van der pol cells", "two driven oscillators", "sparse ising", "dense ising", "groups of four",
    "annealing", "several chains", "clamped spins", "contrastive divergence", "persistent contrastive divergence",
    "pseudo-likelihood", "likelihood, exact", "moments in a window", "profile", "pattern",
}  # fmt: skip
MARKS = dict.fromkeys(LONG, pytest.mark.slow) | dict.fromkeys(LONGEST, pytest.mark.exhaustive)


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Whatever is loaded or looked up for the first time is no part of a run."""
    measured(graph(("array", "osc.array", {"N": 16}), ("ising", "ebm.ising", {"N": 16})))


def measured(case: Case) -> tuple[Plan, float, float]:
    """The plan of a case, the bytes that its run takes, and its operations a tick."""
    plan = Plan.of(case.spec)
    with Meter() as meter:
        session = Session(plan, seed=1, ticks=case.skip + case.ticks, tier="eager")
        before, first = meter.work, 0
        for report in session:
            if report.first < case.skip:
                before, first = meter.work, report.tick
        work = meter.work - before
    return plan, meter.peak, work / (session.ticks - first)


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS[name]) if name in MARKS else name for name in CASES])
def test_memory_and_work_are_within_a_quarter_of_what_is_measured(name: str) -> None:
    plan, memory, work = measured(CASES[name])
    assert plan.estimate.memory_bytes == pytest.approx(memory, rel=BOUND)
    assert plan.estimate.flops_per_tick == pytest.approx(work, rel=BOUND)


@pytest.mark.parametrize(
    ("name", "target"),
    [("rossler cells, all to all", "a.coupling"), ("periodic wave", "wave.c"), ("beam", "beam.n2k")],
)
def test_points_of_a_batch_take_the_estimate_each(name: str, target: str) -> None:
    """What a sweep holds against its memory to say how many points run together. What points of one seed share, such as
    their draws, they take once: these graphs have none."""
    spec, ticks, points = CASES[name].spec, 34, 4
    node, _, parameter = target.partition(".")
    plan = Plan.of(spec)
    value = plan.nodes[node].params[parameter]
    axis = Axis(target, tuple(value * (1.0 - 0.01 * k) for k in range(points)))
    with Meter() as meter:
        sweep = Sweep(spec, [axis], ticks=ticks, tier="eager", exact=False)
        sweep.run()
    assert [len(part.points) for part in sweep.parts] == [points]
    assert points * plan.estimate.memory_bytes == pytest.approx(meter.peak, rel=BOUND)
    assert points * ticks * plan.estimate.flops_per_tick == pytest.approx(meter.work, rel=BOUND)
