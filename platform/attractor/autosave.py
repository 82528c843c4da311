"""Checkpoints by the clock, so that a run that is cut off loses minutes and not hours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attractor.checkpoint import prune
from attractor.session import BlockReport, Session

EVERY_S: Final = 300.0
KEEP: Final = 10


def autosaved(session: Session, store: Path | str, every_s: float = EVERY_S, keep: int = KEEP) -> Iterator[BlockReport]:
    """Run a session and write a checkpoint after the first block that ends `every_s` after the last one.

    Args:
        store: folder for the checkpoints of this run alone: older ones than the newest `keep` are removed from it.
        every_s: seconds between two checkpoints, at least 0.
        keep: how many stay, at least 1.

    Yields:
        what the session reports of its blocks.
    """
    saved = time.monotonic()
    for report in session:
        if time.monotonic() - saved >= every_s:
            session.checkpoint(store)
            prune(Path(store), keep)
            saved = time.monotonic()
        yield report
