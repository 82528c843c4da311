"""The cache of secrets: who asks, how often the source is asked, and what is given while that is away."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.secrets.document import Document
from config.secrets.reference import Reference
from config.secrets.source import SecretNotThere, Source, StoreAway
from config.secrets.store import SecretStore

NAME = Reference("vault", "kv/data/a", "password")
OTHER = Reference("vault", "kv/data/a", "user")


class Clock:
    """A clock that goes only when it is told to, or waited by."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Kept(Source):
    """A source of a test: answers what it is told to, and counts."""

    def __init__(self) -> None:
        self.answer: Document | Exception = Document(fields={"password": "one", "user": "app"})
        self.asked = 0
        self.go = threading.Event()
        self.go.set()

    def read(self, place: str) -> Document:
        self.asked += 1
        self.go.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Kept:
    return Kept()


@pytest.fixture
def store(clock: Clock, source: Kept) -> SecretStore:
    return SecretStore(
        {"vault": source}, lifetime=60, keep=600, attempts=4, clock=clock, sleep=clock.sleep
    )  # fmt: skip


def test_it_is_asked_once_in_its_lifetime(store: SecretStore, clock: Clock, source: Kept) -> None:
    assert [store.value(NAME), store.value(OTHER), store.value(NAME)] == ["one", "app", "one"]
    assert source.asked == 1
    clock.now += 59
    store.value(NAME)
    assert source.asked == 1
    clock.now += 1
    source.answer = Document(fields={"password": "two", "user": "app"})
    assert store.value(NAME) == "two"
    assert source.asked == 2


def test_twenty_threads_ask_once(store: SecretStore, clock: Clock, source: Kept) -> None:
    for value in ("one", "two"):
        before, source.answer = source.asked, Document(fields={"password": value})
        source.go.clear()
        together = threading.Barrier(21)

        def ask(together: threading.Barrier = together) -> str:
            together.wait()
            return store.value(NAME)

        with ThreadPoolExecutor(20) as threads:
            answers = [threads.submit(ask) for _ in range(20)]
            together.wait()
            time.sleep(0.3)  # for those to come who should not ask; those who should wait however long this is
            source.go.set()
            assert {one.result() for one in answers} == {value}
        assert source.asked == before + 1
        clock.now += 61


def test_a_source_that_is_away_at_the_start_is_asked_with_growing_waits(
    store: SecretStore, clock: Clock, source: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    source.answer = StoreAway("is in the Vault at x, which is sealed")
    with pytest.raises(StoreAway, match=r"which is sealed \(asked 4 times\)"):
        store.value(NAME)
    assert source.asked == 4
    assert clock.waits == [0.5, 1.0, 2.0]
    assert "asking again in 0.5 s (2 of 4)" in caplog.text
    # Another of the same source is not waited for as long.
    with pytest.raises(StoreAway):
        store.value(Reference("vault", "kv/data/b", "x"))
    assert source.asked == 5
    source.answer = Document(fields={"password": "one"})
    assert store.value(NAME) == "one"


def test_what_is_not_there_is_asked_once(store: SecretStore, clock: Clock, source: Kept) -> None:
    source.answer = SecretNotThere("names kv/data/a, which is not there")
    with pytest.raises(SecretNotThere):
        store.value(NAME)
    assert (source.asked, clock.waits) == (1, [])


@pytest.mark.parametrize("fault", [StoreAway("is sealed"), SecretNotThere("is denied")])
def test_the_last_known_value_is_used_for_a_time_that_ends(
    store: SecretStore, clock: Clock, source: Kept, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    store.value(NAME)
    assert store.overdue() == []
    source.answer = fault
    clock.now += 60
    assert store.value(NAME) == "one"
    (overdue,) = store.overdue()
    assert (overdue.name, overdue.fault, overdue.since_s, overdue.left_s) == ("vault:kv/data/a", str(fault), 60, 540)
    assert "of 60 s ago is used for at most 540 s more" in caplog.text
    assert "one" not in caplog.text.split("vault:kv/data/a")[-1]

    # Tried again after a pause, not at each use.
    asked = source.asked
    clock.now += 29
    store.value(NAME)
    assert source.asked == asked
    clock.now += 1
    store.value(NAME)
    assert source.asked == asked + 1

    clock.now = 1000 + 600
    for _ in range(2):  # also in the pause between two tries
        with pytest.raises(StoreAway, match="too old to be used"):
            store.value(NAME)
    store.refresh()
    assert store.overdue()[0].left_s <= 0
    source.answer = Document(fields={"password": "two"})
    clock.now += 30
    assert store.value(NAME) == "two"
    assert store.overdue() == []


def test_a_field_that_vanishes_is_as_a_source_that_is_away(store: SecretStore, clock: Clock, source: Kept) -> None:
    store.value(NAME)
    source.answer = Document(fields={"user": "app"})
    clock.now += 60
    assert store.value(NAME) == "one"
    assert "has no field password" in store.overdue()[0].fault
    with pytest.raises(SecretNotThere, match="has no field there"):
        store.value(Reference("vault", "kv/data/a", "there"))


def test_an_optional_field_may_be_missing_and_come(store: SecretStore, clock: Clock, source: Kept) -> None:
    former = Reference("vault", "kv/data/a", "old")
    assert store.value(former, optional=True) == ""
    source.answer = Document(fields={"password": "one", "old": "former"})
    clock.now += 60
    assert store.value(former, optional=True) == "former"
    source.answer = Document(fields={"password": "one"})
    clock.now += 60
    assert store.value(former, optional=True) == ""


def test_a_source_may_say_a_shorter_time(store: SecretStore, clock: Clock, source: Kept) -> None:
    source.answer = Document(fields={"password": "one"}, lifetime=10)
    store.value(NAME)
    assert store.seconds_until_due() == 10
    source.answer = Document(fields={"password": "two"}, lifetime=10_000)
    clock.now += 10
    store.refresh()
    assert store.seconds_until_due() == 60
    assert store.value(NAME) == "two"
    assert source.asked == 2


def test_what_cannot_change_is_never_asked_again(clock: Clock, source: Kept) -> None:
    source.changes = False
    store = SecretStore({"vault": source}, lifetime=60, keep=600, attempts=1, clock=clock, sleep=clock.sleep)
    store.value(NAME)
    assert store.seconds_until_due() is None
    clock.now += 10_000
    store.refresh()
    assert store.value(NAME) == "one"
    assert source.asked == 1


def test_nothing_shows_what_it_keeps(store: SecretStore, source: Kept) -> None:
    source.answer = Document(text="whole-secret", fields={"password": "part-secret"})
    store.value(NAME)
    for shown in (repr(store), repr(source.answer), str(source.answer), repr(store.overdue())):
        assert "secret" not in shown
    assert "kv/data/a" in repr(store)
