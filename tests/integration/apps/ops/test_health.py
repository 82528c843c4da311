"""The probes, with services that are really there and really away."""

from typing import Any

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
NOBODY_LISTENS = "127.0.0.1:9"


def checks(response: Any) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in response.json()["checks"]}


@pytest.fixture(autouse=True)
def _servers(testbed: Any) -> None:
    """PostgreSQL and Valkey run."""


def test_alive_and_ready() -> None:
    assert Client().get("/health/live").json() == {"status": "live"}
    response = Client().get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    assert checks(response) == {"database": True, "valkey": True}


def test_without_valkey_it_is_alive_and_degraded(settings: Any) -> None:
    settings.VALKEY_URL = f"redis://{NOBODY_LISTENS}/0"
    assert Client().get("/health/live").status_code == 200
    response = Client().get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert checks(response) == {"database": True, "valkey": False}
    (away,) = [check for check in response.json()["checks"] if not check["ok"]]
    assert away["mend"]
    assert NOBODY_LISTENS not in response.content.decode()


def test_without_postgresql_it_is_alive_and_unavailable(settings: Any) -> None:
    settings.DATABASE_URLS = {"app": f"postgresql://app:secret@{NOBODY_LISTENS}/x"}
    assert Client().get("/health/live").status_code == 200
    response = Client().get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert checks(response) == {"database": False, "valkey": True}
    assert "secret" not in response.content.decode()


def test_a_role_that_row_level_security_does_not_hold_is_not_ready(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    # What a superuser's connection would answer; the suite's servers give no test one.
    class Superuser:
        def __enter__(self) -> "Superuser":
            return self

        def __exit__(self, *_: Any) -> None:
            pass

        def execute(self, _: str) -> "Superuser":
            return self

        def fetchone(self) -> tuple[bool]:
            return (True,)

    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: Superuser())
    response = Client().get("/health/ready")
    assert response.status_code == 503
    assert "row-level security" in response.json()["checks"][0]["message"]


def test_the_probes_only_answer_reads() -> None:
    assert Client().post("/health/ready").status_code == 405
    assert "no-cache" in Client().get("/health/ready").headers["Cache-Control"]
