"""The oscillators obey their equations and answer to their drive."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from models.logic_gate_detector.data import generator
from models.logic_gate_detector.oscillators import (
    HELD_OUT_FAMILIES,
    TRAINING_FAMILIES,
    ChuaCell,
    LorenzCell,
    VanDerPol,
    integrate_rk4,
)

FAMILIES = [*TRAINING_FAMILIES, *HELD_OUT_FAMILIES]
LOW_HIGH = np.repeat([-0.5, 0.5, -1.5, 1.5], 40)


def respond(family, drive, n=40, windowed=False):
    drives = np.broadcast_to(drive, (n, len(drive)))
    return family.respond(drives.copy(), np.full(n, windowed), generator(5, 1))


def test_no_family_is_both_trained_on_and_held_out():
    assert not {f.name for f in TRAINING_FAMILIES} & {f.name for f in HELD_OUT_FAMILIES}
    assert not {type(f) for f in TRAINING_FAMILIES} & {type(f) for f in HELD_OUT_FAMILIES}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_cell_is_high_under_a_high_drive_and_low_under_a_low_one(family):
    out = respond(family, LOW_HIGH)
    settled = out.reshape(40, 4, 40)[:, :, 25:].mean(axis=2)
    right = (settled > 0.0) == (np.array([-1, 1, -1, 1]) > 0)
    assert right.mean() > 0.9
    assert np.abs(np.median(settled, axis=0)).min() > 0.35


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.window], ids=lambda f: f.name)
def test_a_window_cell_is_an_xor_of_its_summed_inputs(family):
    out = respond(family, np.repeat([-1.0, 0.0, 1.0], 40), windowed=True)
    settled = np.median(out.reshape(40, 3, 40)[:, :, 25:].mean(axis=2), axis=0)
    assert settled[1] > 0.5
    assert max(settled[0], settled[2]) < -0.5


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.memory], ids=lambda f: f.name)
def test_a_double_well_remembers_the_last_drive(family):
    out = respond(family, np.repeat([0.6, 0.0, -0.6, 0.0], 30), n=80)
    after_high, after_low = out[:, 55:60].mean(axis=1), out[:, 115:].mean(axis=1)
    assert (after_high > after_low + 0.5).mean() > 0.7


def test_van_der_pol_dies_exactly_where_its_rest_point_becomes_stable():
    # F = 1 - k·u leaves (-1, 1) at u = 0: oscillation for u > 0, amplitude death for u < 0.
    high = respond(VanDerPol(), np.full(120, 0.4))[:, 80:]
    low = respond(VanDerPol(), np.full(120, -0.6))[:, 80:]
    assert np.median(high) > 0.2
    assert np.median(low) < -0.6


@pytest.mark.parametrize("family", [ChuaCell, LorenzCell])
def test_an_undriven_chaotic_cell_visits_both_lobes(family):
    out = respond(family(), np.zeros(400), n=60)
    both = (out > 0.2).any(axis=1) & (out < -0.2).any(axis=1)
    assert both.mean() > 0.3


def test_the_integrator_agrees_with_an_adaptive_one_of_order_eight():
    def lorenz(state, force):
        x, y, z = state
        return 10.0 * (y - x) + force, x * (28.0 - z) - y, x * y - (8.0 / 3.0) * z

    force = np.array([[30.0, 30.0, -50.0, -50.0, 0.0]])
    start = tuple(np.array([v]) for v in (1.0, 1.0, 1.0))
    found = integrate_rk4(lorenz, start, force, np.array([0.002]), 100, np.zeros(1), generator(0, 0))[0]
    state, expected = np.ones(3), []
    for push in force[0]:
        solved = solve_ivp(
            lambda _, s, push=push: lorenz(s, push), (0.0, 0.2), state, method="DOP853", rtol=1e-11, atol=1e-11
        )
        state = solved.y[:, -1]
        expected.append(state[0])
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_the_same_seed_gives_the_same_bits(family):
    first, second = respond(family, LOW_HIGH, n=3), respond(family, LOW_HIGH, n=3)
    assert (first == second).all()
