"""Bodies of API requests before anything of the product sees them."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from apps.ops.parsers import BoundedJSONParser
from apps.ops.problems import PayloadTooLarge

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz", max_size=3), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def parse(body: bytes) -> Any:
    return BoundedJSONParser().parse(io.BytesIO(body))


@given(json_values)
def test_what_json_says_is_read(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "JSON"),
        (b"", "JSON"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' is given twice"),
        (b'{"a": "x\\u0000y"}', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
        (b'"\xff"', "JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"9" * 5000, "JSON"),
    ],
)
def test_what_could_not_be_kept_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as refused:
        parse(body)
    assert reason in str(refused.value.detail)


def test_a_whole_surrogate_pair_and_an_escaped_backslash_are_fine() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"
    assert parse(b'"\\\\u0041"') == "\\u0041"


class Endless(io.RawIOBase):
    """A body without an end; remembers how much of it was read."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "the whole body was asked for"
        self.taken += size
        return b"[" * size


def test_no_more_than_the_limit_is_read(settings: Any) -> None:
    limit = settings.ATTRACTOR.limits.request_bytes
    body = Endless()
    with pytest.raises(PayloadTooLarge):
        BoundedJSONParser().parse(body)
    assert body.taken <= limit + 1


def test_a_declared_length_over_the_limit_is_refused_unread(settings: Any) -> None:
    limit = settings.ATTRACTOR.limits.request_bytes
    request = SimpleNamespace(META={"CONTENT_LENGTH": str(limit + 1)})
    body = Endless()
    with pytest.raises(PayloadTooLarge):
        BoundedJSONParser().parse(body, parser_context={"request": request})
    assert body.taken == 0


def test_a_body_of_exactly_the_limit_is_read(settings: Any) -> None:
    limit = settings.ATTRACTOR.limits.request_bytes
    assert len(parse(b'"' + b"x" * (limit - 2) + b'"')) == limit - 2
    with pytest.raises(PayloadTooLarge):
        parse(b'"' + b"x" * (limit - 1) + b'"')


def test_values_are_counted_before_they_are_made_and_marks_inside_texts_are_none(settings: Any) -> None:
    most = settings.ATTRACTOR.limits.request_values
    table = b"[" + b",".join([b"[" + b",".join([b"1"] * 640) + b"]"] * 640) + b"]"
    assert len(parse(table)) == 640
    text = b'["' + b'\\",[{' * most + b'"]'
    assert parse(text) == ['",[{' * most]
    for body in (b"[" + b"1," * most + b"1]", b"{" * (most + 1), b"1," * (most + 1) + b'"\\'):
        with pytest.raises(PayloadTooLarge, match="values"):
            parse(body)
