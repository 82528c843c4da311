"""Showing how far a run is: a bar in a terminal and in a notebook, plain lines where there is neither."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from attractor.client.types import Run
from attractor.client.updates import Event, Notice, Progress, Update

SECONDS_BETWEEN_LINES: Final = 5.0
Show = Callable[[Update], None]


@contextmanager
def shown(run: Run, wanted: bool = True) -> Iterator[Show]:
    """Gives a function that shows each update of the run on the standard error while the block lasts."""
    console = Console(stderr=True)
    if not wanted:
        yield lambda update: None
    elif console.is_terminal or console.is_jupyter:
        yield from _bar(console, run)
    else:
        yield _Lines(run)


def _bar(console: Console, run: Run) -> Iterator[Show]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[pace]}"),
               TimeRemainingColumn())  # fmt: skip
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(run.state, total=run.ticks, completed=run.tick, pace="")

        def show(update: Update) -> None:
            if isinstance(update, Progress):
                bar.update(task, description=_state(update), completed=update.tick, pace=_pace(update))
            elif (text := line(update)) is not None:
                bar.console.print(escape(text), highlight=False)
            if isinstance(update, Event) and update.kind == "status":
                bar.update(task, description=str(update.payload.get("state", "")))
                if update.payload.get("state") == "succeeded":
                    bar.update(task, completed=run.ticks)

        yield show


class _Lines:
    def __init__(self, run: Run) -> None:
        self._ticks = run.ticks
        self._told = 0.0

    def __call__(self, update: Update) -> None:
        if isinstance(update, Progress):
            now = time.monotonic()
            if now - self._told < SECONDS_BETWEEN_LINES:
                return
            self._told = now
            done = f"{update.progress:.0%} ({update.tick} of {self._ticks} ticks)"
            print(f"{_state(update)} {done} {_pace(update)}".rstrip(), file=sys.stderr, flush=True)
        elif (text := line(update)) is not None:
            print(text, file=sys.stderr, flush=True)


def line(update: Update) -> str | None:
    """An update in one line; None for one that is not worth it."""
    if isinstance(update, Event):
        place = "" if update.tick is None else f"tick {update.tick}: "
        return f"{place}{update.kind}: {update.text}"
    if isinstance(update, Notice):
        return update.message
    return None


def _state(progress: Progress) -> str:
    return "paused" if progress.paused and progress.state == "running" else progress.state


def _pace(progress: Progress) -> str:
    return "" if progress.ticks_per_s is None else f"{progress.ticks_per_s:,.0f} ticks/s"
