"""Secrets kept in memory for a while, and read anew when their time is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import final

from config.secrets.document import Document
from config.secrets.reference import Reference
from config.secrets.source import SecretNotThere, Source, StoreAway

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
"""Between tries at the start; each wait is twice the one before."""
PAUSE_S = 30.0
"""Before a place that could not be read anew is tried again, at most."""

log = logging.getLogger(__name__)


@dataclass
class _Kept:
    """What was read in one place, and how it went since. Changed under its lock alone."""

    scheme: str
    place: str
    lock: Lock = field(default_factory=Lock)
    document: Document | None = None
    fields: set[str | None] = field(default_factory=set)
    read_at: float = 0.0
    due: float = 0.0
    ends: float = 0.0
    fault: str = ""


@dataclass(frozen=True)
class Overdue:
    """A place that could not be read anew.

    Attributes:
        since_s: how old its values are, s.
        left_s: for how long they may still be used, s.
    """

    name: str
    fault: str
    since_s: float
    left_s: float


@final
class SecretStore:
    """What references name, asked for once in their lifetime, however many ask. Safe for threads.

    While a source is away the last known value is given, for a time that ends; every try in vain is logged.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        *,
        lifetime: float,
        keep: float,
        attempts: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`lifetime`: read anew after, s. `keep`: used at most for so long, s. `attempts`: at the start."""
        self._sources = sources
        self._lifetime, self._keep, self._attempts = min(lifetime, keep), keep, attempts
        self._clock, self._sleep = clock, sleep
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._away: dict[str, str] = {}
        self._lock = Lock()

    def value(self, reference: Reference, *, optional: bool = False) -> str:
        """The secret. With `optional`, "" for a field that is not there or is empty.

        Raises `SecretNotThere`; `StoreAway` when it was never read, or when what was read is too old.
        """
        with self._lock:
            kept = self._kept.setdefault((reference.scheme, reference.place), _Kept(reference.scheme, reference.place))
        document = kept.document
        if document is None or self._clock() >= min(kept.due, kept.ends):
            with kept.lock:
                document = self._current(kept)
        found = document.value(reference.field)
        if not found and not optional:
            raise SecretNotThere(_missing(reference))
        if not optional:
            kept.fields.add(reference.field)
        return found or ""

    def refresh(self) -> None:
        """Read anew every place whose time is over. What goes wrong is logged and kept for `overdue`."""
        for kept in self._changing():
            with kept.lock:
                if self._clock() >= kept.due:
                    try:
                        self._current(kept)
                    except StoreAway as error:
                        log.critical("a secret is too old to be used: %s:%s %s", kept.scheme, kept.place, error)

    def seconds_until_due(self) -> float | None:
        """Until something is to be read anew; None where nothing ever is."""
        dues = [kept.due for kept in self._changing()]
        return max(min(dues) - self._clock(), 0.0) if dues else None

    def overdue(self) -> list[Overdue]:
        """What could not be read anew."""
        now = self._clock()
        return [
            Overdue(f"{kept.scheme}:{kept.place}", kept.fault, now - kept.read_at, kept.ends - now)
            for kept in self._changing()
            if kept.fault
        ]

    def _changing(self) -> Iterator[_Kept]:
        with self._lock:
            known = list(self._kept.values())
        return (one for one in known if one.document is not None and self._sources[one.scheme].changes)

    def _current(self, kept: _Kept) -> Document:
        """What is to be given now; whoever calls holds the lock, so that only one asks."""
        if kept.document is None:
            return self._first(kept)
        now = self._clock()
        if now < kept.due:
            if now >= kept.ends:
                raise StoreAway(_too_old(kept, now))
            return kept.document
        try:
            document = self._again(kept)
        except (SecretNotThere, StoreAway) as error:
            return self._old(kept, error)
        if kept.fault:
            log.warning("a secret could be read again: %s:%s", kept.scheme, kept.place)
        return self._note(kept, document)

    def _again(self, kept: _Kept) -> Document:
        """What is there now, with all that was used of it."""
        document = self._sources[kept.scheme].read(kept.place)
        for name in tuple(kept.fields):
            if not document.value(name):
                raise SecretNotThere(_missing(Reference(kept.scheme, kept.place, name)))
        return document

    def _first(self, kept: _Kept) -> Document:
        # Once a source was waited for in vain the others that it has are not waited for as long.
        attempts = 1 if kept.scheme in self._away else self._attempts
        for attempt in range(1, attempts + 1):
            try:
                document = self._sources[kept.scheme].read(kept.place)
            except StoreAway as error:
                if attempt == attempts:
                    self._away[kept.scheme] = str(error)
                    raise StoreAway(f"{error} (asked {attempts} times)" if attempts > 1 else str(error)) from None
                wait = min(FIRST_WAIT_S * 2 ** (attempt - 1), LONGEST_WAIT_S)
                log.warning(
                    "%s:%s %s; asking again in %.1f s (%d of %d)",
                    kept.scheme, kept.place, error, wait, attempt + 1, attempts,
                )  # fmt: skip
                self._sleep(wait)
            else:
                self._away.pop(kept.scheme, None)
                return self._note(kept, document)
        raise AssertionError("at least one attempt is made")

    def _old(self, kept: _Kept, error: Exception) -> Document:
        """The last known value, as long as it may be used."""
        assert kept.document is not None
        now = self._clock()
        kept.fault, kept.due = str(error), now + min(self._lifetime, PAUSE_S)
        left = kept.ends - now
        if left <= 0:
            raise StoreAway(_too_old(kept, now)) from None
        log.warning(
            "a secret could not be read anew, the one of %.0f s ago is used for at most %.0f s more: %s:%s %s",
            now - kept.read_at, left, kept.scheme, kept.place, error,
        )  # fmt: skip
        kept.due = min(kept.due, kept.ends)
        return kept.document

    def _note(self, kept: _Kept, document: Document) -> Document:
        now = self._clock()
        kept.document, kept.read_at, kept.fault = document, now, ""
        if self._sources[kept.scheme].changes:
            kept.due = now + min(self._lifetime, document.lifetime or self._lifetime)
            kept.ends = now + self._keep
        else:
            kept.due = kept.ends = float("inf")
        return document

    def __repr__(self) -> str:
        return f"SecretStore({', '.join(f'{scheme}:{place}' for scheme, place in sorted(self._kept))})"


def _too_old(kept: _Kept, now: float) -> str:
    return f"{kept.fault}; what was read {now - kept.read_at:.0f} s ago is too old to be used (secrets.keep)"


def _missing(reference: Reference) -> str:
    if reference.field is None:
        return f"names {reference}, which is empty"
    return f"names {reference}, but what is there has no field {reference.field}, or it is empty"
