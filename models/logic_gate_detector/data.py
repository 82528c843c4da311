"""Recordings of driven oscillators, with labels that have been measured, not assumed.

A recording is three series of 200 samples, (A, B, out). A gate *holds* for the share of time for which its worst
row is right, at the best lag up to `MAX_LAG` and the best threshold in the middle third of the output's swing. A
label is kept only if the noiseless recording earns it: a gate holds for at least `GATE_HOLDS` and no other gate for
more than `OTHER_HOLDS`; in a "none" no gate holds for more than `OTHER_HOLDS`. What lies between is drawn again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from models.logic_gate_detector.circuits import run_circuits
from models.logic_gate_detector.classes import CLASSES, NONE, TRUTH
from models.logic_gate_detector.inputs import SAMPLES
from models.logic_gate_detector.oscillators import Array, OscillatorFamily

BATCH: Final = 128
MAX_LAG: Final = 14
# Shares of the swing, the logic threshold lies at one of them. Wider apart, an output with three levels would be
# two gates at once.
THRESHOLDS: Final = (0.35, 0.425, 0.5, 0.575, 0.65)
GATE_HOLDS: Final = 0.85
OTHER_HOLDS: Final = 0.65
SNR_DB: Final = (-10, -5, 0, 5, 10, 15, 20, 25, 30)
# A recording is digitised in steps of 2^-12, which also makes its bits independent of the last ulp of a sum.
RESOLUTION: Final = 4096.0

Series = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recordings:
    """n noiseless recordings.

    Attributes:
        clean: (n, 3, 200), channels A, B, out.
        rows: (n, 200) int8, the truth-table row 2A + B as the recorder saw it.
        labels: (n,) index into CLASSES.
        kinds: (n,) "gate" or one of `circuits.NEGATIVES`.
        families: (n,) name of the oscillator family.
    """

    clean: Series
    rows: npt.NDArray[np.int8]
    labels: Labels
    kinds: npt.NDArray[np.str_]
    families: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> Recordings:
        return Recordings(*(getattr(self, field.name)[index] for field in fields(self)))


def join(parts: Sequence[Recordings]) -> Recordings:
    """All recordings of the parts, in order."""
    return Recordings(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Recordings)))


def generator(seed: int, *stream: int) -> np.random.Generator:
    """The random numbers of one stream of one seed (Philox, counter-based)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)))


def generate(labels: Labels, families: Sequence[OscillatorFamily], rng: np.random.Generator) -> Recordings:
    """Noiseless recordings with the given labels, the families in turn.

    Args:
        labels: (n,) index into CLASSES; recording i has labels[i] and families[i mod len(families)].
        families: the oscillators to use.
        rng: all randomness.
    """
    done: list[tuple[npt.NDArray[np.int64], Recordings]] = []
    for k, family in enumerate(families):
        wanted = np.arange(k, len(labels), len(families))
        while len(wanted):
            tries = np.repeat(wanted, max(1, BATCH // len(wanted)))  # a few stragglers are tried many times at once
            drawn = _record(family, labels[tries], rng)
            earned = earns_label(drawn)
            found, first = np.unique(tries[earned], return_index=True)
            done.append((found, drawn[np.flatnonzero(earned)[first]]))
            wanted = np.setdiff1d(wanted, found)
    order = np.argsort(np.concatenate([where for where, _ in done]))
    return join([part for _, part in done])[order]


def earns_label(recordings: Recordings) -> npt.NDArray[np.bool_]:
    """Whether each noiseless recording satisfies the definition of its label, (n,)."""
    holds = row_holds(recordings.clean[:, 2].astype(np.float64), recordings.rows)
    own = recordings.labels[:, None] == np.arange(NONE)
    return np.asarray(((holds >= GATE_HOLDS) | ~own).all(axis=1) & ((holds <= OTHER_HOLDS) | own).all(axis=1))


def row_holds(output: Array, rows: npt.NDArray[np.int8]) -> Array:
    """How well each gate's truth table holds, at its best lag and threshold.

    Args:
        output: (n, 200).
        rows: (n, 200), truth-table row at every sample.

    Returns:
        (n, 6): for each gate, the largest over lags 0..MAX_LAG and THRESHOLDS of the smallest of the four shares of
        time for which a row's output is right. A row that never occurs is never right.
    """
    low, high = np.percentile(output, (4, 96), axis=1)
    levels = low[:, None] + (high - low)[:, None] * np.array(THRESHOLDS)
    settled = output[:, MAX_LAG:, None] > levels[:, None, :]
    binary = settled.astype(np.float32)  # (n, time, thresholds)
    best = np.zeros((len(output), len(TRUTH)))
    for lag in range(MAX_LAG + 1):
        seen = rows[:, MAX_LAG - lag : SAMPLES - lag]
        onehot = (seen[:, None, :] == np.arange(4)[:, None]).astype(np.float32)
        time = onehot.sum(axis=2)[:, :, None]
        share = np.where(time > 0, onehot @ binary / np.maximum(time, 1.0), np.nan)
        for gate, truth in enumerate(TRUTH):
            right = np.nan_to_num(np.where(truth[:, None], share, 1.0 - share), nan=0.0)
            best[:, gate] = np.maximum(best[:, gate], right.min(axis=1).max(axis=1))
    return best


def observe(recordings: Recordings, snr_db: Array, rng: np.random.Generator) -> Series:
    """What a recorder gets: every channel with its own gain and offset, in white noise.

    Args:
        recordings: n of them.
        snr_db: (n,) ratio of the channel's variance to that of its noise, in dB. A channel that hardly moves
            (standard deviation under 1/2, a quarter of the logic swing) is taken to have a standard deviation of
            1/2.
        rng: gains, offsets and noise.

    Returns:
        float32 (n, 3, 200), in steps of 2^-12.
    """
    clean = recordings.clean.astype(np.float64)
    n, channels, samples = clean.shape
    spread = np.maximum(clean.std(axis=2), 0.5)
    noise = spread * 10.0 ** (-snr_db / 20.0)[:, None]
    gain = rng.uniform(0.5, 2.0, (n, channels, 1))
    offset = rng.uniform(-1.0, 1.0, (n, channels, 1))
    noisy = clean + noise[:, :, None] * rng.standard_normal((n, channels, samples))
    recorded: Array = np.rint((gain * noisy + offset) * RESOLUTION) / RESOLUTION
    return recorded.astype(np.float32)


@dataclass(frozen=True, slots=True)
class TestBlock:
    """A balanced block of the test split: every class at every SNR of `SNR_DB` equally often."""

    __test__ = False  # not a test class of pytest's

    recordings: Recordings
    series: Series
    snr_db: Array

    @property
    def digest(self) -> str:
        """SHA-256 of the series and labels."""
        hashed = hashlib.sha256()
        for part in (self.series, self.recordings.labels, self.snr_db):
            hashed.update(np.ascontiguousarray(part).tobytes())
        return hashed.hexdigest()


def balanced_block(
    seed: int, index: int, families: Sequence[OscillatorFamily], per_cell: int, snr_db: Sequence[float] = SNR_DB
) -> TestBlock:
    """Block `index` of the split with this seed: `per_cell` recordings for each class, SNR and family."""
    grid = np.array(
        [
            (label, snr, family)
            for snr in snr_db
            for label in range(len(CLASSES))
            for _ in range(per_cell)
            for family in range(len(families))
        ],
        dtype=np.float64,
    )
    rng = generator(seed, index)
    recordings = generate(grid[:, 0].astype(np.int64), families, rng)
    return TestBlock(recordings, observe(recordings, grid[:, 1], rng), grid[:, 1].copy())


def _record(family: OscillatorFamily, labels: Labels, rng: np.random.Generator) -> Recordings:
    """Run circuits and record them without noise: finite edges of the inputs, now and then a missed edge."""
    n = len(labels)
    responses = run_circuits(family, labels, rng)
    window = slice(responses.schedule.preroll, None)
    inputs = np.stack([responses.schedule.a, responses.schedule.b], axis=1)
    bandwidth = rng.uniform(0.4, 1.0, (n, 2))
    slewed = np.empty_like(inputs)
    level = inputs[:, :, 0]
    for t in range(inputs.shape[2]):
        level = level + bandwidth * (inputs[:, :, t] - level)
        slewed[:, :, t] = level
    clean = np.concatenate([2.0 * slewed[:, :, window] - 1.0, responses.output[:, None, :]], axis=1)
    seen = inputs[:, :, window].copy()
    _miss_edges(clean, seen, rng)
    rows = (2.0 * seen[:, 0] + seen[:, 1]).astype(np.int8)
    names = np.full(n, family.name, dtype="U32")
    return Recordings(clean.astype(np.float32), rows, labels, responses.kinds, names)


def _miss_edges(clean: Array, seen: Array, rng: np.random.Generator) -> None:
    """In a third of the recordings one channel holds its value over an edge for 4 to 12 samples (in place)."""
    n, samples = len(clean), clean.shape[2]
    moved = (np.diff(seen, axis=2) != 0.0).any(axis=1)
    channel = rng.integers(0, 3, n)
    hit = rng.random(n) < 1.0 / 3.0
    pick = rng.random((n, samples - 1))
    early = rng.integers(0, 2, n)
    length = rng.integers(4, 13, n)
    for i in np.flatnonzero(hit):
        edge = int(np.where(moved[i], pick[i], 0.0).argmax()) + 1
        c, begin = int(channel[i]), max(edge - int(early[i]), 1)
        end = min(begin + int(length[i]), samples)
        clean[i, c, begin:end] = clean[i, c, begin - 1]
        if c < 2:
            seen[i, c, begin:end] = seen[i, c, begin - 1]
