"""WAV: PCM or floating-point samples."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from attractor.importing.report import Found, Report

RATES = (1, 768_000)


def check(path: Path, report: Report) -> None:
    """Check the form, the rate and every sample."""
    with path.open("rb") as file:
        (said,) = struct.unpack("<4xI", file.read(8).ljust(8, b"\0"))
    # A byte more fills up to an even length; writers of streams do not know it.
    if said not in (0, 0xFFFFFFFF) and 8 + said + 1 < path.stat().st_size:
        report.say("file", "goes on behind its end.", "Write it anew, without what follows.")
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rate, samples = wavfile.read(path, mmap=False)
    except (ValueError, struct.error, EOFError, OSError, wavfile.WavFileWarning, TypeError, ZeroDivisionError) as error:
        report.say("file", f"cannot be read as WAV: {str(error)[:300]}.", "Write it anew, as PCM or float.")
        return
    except (MemoryError, OverflowError, UnboundLocalError):
        report.say("file", "has a header that its content does not bear out.", "Write it anew, as PCM or float.")
        return
    if not RATES[0] <= rate <= RATES[1]:
        report.say("file", f"has {rate} samples a second.", f"Give it {RATES[0]} to {RATES[1]}.")
    if not samples.size:
        report.say("file", "has no samples.", "Record something.")
    report.add(Found("samples", "number", str(samples.dtype), tuple(samples.shape), f"1/{rate} s"))
    report.numbers("samples", np.atleast_1d(samples))
