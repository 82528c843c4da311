"""/.well-known/security.txt, held against the grammar of RFC 9116."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.ops.security_txt import contact_is_named

pytestmark = pytest.mark.django_db  # the page that says that there is nothing asks for notices

ADDRESS = "/.well-known/security.txt"
# Section 4 of the RFC, for the fields that are written; date-time is that of RFC 3339.
FIELD = re.compile(
    r"(Contact: (https://|mailto:|tel:)\S+"
    r"|Expires: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
    r"|Policy: https://\S+|Canonical: https://\S+"
    r"|Preferred-Languages: [A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*( *, *[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)*)"
)


def day(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


@pytest.fixture
def configured(settings: Any) -> Any:
    """Change that part of the configuration."""

    def change(**fields: Any) -> None:
        said = settings.ATTRACTOR.security_txt.model_copy(update=fields)
        settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"security_txt": said})

    return change


def test_the_file_is_as_the_rfc_wants_it(configured: Any) -> None:
    expires = day(200)
    configured(
        contacts=["mailto:security@example.org", "https://example.org/report"], expires=expires,
        policy="https://example.org/policy", languages=["en", "de"],
    )  # fmt: skip
    answer = Client().get(ADDRESS)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    *lines, last = answer.content.decode("ascii").split("\r\n")
    assert last == ""
    assert all(FIELD.fullmatch(line) for line in lines), lines
    names = [line.partition(":")[0] for line in lines]
    assert names.count("Expires") == names.count("Preferred-Languages") == names.count("Policy") == 1
    assert lines[:2] == ["Contact: mailto:security@example.org", "Contact: https://example.org/report"]
    (expiry,) = [line.removeprefix("Expires: ") for line in lines if line.startswith("Expires")]
    assert datetime.fromisoformat(expiry) == datetime.fromisoformat(expires).replace(tzinfo=UTC)


@pytest.mark.parametrize("fields", [{}, {"contacts": ["mailto:x@example.org"]}, {"expires": "2099-01-01"}])
def test_without_contact_or_expiry_there_is_no_file(configured: Any, fields: dict[str, Any]) -> None:
    configured(**fields)
    assert Client().get(ADDRESS).status_code == 404


@pytest.mark.parametrize(
    ("contacts", "expires", "told"),
    [
        ([], None, "attractor.W001"),
        (["mailto:x@example.org"], None, "attractor.W002"),
        (["mailto:x@example.org"], -1, "attractor.W003"),
        (["mailto:x@example.org"], 0, "attractor.W003"),
        (["mailto:x@example.org"], 20, "attractor.W003"),
        (["mailto:x@example.org"], 400, "attractor.W003"),
        (["mailto:x@example.org"], 200, None),
    ],
)
def test_the_operator_is_told(configured: Any, contacts: list[str], expires: int | None, told: str | None) -> None:
    configured(contacts=contacts, expires=None if expires is None else day(expires))
    assert [one.id for one in contact_is_named()] == ([told] if told else [])
