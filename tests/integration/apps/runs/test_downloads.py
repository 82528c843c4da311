"""What a browser is told of a file that somebody has put here."""

from __future__ import annotations

import re
from email.message import Message
from typing import Any
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.django_db

GOOD = b"t,p\n0,1\n1,2\n"


def filename_of(disposition: str) -> str | None:
    """The name in full, as a reader of RFC 2231 that is not ours finds it; it prefers the plain one, which browsers do
    not (RFC 6266, section 4.3)."""
    message = Message()
    message["Content-Disposition"] = re.sub(r'filename="[A-Za-z0-9._-]+"; ', "", disposition)
    return message.get_filename()


@pytest.mark.parametrize(
    "name", ["plain.csv", "über 90 %; filename=evil.csv", "猫.csv", "a'b''c.csv", "x%0d%0aSet-Cookie=a.csv"]
)
def test_a_file_is_only_ever_saved_under_its_name(ann: Any, name: str) -> None:
    address = f"{ann.root}/imports/?name={quote(name, safe='')}"
    made = ann.client.post(address, GOOD, content_type="application/octet-stream")
    assert made.status_code == 201, made.content
    answer = ann.client.get(made.json()["url"])
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; ")
    assert filename_of(disposition) == name
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    # Should a browser show it all the same, it can do nothing.
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert b"".join(answer.streaming_content) == GOOD


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "x.csv.exe", "script.js", "x.xml", "x.pkl", "x"])
def test_only_the_formats_that_are_checked_are_taken(ann: Any, name: str) -> None:
    answer = ann.client.post(f"{ann.root}/imports/?name={name}", GOOD, content_type="application/octet-stream")
    assert answer.status_code == 422
    assert ann.get("/artifacts/").json()["results"] == []


@pytest.mark.parametrize("name", ["x.npz", "x.h5", "x.parquet", "x.wav"])
def test_what_a_file_says_it_is_must_be_what_it_is(ann: Any, name: str) -> None:
    answer = ann.client.post(f"{ann.root}/imports/?name={name}", GOOD, content_type="application/octet-stream")
    assert answer.status_code == 422
    assert ann.get("/artifacts/").json()["results"] == []
