"""Phase coherence of electrodes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from attractor.energy.terms.energy_term import EnergyTerm, Numbers, TermSettings, as_array, spins


def phase_locking(signals: Numbers, fs: float, low: float, high: float) -> tuple[Numbers, Numbers]:
    """Phase-locking values (Lachaux et al. 1999) and powers in a band.

    Args:
        signals: (channels, samples). fs, low, high: Hz.

    Returns:
        |⟨exp i(φ_a − φ_b)⟩|, (channels, channels), and the mean square in the band, (channels,). The filter is a
        Butterworth band-pass of order 4, run forth and back.
    """
    # Imported here: it takes most of a second, which no process should spend that never filters.
    from scipy.signal import butter, hilbert, sosfiltfilt

    banded = sosfiltfilt(butter(4, (low, high), "bandpass", fs=fs, output="sos"), signals, axis=-1)
    unit = np.exp(1j * np.angle(hilbert(banded, axis=-1)))
    locking: Numbers = np.abs(unit @ unit.conj().T) / signals.shape[-1]
    return locking, np.square(banded).mean(-1)


class NeuralCoherence(TermSettings):
    """E = −Σ_{a<b} PLV_ab s_a s_b − Σ z_a s_a, z the band powers, z-scored over the electrodes."""

    data_shape: ClassVar[tuple[str, ...]] = ("electrodes", "samples")
    reference: ClassVar[str] = "Lachaux, Rodriguez, Martinerie & Varela 1999, Hum. Brain Mapp. 8:194"

    fs: float = Field(256.0, gt=0, description="Hz")
    low: float = Field(8.0, gt=0, description="Hz")
    high: float = Field(13.0, gt=0, description="Hz")
    signals: list[list[float]] = []

    def units(self, data: tuple[int, ...] | None = None) -> tuple[int, ...]:
        n = len(self.signals) if data is None else data[0]
        if n == 0:
            raise ValueError("there are no signals: connect `data`, or give `signals`")
        return (n,)

    def build(self, data: Numbers | None = None) -> EnergyTerm:
        if not self.low < self.high < self.fs / 2:
            raise ValueError(f"the band {self.low}–{self.high} Hz must ascend and lie below fs/2 = {self.fs / 2} Hz")
        signals = as_array(self.signals if data is None else data, (None, None), "signals")
        # What sosfiltfilt pads each end with.
        if signals.shape[1] <= 27:
            raise ValueError(f"{signals.shape[1]} samples are too few for the filter; give at least 28")
        locking, power = phase_locking(signals, self.fs, self.low, self.high)
        spread = power.std()
        z = (power - power.mean()) / spread if spread > 0 else np.zeros_like(power)
        return spins(locking, z)
