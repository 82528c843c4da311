"""The judgement of emergent_logic: it passes on real runs, and every criterion can fail."""

from __future__ import annotations

import copy

import pytest

from attractor.gates.truth import NAMES
from presets.emergent_logic import accept, cases, judge


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
