"""The judgement of emergent_logic: it passes on real runs, and every criterion can fail."""

from __future__ import annotations

import copy

import pytest

from attractor import Plan, Preset, Session
from attractor.gates.truth import NAMES
from presets.emergent_logic import PRESET, accept, cases, judge


def run(case, **verified):
    gates = {
        name: {"candidates": 9, "verified": verified.get(name, 0), "retested": 0, "retained": None} for name in NAMES
    }
    return {"case": case, "cells": 256, "gates": gates, "verified": sum(verified.values()), "retained_share": 0.9}


GOOD = [run("chaotic", AND=5, NOR=3, XNOR=1), run("linear", AND=4, NAND=2), run("permuted")]


def passed(runs):
    return all(criterion["passed"] for criterion in judge(runs))


def test_good_runs_pass():
    assert passed(GOOD)


def test_only_the_small_array_is_tested_again():
    large = {**run("chaotic", AND=5, NOR=3, XNOR=1), "cells": 1024, "retained_share": None}
    assert passed([*GOOD, large])
    retests = {case.cells: case.changes["search.retest"] for case in cases("full") if case.name == "chaotic"}
    assert retests == {256: 500, 1024: 0}


@pytest.mark.parametrize(
    ("index", "spoilt"),
    [
        (0, run("chaotic", AND=5, NOR=3)),
        (0, run("chaotic", AND=5, NAND=3, XOR=1)),
        (0, {**GOOD[0], "retained_share": 0.79}),
        (0, {**GOOD[0], "retained_share": None}),
        (1, run("linear", AND=4, XOR=1)),
        (1, run("linear")),
        (2, run("permuted", OR=1)),
    ],
)
def test_every_criterion_can_fail(index, spoilt):
    runs = copy.deepcopy(GOOD)
    runs[index] = spoilt
    assert not passed(runs)


def test_the_controls_differ_from_the_preset_by_one_thing():
    changes = {case.name: set(case.changes) for case in cases("full")}
    assert changes == {
        "chaotic": {"search.retest"}, "linear": {"array.m0", "array.m1"}, "permuted": {"search.permute_labels"},
    }  # fmt: skip
    assert {case.cells for case in cases("full")} == {256, 1024}


def small():
    """The whole graph at 64 cells, with short phases."""
    changes = dict.fromkeys(("drive.N", "array.N", "sampler.N"), 64) | {"gate_map.rows": 8, "gate_map.cols": 8}
    return Plan.of(Preset.load(PRESET).graph.replace({**changes, "search.train": 8, "search.held_out": 8}))


@pytest.mark.slow
def test_no_block_size_changes_the_result():
    # The last tick lies within a trial, where the search holds half a response.
    hashes = {Session(small(), seed=3, ticks=510, block=block).run().result_hash for block in (1, 37)}
    assert len(hashes) == 1


@pytest.mark.slow
def test_it_resumes_from_a_checkpoint_as_if_never_stopped(tmp_path):
    whole, stopped = (Session(small(), seed=3, ticks=600, block=277) for _ in range(2))
    for session in (whole, stopped):
        next(iter(session))
        session.set_control("array.coupling", 0.4)
        next(iter(session))
    resumed = Session.restore(stopped.checkpoint(tmp_path), small())
    assert resumed.run().result_hash == whole.run().result_hash


@pytest.mark.slow
def test_the_quick_tier_passes():
    verdict = accept("quick", seed=3)
    assert verdict["passed"], verdict["criteria"]
    chaotic = verdict["runs"][0]
    assert all(site[rate] >= 0.95 for site in chaotic["best"] for rate in ("r00", "r01", "r10", "r11"))
    assert all(site["trials"] >= 120 for site in chaotic["best"])


def test_an_unknown_tier_is_refused():
    with pytest.raises(KeyError):
        accept("medium")
