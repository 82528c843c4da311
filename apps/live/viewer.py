"""What one socket still has to send: bounded, whatever the speed of the client."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from apps.live.coalescer import Coalescer
from apps.live.frame import LiveFrame
from apps.live.subscription import Subscription, next_due

EVENTS_HELD = 500
"""Numbered messages held for a slow client. Past it they are forgotten here and read again from PostgreSQL."""
ANSWERS_HELD = 100
MAX_SUBSCRIPTIONS = 64


class _Port:
    def __init__(self, wanted: Subscription) -> None:
        self.wanted = wanted
        self.waiting = Coalescer()
        self.due = 0.0
        self.window = -1
        """Number of the last decimation window that a value was taken from."""


class Viewer:
    """The outgoing side of one socket.

    Numbered events are never lost: `behind` says that some have to be read from the archive after `sent`, which is
    also how a viewer starts. Frames are latest-wins: for each port at most one bounded frame waits.
    """

    def __init__(self, after: int) -> None:
        self.sent = after
        """Number of the last event handed to the client."""
        self.behind = True
        self.wake = asyncio.Event()
        self.answers_sent = asyncio.Event()
        self.answers_sent.set()
        self._events: deque[dict[str, Any]] = deque()
        self._ports: dict[tuple[str, str], _Port] = {}
        self._status: dict[str, Any] | None = None
        self.failure: BaseException | None = None
        """What broke behind the socket, if anything did; whoever serves the socket raises it."""
        self._replies: deque[dict[str, Any]] = deque()

    @property
    def wanted(self) -> list[Subscription]:
        return [port.wanted for port in self._ports.values()]

    @property
    def has_messages(self) -> bool:
        """Whether `next_messages` would give any."""
        return bool(self._replies or self._status is not None or (self._events and not self.behind))

    def subscribe(self, wanted: Subscription) -> bool:
        """Want a port, or want it differently; False when there are too many already."""
        if wanted.key not in self._ports and len(self._ports) >= MAX_SUBSCRIPTIONS:
            return False
        self._ports[wanted.key] = _Port(wanted)
        return True

    def unsubscribe(self, key: tuple[str, str]) -> bool:
        """Want a port no more; False when it was not wanted."""
        return self._ports.pop(key, None) is not None

    def reply(self, message: dict[str, Any]) -> None:
        """Answer the client. `answers_sent` is cleared while many wait; read nothing more from the client then."""
        self._replies.append(message)
        if len(self._replies) >= ANSWERS_HELD:
            self.answers_sent.clear()
        self.wake.set()

    def fail(self, error: BaseException) -> None:
        """Have the socket end: nothing more will come."""
        self.failure = error
        self.wake.set()

    def offer_event(self, message: dict[str, Any]) -> None:
        """Take a numbered message; the archive has it as well."""
        self._events.append(message)
        if len(self._events) > EVENTS_HELD:
            self._events.clear()
            self.behind = True
        self.wake.set()

    def offer_status(self, message: dict[str, Any]) -> None:
        """Transient status: only the last one is worth sending, each field at its last value."""
        if self._status is not None:
            message = {**message, "payload": {**self._status["payload"], **message["payload"]}}
        self._status = message
        self.wake.set()

    def offer_frame(self, frame: LiveFrame) -> None:
        port = self._ports.get(frame.key)
        if port is None:
            return
        # A run that was handed over computes once more what came after its checkpoint.
        first = int(frame.ticks[0]) // port.wanted.decimation
        if first < port.window:
            port.window = first - 1
        wanted = frame.decimated(port.wanted.decimation, port.window)
        if wanted is not None:
            port.window = frame.tick // port.wanted.decimation
            port.waiting.add(wanted.taken(port.wanted.take))
            self.wake.set()

    def next_messages(self) -> list[dict[str, Any]]:
        """Answers, then numbered events in order without repeats or holes, then the transient status.

        Meeting a hole sets `behind`; while behind, events wait.
        """
        messages = list(self._replies)
        self._replies.clear()
        self.answers_sent.set()
        while self._events and not self.behind:
            event = self._events[0]
            if event["seq"] > self.sent + 1:
                self.behind = True
                break
            self._events.popleft()
            if event["seq"] > self.sent:
                self.sent = event["seq"]
                messages.append(event)
        if self._status is not None:
            messages.append(self._status)
            self._status = None
        return messages

    def caught_up(self, page: list[dict[str, Any]], complete: bool) -> None:
        """Note that a page of the archive was sent; `complete` when there was no more at the time."""
        if page:
            self.sent = page[-1]["seq"]
        if complete:
            self.behind = False

    def next_frame(self, now: float) -> LiveFrame | None:
        """A frame whose time has come at its subscriber's rate, the most overdue first; or None."""
        port = min((port for port in self._ports.values() if port.waiting), key=lambda port: port.due, default=None)
        if port is None or port.due > now:
            return None
        port.due = next_due(port.due, now, port.wanted.rate)
        return port.waiting.take()

    def next_due(self) -> float | None:
        """When the next waiting frame may go, on the clock given to `next_frame`; None when none waits."""
        return min((port.due for port in self._ports.values() if port.waiting), default=None)
