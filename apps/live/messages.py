"""Rows as messages of the run socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.runs.models import RunEvent

_OWN_KIND = frozenset({"status", "log", "error"})


def event_message(event: RunEvent) -> dict[str, Any]:
    """A numbered event. Kinds the socket has no name for travel as `log` with the kind in `payload.type`."""
    own = event.kind in _OWN_KIND
    return {
        "kind": str(event.kind) if own else "log",
        "seq": event.seq,
        "tick": event.tick,
        "at": event.at.isoformat(),
        "payload": event.payload if own else {**event.payload, "type": str(event.kind)},
    }


def progress_message(payload: dict[str, Any], last_event: int | None) -> dict[str, Any]:
    """The transient status of a run. `last_event` is the number of the last event its writer has committed, by which
    a reader of the stream sees that it missed one."""
    return {"kind": "status", "seq": None, "payload": payload, "last_event": last_event}
