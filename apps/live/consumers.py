"""The socket of a run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error

from apps.live import codec
from apps.live.ending import end
from apps.live.feed import RunFeed
from apps.live.hub import hub
from apps.live.login import CALLER, Caller
from apps.live.permit import Permit
from apps.live.refusal import NOT_FOUND, refuse
from apps.live.selectors import PAGE, Knock, RunArchive, Watched
from apps.live.subscription import Subscription, SubscriptionRefused, port_of
from apps.live.viewer import MAX_SUBSCRIPTIONS, Viewer
from apps.workspaces.missing import NotFound

logger = logging.getLogger(__name__)

CHANGED = 4409
"""Close code for somebody whose role is another now: what the socket shows is as the former role sees it."""
SILENT = 4408
"""Close code for a client that has said nothing for `live.silence` seconds."""
TRY_AGAIN = 1013
BROKEN = 1011
HEARTBEAT_SECONDS = 2.0
"""A message at least this often, so that a client can tell a quiet run from a dead connection (stale after 3 s)."""
MAX_EVENT_NUMBER = 2**63 - 1


class RunConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Streams one run to one client: `hello`, every event after `?after=N`, then live; frames as subscribed.

    Every message is one binary msgpack map (`apps.live.codec`). A client asks with `{op: subscribe | unsubscribe |
    heartbeat}`; whatever else it sends is answered with `ack`, `ok: false` and a reason.
    """

    # Notices over the channel layer are not used here; without a layer the socket outlives a lost Valkey.
    channel_layer_alias = "unused"

    async def connect(self) -> None:
        """Accept, unless there is nothing for this user to watch here."""
        try:
            address = self.scope["url_route"]["kwargs"]
            self._slug, self._run_id = address.get("slug"), address["run_id"]
            after = _event_number(self.scope["query_string"])
            caller: Caller = self.scope[CALLER]
            watched, self.permit = await hub().door.let_in(Knock(caller, self._slug, self._run_id))
        except NotFound:
            await refuse(self.scope, self.base_send)
            raise StopConsumer from None
        self._closing: set[asyncio.Task[None]] = set()
        self._shutting = False
        await self.accept()
        self._viewer = Viewer(after)
        self._nodes = watched.nodes
        self._feed: RunFeed | None = None
        self._heard = self._told = time.monotonic()
        self._serving = asyncio.create_task(self._serve(watched), name=f"run-{self._run_id}-socket")
        self._serving.add_done_callback(self._on_served)
        self._listening = asyncio.create_task(self._listen(), name=f"run-{self._run_id}-silence")
        hub().doorkeeper.admit(self)

    async def disconnect(self, code: int) -> None:
        await hub().doorkeeper.dismiss(self)
        await end([self._serving, self._listening, *self._closing])

    async def dispatch(self, message: dict[str, Any]) -> None:
        """As Channels does, without a trip to its one thread for each message: nothing here keeps a connection."""
        await getattr(self, get_handler_name(message))(message)

    # What the client says.

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self._heard = time.monotonic()
        # A client that asks and never reads is read no further until its answers are gone.
        await self._viewer.answers_sent.wait()
        identity: str | int | None = None
        try:
            message = codec.unpack(bytes_data or b"", limit=codec.MAX_CLIENT_MESSAGE)
            identity = _identity(message)
            self._do(message)
        except (codec.UnknownForm, SubscriptionRefused) as refused:
            self._viewer.reply({"kind": "ack", "id": identity, "ok": False, "error": str(refused)})

    def _do(self, message: dict[str, Any]) -> None:
        match message.get("op"):
            case "subscribe":
                wanted = Subscription.of(message)
                if wanted.node not in self._nodes:
                    raise SubscriptionRefused(f"node: the graph of this run has no node {wanted.node!r}")
                if not self._viewer.subscribe(wanted):
                    raise SubscriptionRefused(f"{MAX_SUBSCRIPTIONS} ports are watched already; unsubscribe one")
                self._demand_changed()
                self._viewer.reply({"kind": "ack", "id": message.get("id"), "ok": True})
                self._tell_refusal(wanted)
            case "unsubscribe":
                if not self._viewer.unsubscribe(port_of(message)):
                    raise SubscriptionRefused("this port is not subscribed")
                self._demand_changed()
                self._viewer.reply({"kind": "ack", "id": message.get("id"), "ok": True})
            case "heartbeat":
                self._viewer.reply({"kind": "heartbeat", "id": message.get("id")})
            case op:
                raise SubscriptionRefused(f"op: {op!r:.60} is unknown; use subscribe, unsubscribe or heartbeat")

    def _tell_refusal(self, wanted: Subscription) -> None:
        """Repeat what the worker has said about a port that cannot be watched."""
        refusal = None if self._feed is None else self._feed.refusal_of(wanted.key)
        if refusal is not None:
            self._viewer.reply(refusal)

    def _demand_changed(self) -> None:
        if self._feed is not None:
            self._feed.demand_changed()

    # What the client is told.

    async def _serve(self, watched: Watched) -> None:
        try:
            async with hub().watched(str(watched.run.pk), self._viewer, lambda: RunArchive(watched)) as feed:
                self._feed = feed
                greeting = await feed.greeting()
                live = {"live": feed.away is None} | ({"reason": feed.away} if feed.away is not None else {})
                await self._say({"kind": "hello", **greeting, **live})
                feed.demand_changed()
                for wanted in self._viewer.wanted:
                    self._tell_refusal(wanted)
                while True:
                    await self._say_what_waits(feed)
                    await self._wait()
        except NotFound:
            await self.close(NOT_FOUND)
        except OSError as gone:
            logger.debug("the client is gone: %s", gone)
        except Error as error:
            logger.warning("a run socket is closed because its rows cannot be read: %s", error)
            await self.close(TRY_AGAIN)

    async def _say_what_waits(self, feed: RunFeed) -> None:
        if self._viewer.failure is not None:
            raise self._viewer.failure
        while self._viewer.behind:
            page = await feed.events_after(self._viewer.sent)
            for message in page:
                await self._say(message)
            self._viewer.caught_up(page, complete=len(page) < PAGE)
        self._viewer.wake.clear()
        for message in self._viewer.next_messages():
            await self._say(message)
        # One frame at a time, each taken when the connection has room: meanwhile those behind it are joined.
        while frame := self._viewer.next_frame(time.monotonic()):
            await self._send(codec.encode(frame))
            if self._viewer.has_messages:
                break
        if time.monotonic() - self._told >= HEARTBEAT_SECONDS:
            await self._say({"kind": "heartbeat"})

    async def _wait(self) -> None:
        """Until something new has come, a waiting frame is due, or a heartbeat is."""
        if self._viewer.behind or self._viewer.has_messages:
            return
        due = self._viewer.next_due()
        beat = self._told + HEARTBEAT_SECONDS
        patience = max(0.0, (beat if due is None else min(due, beat)) - time.monotonic())
        # A timer that wakes costs a tenth of asyncio.timeout, which is paid for every event by every viewer.
        alarm = asyncio.get_running_loop().call_later(patience, self._viewer.wake.set)
        try:
            await self._viewer.wake.wait()
        finally:
            alarm.cancel()

    async def _say(self, message: dict[str, Any]) -> None:
        await self._send(codec.pack(message))

    async def _send(self, payload: bytes) -> None:
        self._told = time.monotonic()
        await self.base_send({"type": "websocket.send", "bytes": payload})

    # How it ends.

    async def _listen(self) -> None:
        """Close on a client that says nothing."""
        silence = settings.ATTRACTOR.live.silence
        while (left := self._heard + silence - time.monotonic()) > 0:
            await asyncio.sleep(left)
        self._shut(SILENT, "nothing was heard for too long")

    def permit_is(self, now: Permit | None) -> None:
        """What this person may is something else by now, or (None) nothing."""
        if now is None or self._slug not in (None, now.slug):
            self._shut(NOT_FOUND)
        elif now.role != self.permit.role:
            self._shut(CHANGED, "the role is another now; connect again")
        else:
            self.permit = now

    def permit_unseen(self) -> None:
        """Nobody knows whether this person may still watch."""
        self._shut(TRY_AGAIN, "whether you may watch could not be looked at for too long")

    def _on_served(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a run socket broke", exc_info=error, extra={"run_id": str(self._run_id)})
            self._shut(BROKEN)

    def _shut(self, code: int, reason: str | None = None) -> None:
        if not self._shutting:
            self._shutting = True
            self._in_background(self._end_and_close(code, reason))

    async def _end_and_close(self, code: int, reason: str | None) -> None:
        """Close once nothing more is said: to a client that does not read, the close itself has to wait."""
        await end([self._serving])
        with contextlib.suppress(OSError):  # the client is gone
            await self.close(code, reason)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"run-{self._run_id}-closing")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _identity(message: dict[str, Any]) -> str | int | None:
    """What the client calls its message, to be repeated in the answer. Raises SubscriptionRefused."""
    identity = message.get("id")
    if not isinstance(identity, str | int | None):
        raise SubscriptionRefused("id: give text or a whole number, or leave it out")
    return identity


def _event_number(query: bytes) -> int:
    """The number after which events are wanted; 0 without one. Raises NotFound for anything else."""
    try:
        text = parse_qs(query.decode("ascii")).get("after", ["0"])[-1]
        number = int(text) if len(text) < 20 else -1
    except ValueError:
        number = -1
    if not 0 <= number <= MAX_EVENT_NUMBER:
        raise NotFound("event with this number")
    return number
