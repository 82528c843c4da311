"""Acceptance of `emergent_logic`: does the driven array compute Boolean functions, and do the controls fail?

The preset's own graph is run, with every node and edge, at 256 cells (quick), and also with the 1024 cells that it is
shipped with (full). Three runs each: the chaotic array, the same array with a linear diode (m0 = m1), and the chaotic
array with the labels of its training trials shuffled. The linear array must find no XOR or XNOR, whatever else it
finds; shuffled labels must find nothing at all. At 256 cells the accepted sites are tested again in 500 later trials.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from attractor import Plan, Preset, Session
from attractor.gates.truth import FAMILY
from attractor.nodes.an_gates import GateSearch
from attractor.result import versions
from presets.code_version import code_version

PRESET: Final = Path(__file__).with_suffix(".json")
CELLS: Final = 256
TIERS: Final = {"quick": (CELLS,), "full": (CELLS, 1024)}

RETEST: Final = 500
# The terms of the judgement, which the preset's file must not be able to soften.
TERMS: Final = {
    "search.train": 48, "search.held_out": 120, "search.sigma": 1e-3, "search.rate": 0.95,
    "search.trial": 48, "search.lag": 2, "array.speed": 12.5,
}  # fmt: skip
FAMILIES_NEEDED: Final = 3
RETAINED_NEEDED: Final = 0.8

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One run of the preset's graph: how many cells, and what makes it a control."""

    name: str
    cells: int
    changes: Mapping[str, Any]


def cases(tier: str) -> list[Case]:
    """The runs of a tier."""
    linear_slope = next(node for node in Preset.load(PRESET).graph.nodes if node.id == "array").params.get("m1", -0.714)
    result = []
    for cells in TIERS[tier]:
        result += [
            Case("chaotic", cells, {"search.retest": RETEST if cells == CELLS else 0}),
            Case("linear", cells, {"array.m0": linear_slope, "array.m1": linear_slope}),
            Case("permuted", cells, {"search.permute_labels": True}),
        ]
    return result


def run_case(case: Case, seed: int) -> dict[str, Any]:
    """Run one case and report every number of it."""
    # One thread a run: the runs of a tier are independent and share the cores.
    torch.set_num_threads(1)
    side = round(case.cells**0.5)
    size = dict.fromkeys(("drive.N", "array.N", "sampler.N"), case.cells)
    size |= {"gate_map.rows": side, "gate_map.cols": side}
    plan = Plan.of(Preset.load(PRESET).graph.replace({**TERMS, **size, **case.changes}))
    ticks = GateSearch.ticks(plan.nodes["search"].params)
    begun = time.perf_counter()
    result = Session(plan, seed=seed, ticks=ticks).run()
    seconds = time.perf_counter() - begun
    totals = result.tables["search.totals"]
    gates = [dict(zip(totals["columns"], row, strict=True)) for row in totals["rows"]]
    table = result.tables["search.gates"]
    best = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    verified = sum(gate["verified"] for gate in gates)
    retained = sum(gate["retained"] or 0 for gate in gates)
    return {
        "case": case.name,
        "cells": case.cells,
        "changes": dict(case.changes),
        "seed": seed,
        "graph_hash": result.graph_hash,
        "result_hash": result.result_hash,
        "device": result.device,
        "weights": result.weights,
        "ticks": ticks,
        "ticks_per_s": ticks / seconds,
        "train_trials": plan.nodes["search"].params["train"],
        "held_out_trials": plan.nodes["search"].params["held_out"],
        "retest_trials": plan.nodes["search"].params["retest"],
        "sigma": plan.nodes["search"].params["sigma"],
        "gates": {gate.pop("gate"): gate for gate in gates},
        "best": [site for site in best if site["verified"]],
        "verified": verified,
        "retained_share": retained / verified if verified and plan.nodes["search"].params["retest"] else None,
    }


def judge(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The criteria, each with the number it rests on, what is asked of it, and whether it holds."""
    criteria = []
    for run in runs:
        found = {name for name, gate in run["gates"].items() if gate["verified"]}
        exclusive = run["gates"]["XOR"]["verified"] + run["gates"]["XNOR"]["verified"]
        label = f"{run['case']} array, {run['cells']} cells"
        if run["case"] == "chaotic":
            families = len({FAMILY[name] for name in found})
            criteria += [
                _criterion(f"{label}: distinct gates verified, a gate and its complement counted once", families,
                           f">= {FAMILIES_NEEDED}", families >= FAMILIES_NEEDED),
                _criterion(f"{label}: verified XOR and XNOR sites", exclusive, ">= 1", exclusive >= 1),
            ]  # fmt: skip
            if run["cells"] == CELLS:
                share = run["retained_share"]
                name = f"{label}: share of sites that stand in {RETEST} later trials"
                enough = (share or 0.0) >= RETAINED_NEEDED
                criteria.append(_criterion(name, share, f">= {RETAINED_NEEDED}", enough))
        elif run["case"] == "linear":
            threshold_gates = run["verified"] - exclusive
            criteria += [
                _criterion(f"{label}: XOR and XNOR sites (negative control)", exclusive, "= 0", exclusive == 0),
                _criterion(f"{label}: verified sites of other gates (the control is alive)", threshold_gates, ">= 1",
                           threshold_gates >= 1),
            ]  # fmt: skip
        else:
            criteria.append(
                _criterion(
                    f"{label}: verified sites of any gate (negative control)",
                    run["verified"],
                    "= 0",
                    not run["verified"],
                )
            )
    return criteria


def accept(tier: str = "quick", seed: int = 0, progress: Progress | None = None) -> dict[str, Any]:
    """The verdict on the preset: ``passed`` and every number behind it.

    Args:
        tier: quick (256 cells) or full (also the 1024 cells of the preset as shipped).
        seed: run seed of every case.
        progress: called with the share done and a text whenever a case ends.

    Raises:
        KeyError: an unknown tier.
    """
    todo = cases(tier)
    begun = time.perf_counter()
    runs: dict[int, dict[str, Any]] = {}
    # The longest first, so that the cores end together.
    order = sorted(range(len(todo)), key=lambda i: -todo[i].cells * (2 if todo[i].name == "chaotic" else 1))
    with ProcessPoolExecutor(
        max_workers=min(len(todo), max(1, (multiprocessing.cpu_count() or 1))),
        mp_context=multiprocessing.get_context("spawn"),
    ) as pool:
        pending: dict[Future[dict[str, Any]], int] = {pool.submit(run_case, todo[i], seed): i for i in order}
        for done, future in enumerate(as_completed(pending), start=1):
            index = pending[future]
            runs[index] = future.result()
            if progress:
                progress(done / len(todo), f"{todo[index].name}, {todo[index].cells} cells")
    ordered = [runs[i] for i in range(len(todo))]
    criteria = judge(ordered)
    return {
        "preset": "emergent_logic",
        "tier": tier,
        "passed": all(criterion["passed"] for criterion in criteria),
        "seed": seed,
        "seeds": [seed],
        "criteria": criteria,
        "runs": ordered,
        "baselines": {run["case"] + f"_{run['cells']}": run["gates"] for run in ordered if run["case"] != "chaotic"},
        "graph_hash": Preset.load(PRESET).graph.content_hash,
        "code_version": code_version(),
        "versions": versions(),
        "seconds": time.perf_counter() - begun,
    }


def _criterion(name: str, value: Any, bound: str, passed: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "bound": bound, "passed": bool(passed)}
