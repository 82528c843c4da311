"""Parameter: what its declaration allows, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.parameter import Parameter, ParameterRefused

TEMPERATURE = Parameter("T", "float", 1.0, "K", min=0, max=20, open_min=True)


@given(st.floats(2.0**-126, 20))
def test_what_lies_in_the_range_passes_unchanged(value):
    assert TEMPERATURE.validate(value) == value
    assert TEMPERATURE.validate({"value": value, "unit": "K"}) == value


@given(
    st.one_of(st.floats(max_value=0), st.floats(min_value=20, exclude_min=True), st.text(), st.booleans(), st.none())
)
def test_everything_else_is_refused_with_the_range(value):
    with pytest.raises(ParameterRefused) as refused:
        TEMPERATURE.validate(value)
    assert "(0, 20] K" in refused.value.mend


@pytest.mark.parametrize("value", [1e-50, 5e-324, 1e-45, 1e-39, 1.17e-38])
def test_what_is_positive_only_in_double_precision_is_refused_with_the_smallest_value(value):
    assert np.float32(value) < np.finfo(np.float32).tiny
    with pytest.raises(ParameterRefused, match="too small for single precision") as refused:
        TEMPERATURE.validate(value)
    assert "the smallest is 1.1754944e-38" in refused.value.mend
    for legal in (1.1754944e-38, float(np.finfo(np.float32).tiny)):
        assert np.float32(TEMPERATURE.validate(legal)) >= np.finfo(np.float32).tiny


@pytest.mark.parametrize(
    ("declaration", "good", "bad"),
    [
        (Parameter("n", "int", 1, min=1, max=9), [1, 9, 3.0], [0, 10, 1.5, True, "1", float("nan"), float("inf")]),
        (Parameter("f", "bool", False), [True, False], [0, 1, "true"]),
        (Parameter("c", "choice", "a", choices=("a", "b")), ["b"], ["c", 1, None]),
        (Parameter("s", "text", ""), ["x"], [1, None]),
        (Parameter("v", "list", [0.0]), [[1, 2], [[1], [2]], []], [1, ["a"], [None], [True], [float("nan")], [3.5e38]]),
    ],
)
def test_types(declaration, good, bad):
    for value in good:
        assert declaration.validate(value) == value
    for value in bad:
        with pytest.raises(ParameterRefused):
            declaration.validate(value)


def test_a_declaration_must_allow_its_own_default():
    with pytest.raises(ParameterRefused):
        Parameter("x", "float", 3.0, max=2)


def test_only_numbers_and_switches_can_be_live():
    with pytest.raises(TypeError):
        Parameter("x", "text", "", live=True)
