"""Limits of requests, counted in a real Valkey."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.ops import throttling
from apps.ops.rate_limits import Limit, RequestCounter
from apps.workspaces.keys import create_key
from apps.workspaces.models import Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def limited(settings: Any) -> Callable[..., None]:
    """Set the limits of requests a minute."""

    def limit(**changes: int) -> None:
        limits = settings.ATTRACTOR.limits.model_copy(update=changes)
        settings.ATTRACTOR = settings.ATTRACTOR.model_copy(update={"limits": limits})

    return limit


@pytest.fixture
def counter(testbed: Any, valkey_url: str) -> RequestCounter:
    return RequestCounter(valkey_url)


def limit(requests: int, window_s: float = 60.0, name: str = "caller") -> Limit:
    return Limit(name, f"test:{uuid4()}", requests, window_s)


def members(header: str) -> dict[str, dict[str, int]]:
    """A structured field (RFC 9651) of items with whole numbers as parameters."""
    parsed = {}
    for item in header.split(", "):
        name, *parameters = item.split(";")
        parsed[name.strip('"')] = {key: int(value) for key, value in (one.split("=") for one in parameters)}
    return parsed


def test_a_caller_is_told_what_is_left_and_then_to_wait(ann: Any, bob: Any, limited: Callable[..., None]) -> None:
    limited(requests_per_minute=3, workspace_requests_per_minute=10)
    answers = [ann.get("/projects/") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    for answer in answers:
        policy = members(answer.headers["RateLimit-Policy"])
        assert policy == {"caller": {"q": 3, "w": 60}, "workspace": {"q": 10, "w": 60}}
    left = [members(answer.headers["RateLimit"]) for answer in answers]
    assert [one["caller"]["r"] for one in left] == [2, 1, 0, 0, 0]
    assert [one["workspace"]["r"] for one in left] == [9, 8, 7, 7, 7], "a refused request counts nowhere"
    assert 0 < left[2]["caller"]["t"] <= 60
    refused = answers[3]
    assert 1 <= int(refused.headers["Retry-After"]) <= 20, "the next request comes back after a third of the minute"
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "throttled"
    assert [problem["place"] for problem in refused.json()["problems"]] == ["caller"]
    assert bob.get("/projects/").status_code == 200


def test_a_workspace_has_a_limit_of_its_own(
    ann: Any, bob: Any, limited: Callable[..., None], member_of: Callable[..., Any]
) -> None:
    limited(requests_per_minute=100, workspace_requests_per_minute=2)
    other = Client()
    other.force_login(member_of(ann, Role.EDITOR))
    url = f"{ann.root}/projects/"
    assert [who.get(url).status_code for who in (ann.client, other, ann.client, other)] == [200, 200, 429, 429]
    assert [problem["place"] for problem in ann.client.get(url).json()["problems"]] == ["workspace"]
    assert bob.get("/projects/").status_code == 200
    assert ann.client.get("/api/v1/presets/").status_code == 200, "it belongs to no workspace"


def test_guesses_are_counted_too(ann: Any, bob: Any, limited: Callable[..., None]) -> None:
    limited(requests_per_minute=2)
    guesses = [bob.client.get(f"{ann.root}/projects/") for _ in range(3)]
    assert [guess.status_code for guess in guesses] == [404, 404, 429]
    assert set(members(guesses[0].headers["RateLimit"])) == {"caller"}, "a foreign workspace is not there to be counted"
    nobody = [Client(REMOTE_ADDR="192.0.2.1").get(f"{ann.root}/projects/").status_code for _ in range(3)]
    assert nobody == [401, 401, 429]
    # Nobody chooses the address that is counted.
    disguised = Client(REMOTE_ADDR="192.0.2.1").get(f"{ann.root}/projects/", headers={"X-Forwarded-For": "192.0.2.9"})
    assert disguised.status_code == 429


def test_who_guesses_keys_is_slowed_down_by_network(ann: Any, limited: Callable[..., None]) -> None:
    limited(requests_per_minute=2)
    _, secret = create_key(ann.user, ann.workspace, "k")

    def ask(address: str, key: str, path: str = f"{ann.root}/projects/") -> Any:
        return Client(REMOTE_ADDR=address).get(path, headers={"Authorization": f"Bearer {key}"})

    guesses = [ask("192.0.2.2", f"atk_{number:043d}") for number in range(4)]
    assert [guess.status_code for guess in guesses] == [401, 401, 429, 429], "another key is no other caller"
    assert set(members(guesses[0].headers["RateLimit"])) == {"caller"}
    assert int(guesses[2].headers["Retry-After"]) >= 1
    assert guesses[1].headers["WWW-Authenticate"] == 'Bearer realm="attractor"'
    # Whoever sits in the same network and has a key is counted for that.
    assert [ask("192.0.2.2", secret).status_code for _ in range(3)] == [200, 200, 429]


def test_who_sends_no_token_against_forgery_is_counted_too(ann: Any, limited: Callable[..., None]) -> None:
    limited(requests_per_minute=2)
    browser = Client(enforce_csrf_checks=True, REMOTE_ADDR="192.0.2.3")
    browser.cookies = ann.client.cookies
    assert [browser.post("/api/v1/workspaces/").status_code for _ in range(3)] == [403, 403, 429]


def programs(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    """An address of every view under /api/, with something in the gaps of its path."""
    given = {"slug": "nowhere", "int": "1", "uuid": "00000000-0000-4000-8000-000000000000"}
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from programs(entry, route)
        elif isinstance(entry, URLPattern) and route.startswith("api/"):
            yield "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda gap: given.get(gap.group(1), "x"), route)


@pytest.mark.parametrize("secret", ["", "atk_" + "x" * 43], ids=["nothing", "a wrong key"])
def test_no_address_of_the_api_is_guessed_at_without_being_counted(secret: str, limited: Callable[..., None]) -> None:
    limited(requests_per_minute=2)
    asked = sorted(set(programs()))
    assert {"/api/v1/me/", "/api/v1/nodes/", "/api/v1/presets/nowhere/", "/api/v1/schema/"} <= set(asked)
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    wrong = {}
    for number, path in enumerate(asked):
        stranger = Client(REMOTE_ADDR=f"198.{18 + bool(secret)}.{number // 250}.{number % 250 + 1}", headers=headers)
        statuses = [stranger.get(path).status_code, stranger.post(path).status_code, stranger.get(path).status_code]
        if statuses != [401, 401, 429] and (secret or statuses != [200, 405, 429]):
            wrong[path] = statuses
    assert wrong == {}


def test_requests_at_the_same_moment_are_all_counted(counter: RequestCounter) -> None:
    one, wide = limit(25, window_s=36_000), limit(1000, window_s=36_000)
    with ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(lambda _: counter.count([one, wide]), range(200)))
    assert all(verdict is not None for verdict in verdicts)
    assert sum(not verdict.wait_s for verdict in verdicts if verdict) == 25
    last = counter.count([wide])
    assert last is not None
    assert last.standings[0].remaining == 1000 - 25 - 1


def test_what_was_used_comes_back_evenly(counter: RequestCounter) -> None:
    """In s seconds at most `requests`·(1 + s/window) are let through, and no fewer than one less."""
    one = limit(20, window_s=0.5)
    began = time.monotonic()
    passed = 0
    while (ran := time.monotonic() - began) < 1.5:
        verdict = counter.count([one])
        assert verdict is not None
        passed += not verdict.wait_s
    most = 20 * (1 + ran / 0.5)
    assert passed <= most
    # How many there were room for, had the loop not been held up at its end.
    assert passed >= 20 * (1 + 1.0 / 0.5) - 1


def test_who_waits_as_long_as_told_is_let_through(counter: RequestCounter) -> None:
    one = limit(3, window_s=0.6)
    verdict = counter.count([one])
    while verdict is not None and not verdict.wait_s:
        verdict = counter.count([one])
    assert verdict is not None
    time.sleep(verdict.wait_s + 0.001)
    again = counter.count([one])
    assert again is not None
    assert not again.wait_s


def test_a_counter_that_was_flushed_begins_anew(counter: RequestCounter, testbed: Any, valkey_url: str) -> None:
    from redis import Redis

    one = limit(1)
    assert [bool(verdict and verdict.wait_s) for verdict in (counter.count([one]), counter.count([one]))] == [
        False,
        True,
    ]
    with Redis.from_url(valkey_url) as client:
        client.script_flush()
        client.delete(f"requests:{one.key}")
    verdict = counter.count([one])
    assert verdict is not None
    assert not verdict.wait_s


def test_the_api_goes_on_without_valkey(
    ann: Any, limited: Callable[..., None], valkey_server: Any, valkey_url: str, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    limited(requests_per_minute=1)
    counter = RequestCounter(valkey_url)
    monkeypatch.setattr(throttling, "counter", lambda: counter)
    valkey_server.process.stop()
    answers = [ann.get("/projects/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "RateLimit" not in answers[0].headers
    assert caplog.text.count("requests_not_counted") == 1, "it is not asked, nor told of, for every request"
    valkey_server.start()
    while not valkey_server.answers():
        time.sleep(0.05)
    monkeypatch.setattr(counter, "_asks_again_at", 0.0)
    assert [ann.get("/projects/").status_code for _ in range(2)] == [200, 429]
