"""The thread that talks to Valkey while a run computes: what is wanted, frames, events. Valkey may be away."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import redis

from apps.live import codec
from apps.live.coalescer import Coalescer
from apps.live.demand import DemandReader
from apps.live.frame import LiveFrame
from apps.live.stream import StreamWriter
from apps.live.subscription import Subscription, next_due
from apps.runs.execution.thread import RunThread

logger = logging.getLogger(__name__)

DEMAND_SECONDS = 0.1
"""Between looks at what is wanted; it adds to the time until a new viewer's first frame."""
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
MESSAGES_HELD = 500


class PortRefused(Exception):
    """A port that cannot be watched; `problem` is {place, message, mend}."""

    def __init__(self, problem: dict[str, str]) -> None:
        self.problem = problem
        super().__init__(problem["message"])


class Watchable(Protocol):
    """The session as the publisher sees it. It gives every value of a port; the publisher decimates.

    `subscribe` raises PortRefused.
    """

    def subscribe(self, wanted: Subscription) -> None: ...

    def unsubscribe(self, node: str, port: str) -> None: ...


@dataclass(slots=True)
class _Port:
    """A port that somebody wants; `refused` when it cannot be watched, until nobody wants it any more."""

    wanted: Subscription
    refused: bool = False
    waiting: Coalescer = field(default_factory=Coalescer)
    due: float = 0.0
    seq: int = 0
    window: int = -1


class Publisher(RunThread):
    """Publishes one run. Nothing it does can hold up or fail the run; what cannot be sent is dropped.

    `rate` bounds the frames a second of any port, whatever is asked.
    """

    def __init__(
        self,
        run: str,
        watchable: Watchable,
        client: redis.Redis,
        rate: float,
        length: int,
        on_broken: Callable[[BaseException], None],
    ) -> None:
        super().__init__("run-publisher", on_broken)
        self._watchable = watchable
        self._client = client
        self._demand = DemandReader(client, run)
        self._stream = StreamWriter(client, run, length)
        self._rate = rate
        self._changed = threading.Condition()
        self._ports: dict[tuple[str, str], _Port] = {}
        self._messages: deque[dict[str, Any]] = deque(maxlen=MESSAGES_HELD)
        self._status: dict[str, Any] | None = None
        self._closing = False
        self._failures = 0
        self._retry_at = 0.0
        self._demand_at = 0.0

    def offer(self, frames: list[LiveFrame]) -> None:
        """Take the frames of a block; those of one port are joined until its rate allows the next."""
        with self._changed:
            for frame in frames:
                port = self._ports.get(frame.key)
                if port is not None and (wanted := frame.decimated(port.wanted.decimation, port.window)):
                    port.window = frame.tick // port.wanted.decimation
                    port.waiting.add(wanted)
            self._changed.notify()

    def tell(self, messages: list[dict[str, Any]]) -> None:
        """Send numbered messages, which PostgreSQL has already."""
        with self._changed:
            self._messages.extend(messages)
            self._changed.notify()

    def tell_status(self, message: dict[str, Any]) -> None:
        """Send the transient status; only the last one waits."""
        with self._changed:
            self._status = message
            self._changed.notify()

    def close(self, patience: float) -> None:
        """Send what waits, once, and end; at most `patience` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self.join(patience)

    def work(self) -> None:
        while True:
            with self._changed:
                closing = self._closing
                if not closing:
                    self._changed.wait(self._patience(time.monotonic()))
                    closing = self._closing
            if closing or time.monotonic() >= self._retry_at:
                try:
                    self._serve(closing)
                    self._failures = 0
                except (redis.RedisError, OSError) as error:
                    self._put_off(error)
            if closing:
                self._client.close()
                return

    def _patience(self, now: float) -> float:
        """Seconds until there is something to do. While the server is away nothing is done before the retry."""
        if now < self._retry_at:
            return self._retry_at - now
        if self._messages or self._status is not None:
            return 0.0
        due = min((port.due for port in self._ports.values() if port.waiting), default=self._demand_at)
        return max(0.0, min(due, self._demand_at) - now)

    def _put_off(self, error: Exception) -> None:
        if self._failures == 0:
            logger.warning("live frames are not published, the run goes on: %s", error)
        self._retry_at = time.monotonic() + RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        self._failures += 1

    def _serve(self, closing: bool) -> None:
        now = time.monotonic()
        if now >= self._demand_at:
            self._follow(self._demand.read())
            self._demand_at = now + DEMAND_SECONDS
        with self._changed:
            messages = list(self._messages)
            self._messages.clear()
            if self._status is not None:
                messages.append(self._status)
                self._status = None
            frames = self._due_frames(now, closing)
        payloads = [codec.pack(message) for message in messages]
        payloads += [payload for frame in frames if (payload := self._encoded(frame)) is not None]
        if payloads:
            self._stream.write(payloads)

    def _encoded(self, frame: LiveFrame) -> bytes | None:
        try:
            return codec.encode(frame)
        except codec.UnknownForm as error:
            port = self._ports[frame.key]
            self._watchable.unsubscribe(*frame.key)
            place = f"{frame.node}.{frame.port}"
            self._refuse(port, {"place": place, "message": str(error), "mend": "Watch another port."})
            return None

    def _due_frames(self, now: float, closing: bool) -> list[LiveFrame]:
        frames = []
        for port in self._ports.values():
            if port.waiting and (closing or port.due <= now) and (joined := port.waiting.take()):
                port.due = next_due(port.due, now, min(port.wanted.rate, self._rate))
                port.seq += 1
                frames.append(joined.numbered(port.seq))
        return frames

    def _follow(self, wanted: dict[tuple[str, str], Subscription]) -> None:
        for key in [key for key in self._ports if key not in wanted]:
            if not self._ports[key].refused:
                self._watchable.unsubscribe(*key)
            with self._changed:
                del self._ports[key]
        for key, one in wanted.items():
            known = self._ports.get(key)
            if known is not None and (known.wanted == one or known.refused):
                continue
            port = known or _Port(one)
            with self._changed:
                port.wanted = one
                port.window = -1
                # Before the subscription, so that its first frame finds its place.
                self._ports[key] = port
            try:
                self._watchable.subscribe(one)
            except PortRefused as refused:
                self._refuse(port, refused.problem)

    def _refuse(self, port: _Port, problem: dict[str, str]) -> None:
        port.refused = True
        self.tell([refusal_message(port.wanted, problem)])


def refusal_message(wanted: Subscription, problem: dict[str, str]) -> dict[str, Any]:
    """What the viewers of a port that cannot be watched are told."""
    payload = {"code": "port_refused", "node": wanted.node, "port": wanted.port, **problem}
    return {"kind": "error", "seq": None, "payload": payload}
