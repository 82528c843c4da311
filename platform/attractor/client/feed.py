"""Following a run, without its way through the network: which messages are news, what to say, when to give up.

The server's side is described in docs/run-socket.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgpack
import numpy as np

from attractor.client.errors import BadAnswer
from attractor.client.types import Run, RunEvent
from attractor.client.updates import FINAL, Event, Frame, Notice, Progress, Update

HEARTBEAT_SECONDS: Final = 8.0
"""The server hangs up on those who say nothing for 30 s."""
STALE_SECONDS: Final = 12.0
"""The server says something at least every two seconds; after so many without a word the connection is dead."""
MAX_MESSAGE: Final = 2**24

_WIRE = {"f4": "<f4", "i1": "i1", "i8": "<i8", "u1": "u1"}
# The socket has no kinds of its own for these; it sends them as `log` with the kind in `payload.type`.
_AS_LOG = frozenset({"control", "metric", "result"})


class Feed:
    """One run as it is heard of, over any number of connections.

    Args:
        after: number of the last event that is known already.
        ports: `node.port` whose frames are wanted.
        rate: frames a second of each, at most 60.
        deadline: when to listen no longer, on the clock that the methods are given as `now`.
    """

    def __init__(
        self, after: int = 0, ports: Sequence[str] = (), rate: float = 30.0, deadline: float | None = None
    ) -> None:
        self.last = after
        self.over = False
        """Whether the run's last event was heard."""
        self.failures = 0
        """Connections in a row that were lost before the server said anything."""
        self._ports = [_port(name) for name in ports]
        self._rate = rate
        self._deadline = deadline
        self._progress: Progress | None = None
        self._heard = self._said = 0.0

    def ended(self, now: float) -> bool:
        """Whether there is nothing more to listen for."""
        return self.over or (self._deadline is not None and now >= self._deadline)

    # A connection.

    def connected(self, now: float) -> list[bytes]:
        """What to say first."""
        self._heard = self._said = now
        wanted = enumerate(self._ports)
        return [
            _pack({"op": "subscribe", "id": number, "node": node, "port": port, "rate": self._rate})
            for number, (node, port) in wanted
        ]

    def wait(self, now: float) -> float:
        """Seconds to listen before something has to be said, or given up."""
        ends = [self._said + HEARTBEAT_SECONDS, self._heard + STALE_SECONDS]
        return max(0.0, min(ends if self._deadline is None else [*ends, self._deadline]) - now)

    def stale(self, now: float) -> bool:
        """Whether the connection is dead."""
        return now - self._heard >= STALE_SECONDS

    def to_say(self, now: float) -> list[bytes]:
        """What is to be said now."""
        if now - self._said < HEARTBEAT_SECONDS:
            return []
        self._said = now
        return [_pack({"op": "heartbeat"})]

    def hear(self, payload: bytes | str, now: float) -> Iterator[Update]:
        """The news in a message.

        Raises:
            BadAnswer: it is no message of the run socket.
            Gap: events are missing; connect again with `after` set to `last`.
        """
        self._heard = now
        message = _unpack(payload)
        try:
            yield from self._news(message)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            kind = str(message.get("kind"))[:40]
            raise BadAnswer(f"a message of kind {kind} is not what this client knows: {error!r:.200}") from None

    def _news(self, message: dict[str, Any]) -> Iterator[Update]:
        match message["kind"]:
            case "hello":
                self.failures = 0
                run = message["run"]
                if run["state"] in FINAL and message["last_event"] <= self.last:
                    self.over = True
                yield from self._moved(_progress(run))
                if not message.get("live", True):
                    yield Notice(f"Live values are not to be had just now: {message.get('reason')}")
            case "frame" | "scalar":
                yield _frame(message)
            case "ack":
                if not message.get("ok"):
                    node, port = self._ports[message["id"]] if isinstance(message.get("id"), int) else ("", "")
                    yield Notice(f"{node}.{port} cannot be watched: {message.get('error')}")
            case "status" | "log" | "error" if message.get("seq") is None:
                yield from self._passing(message["payload"])
            case "status" | "log" | "error":
                payload = dict(message["payload"])
                kind = message["kind"]
                if kind == "log" and payload.get("type") in _AS_LOG:
                    kind = payload.pop("type")
                yield from self._event(Event(int(message["seq"]), kind, message["tick"], str(message["at"]), payload))
            case _:
                """A heartbeat, or something that a newer server says."""

    def _passing(self, payload: dict[str, Any]) -> Iterator[Update]:
        if "live" in payload:
            if not payload["live"]:
                yield Notice(f"Live values are not to be had just now: {payload.get('reason')}")
        elif payload.get("code") == "port_refused":
            place = f"{payload.get('node')}.{payload.get('port')}"
            yield Notice(f"{place} cannot be watched: {payload.get('message')} {payload.get('mend')}")
        elif "state" in payload:
            yield from self._moved(_progress(payload))

    # Asked for, where no connection stays open.

    def polled(self, run: Run, events: Sequence[RunEvent]) -> Iterator[Update]:
        """The news in what the API said about the run and its events after `last`; ask for the run first."""
        for one in events:
            yield from self._event(Event(one.seq, one.kind, one.tick, one.at.isoformat(), dict(one.payload)))
        yield from self._moved(_progress(run.model_dump()))
        if run.state in FINAL and not events:
            self.over = True

    # News.

    def _event(self, event: Event) -> Iterator[Update]:
        if event.seq <= self.last:
            return
        if event.seq > self.last + 1:
            raise Gap(f"event {self.last + 1} did not come before event {event.seq}")
        self.last = event.seq
        self.over = self.over or event.final
        yield event

    def _moved(self, progress: Progress) -> Iterator[Update]:
        if progress != self._progress:
            self._progress = progress
            yield progress


class Gap(Exception):
    """Events are missing between the last and this one."""


def _port(name: str) -> tuple[str, str]:
    node, dot, port = name.partition(".")
    if not (node and dot and port):
        raise ValueError(f'"{name}" names no port: write node.port')
    return node, port


def _progress(of: dict[str, Any]) -> Progress:
    return Progress(
        str(of["state"]), int(of["tick"]), float(of["progress"]), of["eta_s"], of["ticks_per_s"], bool(of["paused"])
    )


def _frame(message: dict[str, Any]) -> Frame:
    values: Any
    if message["kind"] == "scalar":
        kind, values = "scalar", np.asarray(message["values"], dtype=np.float32)
    else:
        kind, values = message["value_kind"], message["data"]
        if message["codec"] == "raw":
            values = np.frombuffer(values, dtype=_WIRE[message["dtype"]]).reshape(message["shape"])
    ticks = np.asarray(message["ticks"], dtype=np.int64)
    return Frame(message["node"], message["port"], kind, ticks, float(message["t"]), values, int(message["seq"]))


def _pack(message: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(message)
    return packed


def _unpack(payload: bytes | str) -> dict[str, Any]:
    try:
        message = msgpack.unpackb(payload, strict_map_key=True) if isinstance(payload, bytes) else None
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise BadAnswer(f"the socket said something that is not msgpack: {error!r:.80}") from None
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise BadAnswer("the socket said something that is no message of a run")
    return message
