"""Driven oscillators that compute: each family turns a drive into the read-out of one cell.

The drive is dimensionless: a settled value of at least +1/2 is a logical high, of at most -1/2 a low. A family's
parameters (wells, damping, time scale, internal noise) are drawn anew for every recording, and its read-out is
scaled so that the two logic levels lie near +1 and -1.

Only +, -, *, / and comparisons of float64 are used while integrating. These are exactly rounded (IEEE 754), so
a chaotic cell gives the same bits on every machine, and a test split can be made again from its seed and checked by
hash.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Vector = tuple[Array, ...]
Flow = Callable[[Vector, Array], Vector]


class OscillatorFamily(ABC):
    """One kind of driven oscillator.

    Attributes:
        name: as in the card.
        memory: whether the cell holds its last state at zero drive (two wells).
        window: whether one cell responds to a *window* of drives, which makes XOR without a second cell.
    """

    name: ClassVar[str]
    memory: ClassVar[bool] = False
    window: ClassVar[bool] = False

    @abstractmethod
    def respond(self, drive: Array, windowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Array:
        """Read-out of n cells.

        Args:
            drive: shape (n, T), one value per sample, held during the sample.
            windowed: shape (n,): cells that are to be high where ``|drive|`` is small and low where it is near 1 (only
                where the family has `window`), instead of high where the drive is high.
            rng: source of the cells' parameters and internal noise.

        Returns:
            float64 of shape (n, T), logic levels near -1 and +1.
        """


class OverdampedBistable(OscillatorFamily):
    """Overdamped double well, ``dx = [4(x - x³) + g·u] dt + √(2D) dW``, by Euler-Maruyama.

    Logical stochastic resonance: Murali, Sinha, Ditto & Bulsara, Phys. Rev. Lett. 102, 104101 (2009). The wells
        give way at g|u| = 8/(3√3) ≈ 1.54; weaker drives need the noise D to cross.
    """

    name = "overdamped bistable"
    memory = True
    substeps: ClassVar[int] = 20

    def respond(self, drive: Array, windowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Array:
        n, ticks = drive.shape
        gain = rng.uniform(2.7, 5.0, n)
        dt = rng.uniform(0.4, 1.0, n) / self.substeps
        kick = np.sqrt(2.0 * rng.uniform(0.02, 0.3, n) * dt)
        x = rng.uniform(-1.0, 1.0, n)
        out = np.empty((ticks, n))
        for t, u in enumerate(drive.T):
            force = gain * u
            for noise in rng.standard_normal((self.substeps, n)):
                x = x + dt * (4.0 * (x - x * x * x) + force) + kick * noise
            out[t] = x
        return out.T


class NoisyDuffing(OscillatorFamily):
    """Under-damped double well with a carrier, ``ẍ = -δẋ + x - x³ + g·u + γ cos ωt + √(2D) ξ``.

    Kohar & Sinha, Phys. Lett. A 376, 957 (2012) use it for logic. The wells give way at g|u| = 2/(3√3) ≈ 0.385.
    Semi-implicit Euler-Maruyama. The carrier turns by the rational rotation ((1 - q²)/(1 + q²), 2q/(1 + q²)), q =
    ω·dt/2.
    """

    name = "noisy Duffing"
    memory = True
    substeps: ClassVar[int] = 25

    def respond(self, drive: Array, windowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Array:
        n, ticks = drive.shape
        gain = rng.uniform(1.0, 2.0, n)
        damping = rng.uniform(0.2, 1.2, n)
        carrier = rng.uniform(0.0, 0.25, n)
        dt = rng.uniform(0.8, 1.8, n) / self.substeps
        kick = np.sqrt(2.0 * rng.uniform(0.0, 0.03, n) * dt)
        q = rng.uniform(0.5, 4.0, n) * dt / 2.0
        turn_c, turn_s = (1.0 - q * q) / (1.0 + q * q), 2.0 * q / (1.0 + q * q)
        c, s = np.ones(n), np.zeros(n)
        x, v = rng.uniform(-1.0, 1.0, n), np.zeros(n)
        out = np.empty((ticks, n))
        for t, u in enumerate(drive.T):
            force = gain * u
            for noise in rng.standard_normal((self.substeps, n)):
                v = v + dt * (x - x * x * x - damping * v + force + carrier * c) + kick * noise
                x = x + dt * v
                c, s = turn_c * c - turn_s * s, turn_s * c + turn_c * s
            out[t] = x
        return out.T


class VanDerPol(OscillatorFamily):
    """Van der Pol oscillator read by an envelope detector: oscillating is high, amplitude death is low.

    ``ẍ = μ(1 - x²)ẋ - x + F + √(2D) ξ``, ``τ ė = |ẋ| - e``. Its rest point x = F is unstable exactly for |F| < 1
    (Hopf), so a threshold cell has F = 1 - k·u and a window cell F = k·u, which is an XOR of two inputs by itself.
    Van der Pol, Phil. Mag. 2, 978 (1926).
    """

    name = "Van der Pol"
    window = True
    substeps: ClassVar[int] = 40

    def respond(self, drive: Array, windowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Array:
        n, ticks = drive.shape
        mu = rng.uniform(0.8, 1.6, n)
        level = np.where(windowed, rng.uniform(1.5, 2.2, n), rng.uniform(0.9, 1.25, n))
        dt = rng.uniform(2.5, 4.5, n) / self.substeps
        kick = np.sqrt(2.0 * rng.uniform(0.002, 0.02, n) * dt)
        follow = dt / rng.uniform(2.5, 5.0, n)
        # Mean speed of the limit cycle is about 1.3 at mu 1: half of it is the mid level.
        x, v, envelope = rng.uniform(-1.0, 1.0, n), np.zeros(n), np.full(n, 0.6)
        out = np.empty((ticks, n))
        for t, u in enumerate(drive.T):
            force = np.where(windowed, level * u, 1.0 - level * u)
            for noise in rng.standard_normal((self.substeps, n)):
                v = v + dt * (mu * (1.0 - x * x) * v - x + force) + kick * noise
                x = x + dt * v
                envelope = envelope + follow * (np.abs(v) - envelope)
            out[t] = envelope / 0.6 - 1.0
        return out.T


class LogisticChaogate(OscillatorFamily):
    """Clocked logistic chaogate: reset to x*, add the inputs, iterate ``x → 4x(1 - x)`` once, compare.

    Initial states and thresholds follow Munakata, Sinha & Ditto, IEEE Trans. CAS-I 49, 1629 (2002): OR-like cells
    start at 1/8 with a quarter per input and threshold 11/16; window (XOR) cells sit symmetrically about the map's
    maximum with threshold 7/8. The comparator is linear within ±w of its threshold. Between clock edges the output
    is held.
    """

    name = "logistic chaogate"
    window = True

    def respond(self, drive: Array, windowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Array:
        n, ticks = drive.shape
        noise = rng.uniform(0.0, 0.035, n)
        width = rng.uniform(0.04, 0.2, n) * np.where(windowed, 0.5, 1.0)
        period = rng.integers(1, 5, n)
        phase = rng.integers(0, 4, n)
        held = np.zeros(n)
        out = np.empty((ticks, n))
        for t, u in enumerate(drive.T):
            start = np.where(windowed, 0.5 + 0.25 * u, 0.25 + 0.25 * u) + noise * rng.standard_normal(n)
            start = np.minimum(np.maximum(start, 0.0), 1.0)
            excess = 4.0 * start * (1.0 - start) - np.where(windowed, 0.875, 0.6875)
            compared = np.minimum(np.maximum(excess / width, -1.0), 1.0)
            held = np.where((t + phase) % period == 0, compared, held)
            out[t] = held
        return out.T


class ShimizuMorioka(OscillatorFamily):
    """Shimizu-Morioka system, ``ẋ = y``, ``ẏ = (1 - z)x - αy + g·u``, ``ż = x² - βz``, by RK4.

    Shimizu & Morioka, Phys. Lett. A 76, 201 (1980). Two wings like a double well with a slow restoring variable; a
    drive holds it in one, which it enters with a strong ringing transient. Chaotic near α 0.75, β 0.45; here,
    above that, the ringing dies out within a step.
    """

    name = "Shimizu-Morioka"
    substeps: ClassVar[int] = 25

    def respond(self, drive: Array, windowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Array:
        n = len(drive)
        gain = rng.uniform(2.0, 5.0, n)
        alpha = rng.uniform(0.9, 1.8, n)
        beta = rng.uniform(0.5, 1.2, n)
        dt = rng.uniform(1.4, 2.6, n) / self.substeps

        def flow(state: Vector, force: Array) -> Vector:
            x, y, z = state
            return y, (1.0 - z) * x - alpha * y + force, x * x - beta * z

        start = tuple(rng.uniform(-0.3, 0.3, (3, n)))
        kick = rng.uniform(0.0, 0.1, n)
        return integrate_rk4(flow, start, drive * gain[:, None], dt, self.substeps, kick, rng)


class ChuaCell(OscillatorFamily):
    """Chua cell with cubic diode, ``ẋ = α(y + (x - 2x³)/7) + g·u``, ``ẏ = x - y + z``, ``ż = -βy``, β = 100/7, by RK4.

    Hartley, NASA TM 101971 (1989). Undriven it wanders over the double scroll (α near 10); a drive of |g·u| above
    about 2.5 holds it in one lobe after a ringing transient. The cubic keeps forced orbits bounded, which the
    piecewise-linear diode does not.
    """

    name = "Chua"
    substeps: ClassVar[int] = 20

    def respond(self, drive: Array, windowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Array:
        n = len(drive)
        gain = rng.uniform(6.0, 11.0, n)
        alpha = rng.uniform(8.8, 10.2, n)
        dt = rng.uniform(0.3, 0.7, n) / self.substeps

        def flow(state: Vector, force: Array) -> Vector:
            x, y, z = state
            return alpha * (y + (x - 2.0 * x * x * x) / 7.0) + force, x - y + z, -(100.0 / 7.0) * y

        start = tuple(rng.uniform(-0.2, 0.2, (3, n)))
        kick = rng.uniform(0.0, 0.08, n)
        return integrate_rk4(flow, start, drive * gain[:, None], dt, self.substeps, kick, rng) / 1.3


class LorenzCell(OscillatorFamily):
    """Lorenz system, ``ẋ = σ(y - x) + g·u``, ``ẏ = x(ρ - z) - y``, ``ż = xy - βz``, σ = 10, β = 8/3, by RK4.

    Lorenz, J. Atmos. Sci. 20, 130 (1963). Undriven it wanders between the wings (ρ near 28); the drive holds it in one.
    """

    name = "Lorenz"
    substeps: ClassVar[int] = 20

    def respond(self, drive: Array, windowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Array:
        n = len(drive)
        gain = rng.uniform(100.0, 170.0, n)
        rho = rng.uniform(22.0, 28.0, n)
        dt = rng.uniform(0.2, 0.4, n) / self.substeps

        def flow(state: Vector, force: Array) -> Vector:
            x, y, z = state
            return 10.0 * (y - x) + force, x * (rho - z) - y, x * y - (8.0 / 3.0) * z

        start = tuple(rng.uniform(-1.0, 1.0, (3, n)))
        kick = rng.uniform(0.0, 0.8, n)
        return integrate_rk4(flow, start, drive * gain[:, None], dt, self.substeps, kick, rng) / 13.0


def integrate_rk4(
    flow: Flow, start: Vector, force: Array, dt: Array, substeps: int, kick: Array, rng: np.random.Generator
) -> Array:
    """First coordinate of a forced flow, by classical Runge-Kutta of order 4.

    Args:
        flow: ``(state, force) → derivative``, every coordinate of shape (n,).
        start: initial coordinates.
        force: shape (n, T), held during each sample.
        dt: step of each of the n flows; a sample is `substeps` of them.
        kick: standard deviation of a normal kick that the first coordinate takes once per sample.

    Returns:
        float64 (n, T), the coordinate at the end of each sample.
    """
    n, ticks = force.shape
    state = start
    half, sixth = dt / 2.0, dt / 6.0
    out = np.empty((ticks, n))
    for t, push in enumerate(force.T):
        state = (state[0] + kick * rng.standard_normal(n), *state[1:])
        for _ in range(substeps):
            k1 = flow(state, push)
            k2 = flow(tuple(s + half * k for s, k in zip(state, k1, strict=True)), push)
            k3 = flow(tuple(s + half * k for s, k in zip(state, k2, strict=True)), push)
            k4 = flow(tuple(s + dt * k for s, k in zip(state, k3, strict=True)), push)
            slopes = zip(k1, k2, k3, k4, strict=True)
            state = tuple(s + sixth * (a + 2.0 * (b + c) + d) for s, (a, b, c, d) in zip(state, slopes, strict=True))
        out[t] = state[0]
    return out.T


TRAINING_FAMILIES: Final[tuple[OscillatorFamily, ...]] = (
    OverdampedBistable(),
    NoisyDuffing(),
    VanDerPol(),
    LogisticChaogate(),
    ShimizuMorioka(),
)
HELD_OUT_FAMILIES: Final[tuple[OscillatorFamily, ...]] = (ChuaCell(), LorenzCell())
