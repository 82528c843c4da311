"""A verdict's numbers arranged for reading."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from apps.web.numbers import arrange, shown

names = st.text("abcdefghij_", min_size=1, max_size=8)
# Whole numbers that occur nowhere else, so that each can be found again in what is shown.
leaves = st.integers(10**9, 10**12)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


def scalars(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in scalars(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in scalars(item)]
    return [value]


def texts(groups):
    for group in groups:
        for row in group.rows:
            yield " ".join(row)
        yield from texts(group.entries)


@given(documents)
def test_every_number_is_shown_as_often_as_it_occurs(document):
    words = Counter(word.rstrip(",") for text in texts(arrange(document)) for word in text.split())
    for number, times in Counter(scalars(document)).items():
        assert words[str(number)] == times


def test_like_records_become_a_table_with_every_column_any_of_them_has():
    (group,) = arrange({"seeds": [{"seed": 1, "gates": 5}, {"seed": 2, "passed": False}]})
    assert group.kind == "table"
    assert group.columns == ("seed", "gates", "passed")
    assert group.rows == (("1", "5", ""), ("2", "", "no"))


def test_values_are_written_for_people():
    assert [shown(value) for value in (None, True, 0.123456789, 3, "x", [], [0.5, None])] == [
        "none", "yes", "0.123457", "3", "x", "none", "0.5, none",
    ]  # fmt: skip
