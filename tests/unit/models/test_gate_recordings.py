"""Recordings earn their labels, splits are made again bit by bit, and the noise is what it says."""

import operator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from models.logic_gate_detector.circuits import NEGATIVES, run_circuits
from models.logic_gate_detector.classes import CLASSES, INPUTS_INVERTED, NONE, OUTPUT_INVERTED, TRUTH
from models.logic_gate_detector.data import (
    SNR_DB,
    balanced_block,
    earns_label,
    generate,
    generator,
    observe,
)
from models.logic_gate_detector.evaluate import TEST_SEED, held_out_block
from models.logic_gate_detector.inputs import draw_schedule
from models.logic_gate_detector.oscillators import HELD_OUT_FAMILIES, TRAINING_FAMILIES
from models.logic_gate_detector.recipe import VALIDATION_SEED, mirror

BOOLEAN = {
    "AND": operator.and_, "OR": operator.or_, "XOR": operator.xor,
    "NAND": lambda a, b: 1 - (a & b), "NOR": lambda a, b: 1 - (a | b), "XNOR": lambda a, b: 1 - (a ^ b),
}  # fmt: skip
FAMILIES = [*TRAINING_FAMILIES, *HELD_OUT_FAMILIES]


def holds(output, rows, gate):
    """Share of time of the worst row, at the best lag and a threshold near mid swing: written out in loops."""
    low, high = np.percentile(output, (4, 96))
    best = 0.0
    for lag, part in product(range(15), (0.35, 0.425, 0.5, 0.575, 0.65)):
        threshold = low + part * (high - low)
        right = {row: [] for row in range(4)}
        for t in range(14, 200):
            row = int(rows[t - lag])
            right[row].append(int(output[t] > threshold) == gate(row >> 1, row & 1))
        best = max(best, min(np.mean(r) if r else 0.0 for r in right.values()))
    return best


@pytest.fixture(scope="module")
def recordings():
    labels = np.tile(np.repeat(np.arange(len(CLASSES)), len(FAMILIES)), 2)
    return generate(labels, FAMILIES, generator(11, 4))


def test_the_truth_tables_are_the_boolean_functions():
    for name, row in zip(CLASSES, TRUTH, strict=False):
        assert [BOOLEAN[name](a, b) for a, b in product((0, 1), (0, 1))] == row.astype(int).tolist()


@pytest.mark.slow
def test_every_noiseless_recording_satisfies_the_definition_of_its_label(recordings):
    assert len(recordings) == 2 * len(CLASSES) * len(FAMILIES)
    for i in range(len(recordings)):
        output, rows = recordings.clean[i, 2].astype(float), recordings.rows[i]
        label = int(recordings.labels[i])
        for index, gate in enumerate(BOOLEAN.values()):
            share = holds(output, rows, gate)
            if index == label:
                assert share >= 0.85 - 1e-9, (recordings.families[i], CLASSES[label])
            else:
                assert share <= 0.65 + 1e-9, (recordings.families[i], CLASSES[label], CLASSES[index])


def test_labels_families_and_order_are_the_ones_asked_for(recordings):
    asked = np.tile(np.repeat(np.arange(len(CLASSES)), len(FAMILIES)), 2)
    assert (recordings.labels == asked).all()
    assert recordings.families.tolist() == [family.name for family in FAMILIES] * (2 * len(CLASSES))


def test_a_circuit_that_is_no_gate_does_not_earn_the_label_of_one():
    family = TRAINING_FAMILIES[3]
    drawn = generate(np.full(40, NONE), [family], generator(3, 3))
    for gate in range(NONE):
        assert not earns_label(replace(drawn, labels=np.full(40, gate))).any()


def test_none_has_all_of_its_kinds():
    kinds = set(generate(np.full(300, NONE), TRAINING_FAMILIES[:1], generator(3, 5)).kinds.tolist())
    assert kinds == set(NEGATIVES)
    without_memory = set(run_circuits(TRAINING_FAMILIES[3], np.full(300, NONE), generator(3, 6)).kinds.tolist())
    assert without_memory == set(NEGATIVES) - {"latch"}


def test_schedules_visit_every_row_at_least_twice_and_switch_with_jitter():
    schedule = draw_schedule(300, generator(1, 1))
    a, b = schedule.a[:, -200:], schedule.b[:, -200:]
    rows = (2 * a + b).astype(int)
    for i in range(300):
        steps = rows[i][np.flatnonzero(np.diff(rows[i], prepend=-1))]
        assert set(steps) == {0, 1, 2, 3}
        assert min(np.bincount(rows[i], minlength=4)) >= 14
    both_move = (np.diff(a) != 0) & (np.diff(b) != 0)
    one_moves = (np.diff(a) != 0) ^ (np.diff(b) != 0)
    assert one_moves.sum() > 5 * both_move.sum()


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 20.0])
def test_the_measured_snr_is_the_one_asked_for(recordings, snr_db):
    noisy = observe(recordings, np.full(len(recordings), snr_db), generator(2, 1))
    measured = []
    for clean, seen in zip(recordings.clean.reshape(-1, 200), noisy.reshape(-1, 200), strict=True):
        if clean.std() < 0.5:
            continue
        # Gain and offset are unknown to the test: the correlation r of signal and sum gives SNR = r² / (1 - r²).
        squared = np.corrcoef(clean, seen)[0, 1] ** 2
        measured.append(squared / (1.0 - squared))
    assert len(measured) > 200
    assert 10 * np.log10(np.median(measured)) == pytest.approx(snr_db, abs=0.7)


def test_blocks_are_balanced_and_the_same_again():
    block = balanced_block(21, 0, TRAINING_FAMILIES[3:4], 1)
    again = balanced_block(21, 0, TRAINING_FAMILIES[3:4], 1)
    assert block.digest == again.digest
    assert (block.series == again.series).all()
    assert balanced_block(22, 0, TRAINING_FAMILIES[3:4], 1).digest != block.digest
    assert balanced_block(21, 1, TRAINING_FAMILIES[3:4], 1).digest != block.digest
    cells = sorted(zip(block.snr_db.tolist(), block.recordings.labels.tolist(), strict=True))
    assert cells == sorted((float(snr), label) for snr in SNR_DB for label in range(7))


def test_the_split_is_by_seed_and_by_family():
    names = {family.name for family in TRAINING_FAMILIES}
    assert TEST_SEED != VALIDATION_SEED
    block = balanced_block(TEST_SEED, 99, HELD_OUT_FAMILIES, 1, snr_db=(30,))
    assert set(block.recordings.families.tolist()) == {family.name for family in HELD_OUT_FAMILIES}
    assert not names & set(block.recordings.families.tolist())
    assert held_out_block.__defaults__ == (TEST_SEED,)


def test_mirroring_keeps_the_labels_true(recordings):
    series, labels = mirror(recordings.clean, recordings.labels, generator(8, 8))
    assert (labels != recordings.labels).any()
    # Rows of the mirrored inputs, from the recorder's rows: which bits were exchanged or inverted shows in the series.
    exchanged = (np.abs(series[:, 0]) == np.abs(recordings.clean[:, 1])).all(axis=1)
    source_a = np.where(exchanged[:, None], recordings.rows & 1, recordings.rows >> 1)
    source_b = np.where(exchanged[:, None], recordings.rows >> 1, recordings.rows & 1)
    before = np.where(exchanged[:, None], recordings.clean[:, 1], recordings.clean[:, 0])
    inverted = (series[:, 0] == -before).all(axis=1)
    a, b = source_a ^ inverted[:, None], source_b ^ inverted[:, None]
    mirrored = replace(recordings, clean=series, rows=(2 * a + b).astype(np.int8), labels=labels)
    assert earns_label(mirrored).all()


def test_the_maps_of_the_symmetries_are_involutions_on_the_truth_tables():
    for gate in range(NONE):
        assert (TRUTH[OUTPUT_INVERTED[gate]] == ~TRUTH[gate]).all()
        assert (TRUTH[INPUTS_INVERTED[gate]] == TRUTH[gate][::-1]).all()
