"""Every named term: its energy against its definition written out, and its conditionals against its energy."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.signal import butter, hilbert, sosfiltfilt

from attractor.energy import PottsModel
from attractor.energy.terms import TERMS
from attractor.energy.terms.circuit_validity import cancelled_pairs, depth, same_qubit_gates
from attractor.energy.terms.drug_likeness import lipinski_violations, qed_surrogate
from attractor.energy.terms.energy_term import products_of_spins
from attractor.energy.terms.harmonic import roughness

RNG = np.random.default_rng(0)


def signals():
    """Electrodes 0 and 1 share a 10 Hz wave; 2 has its own frequency; 3 is noise."""
    t = np.arange(2048) / 256.0
    wave = np.sin(2 * np.pi * 10 * t)
    rows = [wave, 2 * np.roll(wave, 5), np.sin(2 * np.pi * 11.7 * t), RNG.normal(size=2048)]
    return (np.array(rows) + 0.01 * RNG.normal(size=(4, 2048))).tolist()


SIGNALS = signals()
PATTERNS = [[1, -1, 1, 1, -1], [1, 1, -1, 1, 1]]
PICTURE = RNG.uniform(size=(6, 2)).tolist()
CELLS = RNG.uniform(size=(4, 3)).tolist()
FRAGMENTS = (RNG.uniform(size=(4, 6)) * [200.0, 3.0, 5.0, 3.0, 60.0, 4.0]).tolist()
GATES = [["id", []], ["h", [0]], ["cx", [0, 1]], ["cx", [1, 1]], ["s", [1]], ["sdg", [1]]]
POSITIONS = RNG.uniform(size=(4, 2)).tolist()
INDEX = [1.444, 1.4441, 1.4443, 1.4446]

SETTINGS = {
    "unary": {"bias": [0.3, -1.0, 2.0]},
    "pairwise": {"N": 4, "pairs": [[0, 1], [2, 3], [0, 3]], "weights": [0.5, -1.0, 2.0]},
    "higher": {"N": 5, "groups": [[0, 1, 2], [1, 2, 3, 4]], "weights": [0.5, -1.5]},
    "table": {"energies": [0.0, 1.0, -2.0, 0.5, 3.0, 0.25, 1.5, -1.0]},
    "harmonic": {"mu": 0.4, "lam": 0.7, "voices": 3},
    "neural_coherence": {"fs": 256.0, "low": 8.0, "high": 13.0, "signals": SIGNALS},
    "hebbian_energy": {"patterns": PATTERNS},
    "pixel_coherence": {
        "rows": 2, "columns": 3, "palette": [[0, 0], [1, 0], [0.5, 0.5]], "J": 0.8, "picture": PICTURE,
    },
    "biome_adjacency": {
        "rows": 2, "columns": 2, "M": [[1, -0.5, 0], [-0.5, 0.5, 0.2], [0, 0.2, 1]], "cells": CELLS,
        "centres": [[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]], "widths": [[0.5, 0.4, 0.3]] * 3,
    },
    "architecture_constraint": {
        "parameters": [[0, 100, 400], [0, 200, 600], [50, 50, 300]], "flops": [[0, 1, 2], [0, 3, 5], [1, 1, 9]],
        "parameter_budget": 500, "flop_budget": 6, "incompatible": [[0, 1, 2, 0]], "big_m": 10,
    },
    "circuit_validity": {"slots": 4, "gates": GATES, "depth_budget": 2, "big_m": 7.0},
    "drug_likeness": {
        "fragments": FRAGMENTS, "scaffold": [180, 1, 2, 1, 40, 2], "accessibility": [0.1, 0.4, 0, 1],
        "w_qed": 2.0, "w_lipinski": 0.5, "w_accessibility": 0.3,
    },
    "rl_value_function": {"Q": [[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], "tau": 0.7},
    "photonic_coupling": {"index": INDEX, "length": 2e-3, "kappa": 0.9},
    "spatial_locality": {"positions": POSITIONS, "ell": 0.4, "lam": 1.3},
}  # fmt: skip


def occupied(s):
    return [(value + 1) // 2 for value in s]


def pairs(n):
    return itertools.combinations(range(n), 2)


def grid(rows, columns):
    at = [(r, c) for r in range(rows) for c in range(columns)]
    return [(i, j) for i, j in pairs(len(at)) if abs(at[i][0] - at[j][0]) + abs(at[i][1] - at[j][1]) == 1]


def harmonic(s):
    n = occupied(s)
    f = [261.625565 * 2 ** (k / 12) for k in range(12)]
    rough = sum(roughness(f[a], f[b], 6, 0.88) for a, b in pairs(12) if n[a] and n[b])
    return rough - 0.4 * sum(n) + 0.7 * (sum(n) - 3) ** 2


def neural_coherence(s):
    banded = sosfiltfilt(butter(4, [8, 13], "bandpass", fs=256, output="sos"), np.array(SIGNALS))
    phase, power = np.angle(hilbert(banded)), (banded**2).mean(-1)
    locking = sum(np.abs(np.exp(1j * (phase[a] - phase[b])).mean()) * s[a] * s[b] for a, b in pairs(4))
    return -locking - ((power - power.mean()) / power.std()) @ np.array(s)


def architecture(c):
    given = SETTINGS["architecture_constraint"]
    p = sum(given["parameters"][i][a] for i, a in enumerate(c))
    f = sum(given["flops"][i][a] for i, a in enumerate(c))
    clash = c[0] == 1 and c[2] == 0
    return 10 * (max(0, p - 500) / 500 + max(0, f - 6) / 6 + clash)


def circuit(c):
    gates = [(name, tuple(qubits)) for name, qubits in (GATES[k] for k in c)]
    return 7.0 * (same_qubit_gates(gates) + cancelled_pairs(gates) + max(0, depth(gates) - 2))


def drug(s):
    n = np.array(occupied(s))
    total = np.array([180, 1, 2, 1, 40, 2]) + n @ np.array(FRAGMENTS)
    return -2 * qed_surrogate(total) + 0.5 * lipinski_violations(total) + 0.3 * n @ np.array([0.1, 0.4, 0, 1])


def biome(c):
    given = SETTINGS["biome_adjacency"]
    place = sum(
        ((CELLS[i][q] - given["centres"][b][q]) / given["widths"][b][q]) ** 2 / 2
        for i, b in enumerate(c) for q in range(3)
    )  # fmt: skip
    return place - sum(given["M"][c[i]][c[j]] for i, j in grid(2, 2))


def pixels(c):
    palette = np.array(SETTINGS["pixel_coherence"]["palette"])
    distance = sum(((palette[a] - PICTURE[i]) ** 2).sum() for i, a in enumerate(c))
    return distance - 0.8 * sum(c[i] == c[j] for i, j in grid(2, 3))


DEFINITIONS = {
    "unary": lambda s: -(0.3 * s[0] - s[1] + 2 * s[2]),
    "pairwise": lambda s: -(0.5 * s[0] * s[1] - s[2] * s[3] + 2 * s[0] * s[3]),
    "higher": lambda s: -(0.5 * s[0] * s[1] * s[2] - 1.5 * s[1] * s[2] * s[3] * s[4]),
    "table": lambda s: SETTINGS["table"]["energies"][int("".join(map(str, occupied(s))), 2)],
    "harmonic": harmonic,
    "neural_coherence": neural_coherence,
    "hebbian_energy": lambda s: -sum(p[i] * p[j] * s[i] * s[j] for p in PATTERNS for i, j in pairs(5)) / 2,
    "pixel_coherence": pixels,
    "biome_adjacency": biome,
    "architecture_constraint": architecture,
    "circuit_validity": circuit,
    "drug_likeness": drug,
    "rl_value_function": lambda c: -sum(SETTINGS["rl_value_function"]["Q"][i][a] for i, a in enumerate(c)) / 0.7,
    "photonic_coupling": lambda s: -0.9 * sum(
        math.cos(2 * math.pi / 1.55e-6 * (INDEX[i] - INDEX[j]) * 2e-3) * s[i] * s[j] for i, j in pairs(4)
    ),
    "spatial_locality": lambda s: 1.3 * sum(
        math.dist(POSITIONS[i], POSITIONS[j]) / 0.4 * occupied(s)[i] * occupied(s)[j] for i, j in pairs(4)
    ),
}  # fmt: skip


def settings(kind, **changed):
    return TERMS[kind].model_validate(json.loads(json.dumps(SETTINGS[kind] | changed)))


def states_of(chosen, most=300):
    units = chosen.units()
    levels = [-1, 1] if len(units) == 1 else list(range(units[1]))
    every = list(itertools.product(levels, repeat=units[0]))
    step = max(1, len(every) // most)
    return every[::step]


def test_every_named_term_is_here():
    assert set(TERMS) == set(SETTINGS) == set(DEFINITIONS)


@pytest.mark.parametrize("kind", list(TERMS))
def test_energy_is_its_definition(kind):
    chosen = settings(kind)
    states = states_of(chosen)
    term = chosen.build()
    found = term.energy(torch.tensor(states))
    np.testing.assert_allclose(found, [DEFINITIONS[kind](state) for state in states], rtol=1e-9, atol=1e-9)
    assert (term.model.size, isinstance(term.model, PottsModel)) == (chosen.units()[0], len(chosen.units()) == 2)
    assert float(found.max() - found.min()) > 0.1


@pytest.mark.parametrize("kind", list(TERMS))
def test_conditionals_are_differences_of_the_energy(kind):
    """An energy that is computed but absent from the conditionals would change nothing."""
    chosen = settings(kind)
    model, units = chosen.build().model, chosen.units()
    levels = [-1, 1] if len(units) == 1 else list(range(units[1]))
    states = torch.tensor(states_of(chosen, 7))
    field, graph = model.local_field(states), model.graph
    for unit in range(units[0]):
        raised = []
        for level in levels:
            moved = states.clone()
            moved[:, unit] = level
            raised.append(model.energy(moved))
        if len(units) == 1:
            torch.testing.assert_close(2 * field[:, unit], raised[0] - raised[1])
        else:
            expected = torch.stack([raised[0] - energy for energy in raised], dim=-1)
            torch.testing.assert_close(field[:, unit] - field[:, unit, :1], expected)
    assert model.colouring.conflict(graph) is None


def test_walsh_transform_holds_any_function():
    energy = np.random.default_rng(1).normal(size=(2,) * 6)
    term = products_of_spins(energy)
    states = list(itertools.product((-1, 1), repeat=6))
    np.testing.assert_allclose(term.energy(torch.tensor(states)), energy.ravel(), atol=1e-12)
    sparse = products_of_spins(np.add.outer(np.array([0.0, 1.0]), np.array([0.0, 3.0])))
    assert len(sparse.model.graph.edges) == 0


def test_consonance_orders_intervals():
    """Plomp & Levelt: fifth and octave are smoother than tritone and semitone."""
    base = 261.63
    octave, fifth, tritone, semitone = (roughness(base, base * r, 6, 0.88) for r in (2, 1.5, 2**0.5, 2 ** (1 / 12)))
    assert octave < fifth < tritone < semitone
    assert roughness(440.0, 440.0, 1, 1.0) == pytest.approx(0.0)


def test_voices_are_categories():
    chosen = settings("harmonic", form="voices", voices=2, octaves=2)
    assert chosen.units() == (2, 24)
    energy = chosen.build().energy(torch.tensor([[0, 12], [0, 1], [0, 7]]))
    assert float(energy[0]) < float(energy[2]) < float(energy[1])
    assert float(energy[1]) == pytest.approx(roughness(261.625565, 261.625565 * 2 ** (1 / 12), 6, 0.88))


def test_locked_electrodes_are_coupled():
    model = settings("neural_coherence").build().model
    j = model.couplings.matrix()
    assert float(j[0, 1]) > 0.95
    assert float(j[0, 2]) < 0.4
    assert float(model.bias.sum()) == pytest.approx(0.0, abs=1e-9)
    again = TERMS["neural_coherence"].model_validate({}).build(np.array(SIGNALS))
    torch.testing.assert_close(again.model.couplings.matrix(), j)


def test_stored_patterns_are_minima():
    model = settings("hebbian_energy").build().model
    for pattern in PATTERNS:
        state = torch.tensor([pattern])
        assert bool((state * model.local_field(state) >= 0).all())
    weights = [[0.0, 1.0], [3.0, 0.0]]
    given = TERMS["hebbian_energy"].model_validate({"weights": weights}).build()
    assert float(given.model.couplings.matrix()[0, 1]) == 2.0


def test_interference_needs_the_length():
    """Over one beat length the coupling returns; over half of it, it turns round."""
    beat = 1.55e-6 / 1e-4
    for length, expected in ((beat, 1.0), (beat / 2, -1.0), (beat / 4, 0.0)):
        chosen = TERMS["photonic_coupling"].model_validate({"index": [1.5, 1.5001], "length": length})
        assert float(chosen.build().model.couplings.matrix()[0, 1]) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValidationError):
        TERMS["photonic_coupling"].model_validate({"index": [1.5, 1.6], "length": 0})


def test_circuits():
    h, x, cx, s, sdg = ("h", (0,)), ("x", (1,)), ("cx", (0, 1)), ("s", (0,)), ("sdg", (0,))
    assert cancelled_pairs([h, h]) == 1
    assert cancelled_pairs([h, x, h]) == 1
    assert cancelled_pairs([h, cx, h]) == 0
    assert cancelled_pairs([cx, cx]) == 1
    assert cancelled_pairs([cx, ("cx", (1, 0))]) == 0
    assert cancelled_pairs([("cz", (0, 1)), ("cz", (1, 0))]) == 1
    assert cancelled_pairs([cx, x, cx]) == 0
    assert cancelled_pairs([s, sdg, s]) == 1
    assert cancelled_pairs([s, s]) == 0
    assert cancelled_pairs([h, h, h, h]) == 2
    assert depth([h, x, cx, h, ("id", ())]) == 3
    assert depth([]) == 0
    assert same_qubit_gates([cx, ("cx", (2, 2)), h]) == 1


def test_qed_surrogate_of_published_properties():
    """Desirabilities of the published sigmoids at 305 g/mol, logP 2.7, … are near their maxima, and far out near 0."""
    best = qed_surrogate(np.array([305.0, 2.7, 3.0, 1.0, 60.0, 3.0]))
    assert 0.85 < float(best) <= 1.0
    assert float(qed_surrogate(np.array([900.0, 9.0, 15.0, 8.0, 250.0, 20.0]))) < 0.2
    assert float(lipinski_violations(np.array([501.0, 5.1, 10.0, 6.0, 0.0, 0.0]))) == 3.0


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        ("neural_coherence", {"low": 20.0}, "ascend"),
        ("neural_coherence", {"signals": [[0.0] * 10] * 2}, "too few"),
        ("hebbian_energy", {"patterns": [[1, 0]]}, "neither"),
        ("pixel_coherence", {"picture": [[1.0, 2.0]]}, "picture"),
        ("biome_adjacency", {"M": [[1, 0, 0], [1, 1, 0], [0, 0, 1]]}, "symmetric"),
        ("biome_adjacency", {"widths": [[0, 1, 1]] * 3}, "positive"),
        ("architecture_constraint", {"incompatible": [[0, 1, 0, 2]]}, "two options"),
        ("architecture_constraint", {"parameters": [[0.0] * 8] * 8}, "joint states"),
        ("circuit_validity", {"slots": 20}, "joint states"),
        ("table", {"energies": [1.0, 2.0, 3.0]}, "2\\^N"),
        ("higher", {"weights": [1.0]}, "2 groups"),
    ],
)
def test_what_does_not_fit_is_refused(kind, changed, message):
    with pytest.raises(ValueError, match=message):
        settings(kind, **changed).build()


def test_unknown_settings_are_refused():
    with pytest.raises(ValidationError):
        settings("harmonic", temperament="just")
