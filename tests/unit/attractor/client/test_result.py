"""Results for programs and notebooks."""

from typing import Any

import numpy as np
import pytest

from attractor.client import Result

DATA: dict[str, Any] = {
    "result_hash": "sha256:<b>",
    "outputs": {"a.x": [[1.0, 2.0], [3.0, 4.0]], "a.<script>": 0.5, "a.ragged": [[1], [2, 3]]},
    "tables": {"t.rows": {"columns": ["name", "<i>"], "rows": [["and", 1.5], ["or", None]]}},
}


def test_values_are_arrays_and_tables_are_dataframes() -> None:
    result = Result(DATA)
    np.testing.assert_array_equal(result.array("a.x"), [[1, 2], [3, 4]])
    frame = result.dataframe("t.rows")
    assert list(frame.columns) == ["name", "<i>"]
    assert frame["name"].tolist() == ["and", "or"]
    with pytest.raises(KeyError, match=r"a\.x"):
        result.array("nothing")
    with pytest.raises(KeyError, match=r"t\.rows"):
        result.dataframe("nothing")
    assert dict(result) == DATA
    assert len(result) == 3


def test_a_notebook_is_shown_text_and_never_what_it_spells() -> None:
    shown = Result(DATA)._repr_html_()
    assert "<script>" not in shown
    assert "<i>" not in shown
    assert "&lt;b&gt;" in shown
    assert "[2×2]" in shown
