"""Who waits at the door, and which look answers whom, with looks that the test holds open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import OperationalError

from apps.live import door as module
from apps.live.door import Door
from apps.live.login import Caller
from apps.live.selectors import Knock
from apps.workspaces.missing import NotFound

pytestmark = pytest.mark.asyncio


class Looks:
    """Stands for the thread: each look waits until the test gives its outcome."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[tuple[list[Knock], asyncio.Future[Any]]] = asyncio.Queue()

    def __call__(self, _read: Any) -> Any:
        async def look(knocks: list[Knock]) -> Any:
            outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self.begun.put_nowait((knocks, outcome))
            return await outcome

        return look


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    held = Looks()
    monkeypatch.setattr(module, "in_thread", held)
    return held


def knock(number: int) -> Knock:
    return Knock(Caller(session_key=str(number)), None, number)  # type: ignore[arg-type]


async def test_who_knocks_during_a_look_is_answered_by_the_next_and_all_of_them_together(looks: Looks) -> None:
    door = Door()
    first = asyncio.create_task(door.let_in(knock(0)))
    knocks, outcome = await looks.begun.get()
    assert knocks == [knock(0)]
    others = [asyncio.create_task(door.let_in(knock(number))) for number in range(1, 6)]
    await asyncio.sleep(0)
    outcome.set_result(["zero"])
    assert await first == "zero"
    knocks, outcome = await looks.begun.get()
    assert knocks == [knock(number) for number in range(1, 6)]
    outcome.set_result(["one", None, "three", "four", "five"])
    answers = await asyncio.gather(*others, return_exceptions=True)
    assert isinstance(answers.pop(1), NotFound)
    assert answers == ["one", "three", "four", "five"]
    again = asyncio.create_task(door.let_in(knock(9)))
    knocks, outcome = await looks.begun.get()
    outcome.set_result(["nine"])
    assert await again == "nine"
    assert looks.begun.empty()


async def test_no_look_is_longer_than_its_bound(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    door = Door()
    tasks = [asyncio.create_task(door.let_in(knock(number))) for number in range(5)]
    for size in (2, 2, 1):
        knocks, outcome = await looks.begun.get()
        assert len(knocks) == size
        outcome.set_result([one.run_id for one in knocks])
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4]


async def test_a_look_that_the_database_fails_fails_those_who_asked_in_it_alone(looks: Looks) -> None:
    door = Door()
    unlucky = asyncio.create_task(door.let_in(knock(0)))
    _, outcome = await looks.begun.get()
    later = asyncio.create_task(door.let_in(knock(1)))
    await asyncio.sleep(0)
    outcome.set_exception(OperationalError("the server is away"))
    with pytest.raises(OperationalError):
        await unlucky
    _, outcome = await looks.begun.get()
    outcome.set_result(["one"])
    assert await later == "one"


async def test_who_goes_away_while_waiting_keeps_nobody_from_the_answer(looks: Looks) -> None:
    door = Door()
    gone, stays = (asyncio.create_task(door.let_in(knock(number))) for number in range(2))
    _, outcome = await looks.begun.get()
    gone.cancel()
    await asyncio.sleep(0)
    outcome.set_result(["zero", "one"])
    assert await stays == "one"
    with pytest.raises(asyncio.CancelledError):
        await gone
