"""Rounds that look at permits while the database fails them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from apps.live import doorkeeper, selectors
from apps.live.doorkeeper import Doorkeeper
from apps.live.permit import Permit

pytestmark = pytest.mark.asyncio


def permit(workspace: Any = 1) -> Permit:
    return Permit(1, "p", workspace, "s", "viewer", "k", None)  # type: ignore[arg-type]


class Guest:
    def __init__(self, held: Permit) -> None:
        self.permit = held
        self.told: list[str] = []

    def permit_changed(self) -> None:
        self.told.append("changed")

    def permit_unseen(self) -> None:
        self.told.append("unseen")


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[..., Any]:
    """Let a guest be looked at: once for each outcome, an exception or the answer."""
    settings.ATTRACTOR = SimpleNamespace(live=SimpleNamespace(recheck=0))

    async def of(guest: Guest, *outcomes: Any) -> None:
        left, over = list(outcomes), asyncio.Event()

        def look(read: Any) -> Any:
            async def round_(permits: set[Permit]) -> Any:
                if not left:
                    over.set()
                    await asyncio.Event().wait()
                outcome = left.pop(0)
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome

            return round_

        monkeypatch.setattr(doorkeeper, "_in_own_thread", look)
        keeper = Doorkeeper()
        keeper.admit(guest)
        try:
            async with asyncio.timeout(30):
                await over.wait()
        finally:
            await keeper.dismiss(guest)

    return of


@pytest.mark.parametrize("fault", [OperationalError("away"), InterfaceError("closed")])
async def test_rounds_go_on_after_every_fault_of_the_database(rounds: Any, fault: Exception) -> None:
    guest = Guest(permit())
    await rounds(guest, fault, fault, (set(), set()))
    assert guest.told == ["changed"]


async def test_rounds_that_broke_begin_anew_and_whoever_is_there_is_looked_at(rounds: Any) -> None:
    guest = Guest(permit())
    await rounds(guest, RuntimeError("no thread can be started"), ({guest.permit}, set()), (set(), set()))
    assert guest.told == ["changed", "changed"]


async def test_who_cannot_be_looked_at_for_too_long_is_told(rounds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest(permit())
    await rounds(guest, OperationalError("away"), (set(), {guest.permit}))
    assert guest.told == []
    monkeypatch.setattr(doorkeeper, "UNSEEN_SECONDS", -1.0)
    await rounds(guest, OperationalError("away"))
    await rounds(guest, (set(), {guest.permit}))
    await rounds(guest, ({guest.permit}, set()))
    assert guest.told == ["unseen", "unseen"]


async def test_a_fault_in_one_workspace_leaves_the_others_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = permit(1), permit(2)

    def unchanged_in(workspace: Any, permits: list[Permit], without_mfa: set[Permit]) -> list[Permit]:
        if workspace == 1:
            raise InterfaceError("closed")
        return permits

    class Rows:
        """Sessions and users as the permits say."""

        def filter(self, **kwargs: Any) -> Rows:
            return self

        def values_list(self, *names: str, flat: bool = False) -> list[Any]:
            return ["k"] if flat else [(1, "p", None)]

    store = SimpleNamespace(SessionStore=SimpleNamespace(get_model_class=lambda: SimpleNamespace(objects=Rows())))
    monkeypatch.setattr(selectors, "import_module", lambda name: store)
    monkeypatch.setattr(selectors, "get_user_model", lambda: SimpleNamespace(objects=Rows()))
    monkeypatch.setattr(selectors, "_unchanged_in", unchanged_in)
    assert selectors.looked_at([here, there]) == ({there}, {here})
