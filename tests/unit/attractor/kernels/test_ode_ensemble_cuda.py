"""The Triton kernel against the reference: on a GPU where there is one, else in Triton's interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="the CUDA kernels need Triton, which the CPU's torch does not bring")

PROGRAM = """
import torch
from test_ode_ensemble import ensemble, numbers, own
from attractor.kernels.cuda.ode_ensemble import ode_ensemble
from attractor.kernels.ode_ensemble import reference
from attractor.oscillators import CELLS

device = "cuda" if torch.cuda.is_available() else "cpu"


def compare(inputs):
    there = [value.to(device) if isinstance(value, torch.Tensor) else value for value in inputs.values()]
    torch.testing.assert_close(ode_ensemble(*there).cpu(), reference(**inputs), atol=1e-11, rtol=1e-11)


for cell in CELLS:
    for method in ("rk4", "dopri5"):
        params = own(cell, 3, 2, len(CELLS[cell].params), 130)
        compare(ensemble(cell, points=2, n=130, method=method, drive=numbers(3, 2, 130, seed=2), params=params))
for cell, method, topology, mask in (
    ("chua", "rk4", "random", 0b001),
    ("rossler", "rk4", "all_to_all", 0b111),
    ("vanderpol", "rk4", "grid2d", 0b010),
    ("lorenz", "dopri5", "small_world", 0b001),
):
    compare(
        ensemble(
            cell, points=2, n=36, topology=topology, degree=2 if topology == "random" else 4, mask=mask, method=method,
            coupling=torch.tensor([[0.2, 0.9], [0.0, 1.5], [3.0, 0.1]], dtype=torch.float64),
            steps=torch.tensor([[5, 3]]), h=torch.tensor([[0.004, 0.005]], dtype=torch.float64),
            drive=numbers(1, 1, 36, seed=2),
        )
    )
"""


@pytest.mark.slow
def test_equals_the_reference():
    """In a process of its own: Triton reads when it is imported whether it shall interpret."""
    here = str(Path(__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, *sys.path])}
    if not torch.cuda.is_available():
        environment["TRITON_INTERPRET"] = "1"
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
