"""What is built from the cells: the six gates, and the circuits that only look like gates.

A circuit has up to two cells. Cell i is driven by ``u_i = wA_i·A + wB_i·B + bias_i`` with A, B = ±1/2, and the
output is ``c1·x1 + c2·x2 + c0``. A threshold cell with weights (1, 1) is an AND at bias -1/2 and an OR at +1/2; XOR
is the OR cell minus the AND cell, or one window cell at bias 0. Inverting the output, or both inputs, gives the
complements (De Morgan).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.logic_gate_detector.classes import INPUTS_INVERTED, NONE, OUTPUT_INVERTED
from models.logic_gate_detector.inputs import Schedule, draw_schedule
from models.logic_gate_detector.oscillators import Array, OscillatorFamily

# Kinds of the class "none". "gate" is the kind of the six others.
NEGATIVES: Final = (
    "follower",  # A, B, NOT A or NOT B
    "one-sided",  # A AND NOT B and its relatives
    "latch",  # keeps its last state where the inputs differ (or agree)
    "stuck",
    "free",  # not driven by the inputs at all
    "shuffled",  # a gate, recorded beside the inputs of another run
    "late",  # a gate that answers a whole step too late
    "partial",  # a gate for part of the time, something else for the rest
)
GATE_KIND: Final = "gate"

# Columns of a wiring: weights and bias of two cells, then the read-out.
WIRING: Final = ("wA1", "wB1", "bias1", "wA2", "wB2", "bias2", "c1", "c2", "c0")
_AND, _OR = (1.0, 1.0, -0.5), (1.0, 1.0, 0.5)
_REST = (0.0, 0.0, -0.5)
_BASES: Final = (  # by class 0..2: AND, OR, XOR
    (*_AND, *_REST, 1.0, 0.0, 0.0),
    (*_OR, *_REST, 1.0, 0.0, 0.0),
    (*_OR, *_AND, 1.0, -1.0, -1.0),
)
_WINDOW: Final = (1.0, 1.0, 0.0, *_REST, 1.0, 0.0, 0.0)
LATE: Final = (24, 44)  # samples


@dataclass(frozen=True, slots=True)
class Responses:
    """Outputs of n circuits over the window, before any recorder: `output` (n, samples), `labels` and `kinds` (n,)."""

    schedule: Schedule
    output: Array
    labels: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.str_]


def run_circuits(family: OscillatorFamily, labels: npt.NDArray[np.int64], rng: np.random.Generator) -> Responses:
    """Draw a circuit for each label, drive it with a random schedule and read it out.

    Whether the output really has the truth table of its label is not looked at here:
        `models.logic_gate_detector.data` measures it.
    """
    n = len(labels)
    schedule = draw_schedule(n, rng)
    driving = schedule
    kinds = np.full(n, GATE_KIND, dtype="U16")
    wiring = np.empty((n, 2, len(WIRING)))
    windowed = np.zeros(n, dtype=bool)
    lag = rng.integers(0, 9, n)
    negatives = [kind for kind in NEGATIVES if kind != "latch" or family.memory]
    other = draw_schedule(n, rng)
    free = np.full(n, np.nan)
    for i, label in enumerate(labels):
        kind = GATE_KIND if label != NONE else str(rng.choice(negatives))
        kinds[i] = kind
        match kind:
            case "follower" | "one-sided" | "latch" | "stuck":
                first = second = _not_a_gate(kind, rng)
            case "free":
                first = second = _not_a_gate("stuck", rng)
                free[i] = rng.integers(0, 2)
            case "partial":
                first, second = _changing(rng)
            case _:
                gate = int(label) if label != NONE else int(rng.integers(0, NONE))
                first, windowed[i] = _gate(gate, family.window, rng)
                second = first
                if kind == "late":
                    lag[i] = rng.integers(*LATE)
        wiring[i, 0], wiring[i, 1] = first, second
    swapped = kinds == "shuffled"
    a = np.where(swapped[:, None], other.a, driving.a) - 0.5
    b = np.where(swapped[:, None], other.b, driving.b) - 0.5
    tolerance = rng.uniform(0.92, 1.08, (n, 1, 4))
    wiring[:, :, [0, 1, 3, 4]] *= tolerance
    changes = schedule.preroll + (rng.uniform(0.3, 0.7, n) * schedule.samples).astype(np.int64)
    later = np.arange(schedule.ticks) >= changes[:, None]
    at = np.where(later[:, :, None], wiring[:, 1:, :], wiring[:, :1, :])  # (n, ticks, 9)
    drive1 = at[..., 0] * a + at[..., 1] * b + at[..., 2]
    # Half of the free cells are undriven, half follow a telegraph of their own.
    drive1 = np.where((free == 0.0)[:, None], 0.0, drive1)
    drive1 = np.where((free == 1.0)[:, None], 0.8 * (2.0 * _telegraph(n, schedule.ticks, rng) - 1.0), drive1)
    x1 = family.respond(drive1, windowed, rng)
    output = at[..., 6] * x1 + at[..., 8]
    pair = np.flatnonzero((wiring[:, :, 7] != 0.0).any(axis=1))
    if len(pair):
        drive2 = at[pair, :, 3] * a[pair] + at[pair, :, 4] * b[pair] + at[pair, :, 5]
        output[pair] += at[pair, :, 7] * family.respond(drive2, np.zeros(len(pair), dtype=bool), rng)
    if not np.isfinite(output).all():
        raise FloatingPointError(f"the {family.name} cell diverged: narrow its parameter ranges")
    when = schedule.preroll + np.arange(schedule.samples)[None, :] - lag[:, None]
    return Responses(schedule, np.take_along_axis(output, when, axis=1), labels, kinds)


def _gate(label: int, window: bool, rng: np.random.Generator) -> tuple[list[float], bool]:
    """A wiring with the truth table of class `label`, and whether its cell is a window cell."""
    invert_output, invert_inputs = bool(rng.integers(0, 2)), bool(rng.integers(0, 2))
    base = OUTPUT_INVERTED[label] if invert_output else label
    base = INPUTS_INVERTED[base] if invert_inputs else base
    if base > 2:  # one inversion too few or too many: the base must be AND, OR or XOR
        invert_output = not invert_output
        base = OUTPUT_INVERTED[base]
    windowed = base == 2 and window and bool(rng.integers(0, 2))
    wiring = list(_WINDOW if windowed else _BASES[base])
    return _inverted(wiring, invert_output, invert_inputs), windowed


def _inverted(wiring: list[float], output: bool, inputs: bool) -> list[float]:
    if inputs:
        wiring = [-w if k in (0, 1, 3, 4) else w for k, w in enumerate(wiring)]
    if output:
        wiring = [-w if k >= 6 else w for k, w in enumerate(wiring)]
    return wiring


def _not_a_gate(kind: str, rng: np.random.Generator) -> list[float]:
    side = float(rng.choice((-1.0, 1.0)))
    match kind:
        case "follower":
            weights = (side, 0.0, 0.0) if rng.integers(0, 2) else (0.0, side, 0.0)
        case "one-sided":
            weights = (side, -side, float(rng.choice((-0.5, 0.5))))
        case "latch":
            weights = (1.0, float(rng.choice((-1.0, 1.0))), 0.0)
        case _:  # stuck: the inputs are not connected (a driven cell, however saturated, still shows their sum)
            weights = (0.0, 0.0, side)
    return _inverted([*weights, *_REST, 1.0, 0.0, 0.0], bool(rng.integers(0, 2)), False)


def _changing(rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """A gate, and the different circuit that it turns into (or has been before)."""
    gate = int(rng.integers(0, NONE))
    first, _ = _gate(gate, False, rng)
    if rng.integers(0, 2):
        second, _ = _gate((gate + int(rng.integers(1, NONE))) % NONE, False, rng)
    else:
        second = _not_a_gate(str(rng.choice(("follower", "one-sided", "stuck"))), rng)
    return (first, second) if rng.integers(0, 2) else (second, first)


def _telegraph(n: int, ticks: int, rng: np.random.Generator) -> Array:
    """Random telegraph signals in {0, 1}, mean dwell 10 to 30 samples, shape (n, ticks)."""
    flips = rng.random((n, ticks)) < 1.0 / rng.uniform(10.0, 30.0, (n, 1))
    return ((np.cumsum(flips, axis=1) + rng.integers(0, 2, (n, 1))) % 2).astype(np.float64)
