"""How routes round what they compute in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from attractor.modulation import rounded


@given(st.floats(allow_nan=False))
@example(1e300)
@example(3.4028235677973366e38)
@example(1e-46)
@example(1.0 + 2.0**-24)
def test_a_number_is_rounded_as_an_array_of_numbers_is(value: float) -> None:
    with np.errstate(over="ignore"):
        assert rounded(value, torch.float32) == np.asarray([value]).astype(np.float32)[0]
    assert rounded(value, torch.float64) == value


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_not_a_number_stays_that(dtype: torch.dtype) -> None:
    assert math.isnan(rounded(math.nan, dtype))
