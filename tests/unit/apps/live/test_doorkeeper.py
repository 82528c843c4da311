"""Rounds that look at permits while the database fails them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from apps.live import doorkeeper
from apps.live.doorkeeper import Doorkeeper
from apps.live.permit import Permit

pytestmark = pytest.mark.asyncio


def permit(workspace: Any = 1) -> Permit:
    return Permit(1, "p", workspace, "s", "viewer", "k", None)  # type: ignore[arg-type]


class Guest:
    def __init__(self, held: Permit) -> None:
        self.permit = held
        self.told: list[str] = []

    def permit_is(self, now: Permit | None) -> None:
        self.told.append("gone" if now is None else now.role)

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
    await rounds(guest, fault, fault, {guest.permit: None})
    assert guest.told == ["gone"]


async def test_rounds_that_broke_begin_anew(rounds: Any) -> None:
    guest = Guest(permit())
    now = replace(guest.permit, role="editor")
    await rounds(guest, RuntimeError("no thread can be started"), {guest.permit: guest.permit}, {guest.permit: now})
    assert guest.told == ["editor"]


@pytest.mark.parametrize("fault", [OperationalError("away"), RuntimeError("no thread can be started"), {}])
async def test_who_is_not_seen_for_too_long_is_told(rounds: Any, monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    guest = Guest(permit())
    await rounds(guest, fault)
    assert guest.told == []
    monkeypatch.setattr(doorkeeper, "UNSEEN_SECONDS", -1.0)
    await rounds(guest, fault)
    assert guest.told == ["unseen"]
