"""Reads that many share."""

import asyncio

import pytest

from apps.live.shared_read import SharedRead


class Source:
    """Counts its reads; each gives its number once `go` is set."""

    def __init__(self) -> None:
        self.reads = 0
        self.go = asyncio.Event()

    async def read(self) -> int:
        self.reads += 1
        number = self.reads
        await self.go.wait()
        return number


async def begun() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_during_a_read_is_given_a_later_one() -> None:
    source = Source()
    shared = SharedRead(source.read)
    first = asyncio.create_task(shared())
    await begun()
    later = [asyncio.create_task(shared()) for _ in range(1000)]
    await begun()
    assert source.reads == 1
    source.go.set()
    assert await first == 1
    assert set(await asyncio.gather(*later)) == {2}
    assert await shared() == 3


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    source = Source()
    shared = SharedRead(source.read)
    leaving, staying = asyncio.create_task(shared()), asyncio.create_task(shared())
    await begun()
    leaving.cancel()
    await begun()
    source.go.set()
    assert await staying == 1


async def test_a_failure_is_everybodys_and_the_next_read_is_a_new_one() -> None:
    answers = iter([ValueError("gone"), 5])

    async def read() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = SharedRead(read)
    failures = await asyncio.gather(shared(), shared(), return_exceptions=True)
    assert [str(one) for one in failures] == ["gone", "gone"]
    assert await shared() == 5


pytestmark = pytest.mark.asyncio
