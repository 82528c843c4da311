"""Compiled functions: kept on disk, compiled again when any source changes, exact in their arithmetic."""

import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from attractor.cache_folder import cache_folder
from attractor.kernels import jit as jit_module
from attractor.kernels.fma import fma
from attractor.kernels.jit import jit


@jit
def fused(a, b, c):
    return fma(a, b, c)


@jit
def fused_lanes(a, b, c, out):
    for i in range(len(out)):
        out[i] = fma(a[i], b[i], c[i])


@jit
def quotient(a, b):
    return a / b


def test_fma_rounds_once():
    """Against exact rational arithmetic, where a rounded product would lose everything."""
    rng = np.random.default_rng(1)
    a, b = (1 + rng.random((2, 1001))).astype(np.float32)
    c = -(a * b)
    out = np.empty_like(a)
    fused_lanes(a, b, c, out)
    exact = [
        float(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))) for x, y, z in zip(a, b, c, strict=True)
    ]
    np.testing.assert_array_equal(out, np.array(exact, np.float32))
    assert out.any()
    # The scalar function is the same, element by element.
    np.testing.assert_array_equal([fused(x, y, z) for x, y, z in zip(a, b, c, strict=True)], out)


def test_division_by_zero_is_infinite():
    assert quotient(1.0, 0.0) == np.inf


@pytest.mark.slow
def test_code_is_kept_and_found_by_the_next_process(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_jit\n"
        "print(test_jit.quotient(6.0, 2.0), sum(test_jit.quotient.stats.cache_hits.values()))\n"
    )

    def run() -> list[str]:
        environment = os.environ | {"ATTRACTOR_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", program, str(Path(__file__).parent)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    assert run() == ["3.0", "0"]
    assert run() == ["3.0", "1"]
    assert {path.name for path in tmp_path.iterdir()} == {"kernels"}


def test_code_of_other_sources_goes_when_nobody_uses_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTRACTOR_CACHE_DIR", str(tmp_path))
    old, recent = tmp_path / "kernels" / "old", tmp_path / "kernels" / "recent"
    for folder in (old, recent):
        folder.mkdir(parents=True)
        (folder / "code").touch()
    month_ago = time.time() - (jit_module.UNUSED_DAYS + 1) * 86_400
    os.utime(old, (month_ago, month_ago))
    own = jit_module._folder.__wrapped__()
    assert own is not None
    assert own.is_dir()
    assert recent.is_dir()
    assert not old.exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATTRACTOR_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="ATTRACTOR_CACHE_DIR"):
        assert cache_folder("kernels") is None
    with pytest.warns(RuntimeWarning, match="compiles anew"):
        assert jit_module._folder.__wrapped__() is None


def test_the_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("ATTRACTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("a") == tmp_path / "attractor" / "a"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("a") == tmp_path / ".cache" / "attractor" / "a"
