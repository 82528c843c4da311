"""What a socket reads from PostgreSQL. Every function opens its own scope, so each is one unit for a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

PAGE = 200
"""Events read at once."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as its row says: `status` is the payload of a transient status message."""

    status: dict[str, Any]
    ended: bool
