"""The probes, with services that are really there and really away."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.ops import health

pytestmark = pytest.mark.django_db
NOBODY_LISTENS = "127.0.0.1:9"


@pytest.fixture(autouse=True)
def _servers(testbed: Any) -> Iterator[None]:
    """PostgreSQL and Valkey run, and nothing is known of them yet."""
    health.WATCH.forget()
    yield
    health.WATCH.forget()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the module says to the log."""
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(health.log, "warning", lambda event, **more: lines.append({"event": event, **more}))
    return lines


def test_alive_and_ready() -> None:
    assert Client().get("/health/live").json() == {"status": "live"}
    response = Client().get("/health/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


def test_without_valkey_it_is_alive_and_degraded(settings: Any, said: list[dict[str, Any]], capsys: Any) -> None:
    settings.VALKEY_URL = f"redis://{NOBODY_LISTENS}/0"
    assert Client().get("/health/live").status_code == 200
    response = Client().get("/health/ready")
    assert (response.status_code, response.json()) == (200, {"status": "degraded"})
    (changed,) = [line for line in said if line["event"] == "readiness_changed"]
    assert changed["status"] == "degraded"
    (wrong,) = changed["wrong"]
    assert wrong.startswith("valkey: Valkey cannot be reached. Start it")
    call_command("check_services")
    out = capsys.readouterr().out
    assert "database: can be used" in out
    assert "valkey: Valkey cannot be reached. Start it" in out


def test_without_postgresql_it_is_alive_and_unavailable(settings: Any, said: list[dict[str, Any]], capsys: Any) -> None:
    settings.DATABASE_URLS = {"app": f"postgresql://app:secret@{NOBODY_LISTENS}/x"}
    assert Client().get("/health/live").status_code == 200
    response = Client().get("/health/ready")
    assert (response.status_code, response.json()) == (503, {"status": "unavailable"})
    assert [line["event"] for line in said] == ["database_unreachable", "readiness_changed"]
    with pytest.raises(CommandError, match="cannot serve"):
        call_command("check_services")
    assert "valkey: can be used" in capsys.readouterr().out


def test_nobody_is_told_which_service_is_away_or_why(settings: Any) -> None:
    settings.DATABASE_URLS = {"app": f"postgresql://app:secret@{NOBODY_LISTENS}/x"}
    settings.VALKEY_URL = f"redis://{NOBODY_LISTENS}/0"
    response = Client().get("/health/ready")
    assert response.json().keys() == {"status"}


def test_a_role_that_row_level_security_does_not_hold_is_not_ready(
    settings: Any, monkeypatch: pytest.MonkeyPatch, said: list[dict[str, Any]]
) -> None:
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
    assert Client().get("/health/ready").status_code == 503
    assert "row-level security" in said[0]["wrong"][0]


def test_the_probes_only_answer_reads() -> None:
    assert Client().post("/health/ready").status_code == 405
    assert "no-cache" in Client().get("/health/ready").headers["Cache-Control"]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every connection that a look makes, all of them real."""
    made: list[str] = []
    really = psycopg.connect

    def connect(url: str, **more: Any) -> Any:
        made.append(url)
        return really(url, **more)

    monkeypatch.setattr(psycopg, "connect", connect)
    return made


def test_however_many_ask_the_database_is_looked_at_once_and_again_when_that_is_old(
    connections: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(health, "monotonic", lambda: now[0])
    answers: list[int] = []

    def ask() -> None:
        answers.extend(Client().get("/health/ready").status_code for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 80
    assert len(connections) == 1
    now[0] += health.KEPT_S
    assert Client().get("/health/ready").status_code == 200
    assert len(connections) == 2


def test_while_a_look_goes_on_the_one_before_counts_and_one_without_end_finds_nothing(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, now = health.Watch(), [1000.0]
    monkeypatch.setattr(health, "monotonic", lambda: now[0])
    monkeypatch.setattr(health, "STUCK_S", 0.05)
    assert watch.found().status == "ready"
    begun, go_on = threading.Event(), threading.Event()

    def stuck() -> health.Found:
        begun.set()
        go_on.wait(60)
        return health.Found((health.Check("database", True), health.Check("valkey", False)))

    monkeypatch.setattr(health, "look", stuck)
    now[0] += health.KEPT_S
    looking = threading.Thread(target=watch.found)
    looking.start()
    assert begun.wait(60)
    assert watch.found().status == "ready"
    now[0] += 1
    assert watch.found().status == "unavailable"
    go_on.set()
    looking.join()
    assert watch.found().status == "degraded"
