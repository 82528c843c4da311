"""Small settings of the whole site, read on nearly every request: kept in the cache for a few seconds.

Who writes takes them out of the cache once that is committed; a process that was reading meanwhile may put the former
ones back, so they are kept for `KEPT_S` only. That is how long a change needs at most until all processes know it. With
the cache away every request reads the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from django.core.cache import cache
from django.db import transaction

KEPT_S: Final = 3

T = TypeVar("T")


def kept(name: str, read: Callable[[], T]) -> T:
    """What `read` gives, of JSON's types only, or what it gave a few seconds ago; never None."""
    key = f"console:{name}"
    found: T | None = cache.get(key)
    if found is None:
        found = read()
        cache.set(key, found, KEPT_S)
    return found


def changed(name: str) -> None:
    """It is other than it was, once the transaction is committed."""
    transaction.on_commit(lambda: cache.delete(f"console:{name}"))
