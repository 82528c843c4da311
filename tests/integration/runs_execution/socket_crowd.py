"""Many clients of run sockets in one process, told what to do by lines on its standard input.

    python socket_crowd.py '{"urls": […], "cookies": ["…"], "count": 200, "ports": [["osc", "x"]], "rate": 30}'

Says one JSON object a line: when all are open, after `drop` (every connection is cut at once) when all are back, and
after `end` what they have heard. A client that loses its connection comes back with the number of its last event.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

HEARTBEAT_S = 10.0
HANDSHAKES_AT_ONCE = 50
OPEN_S = 120.0


class Watcher:
    """One client. `numbers` of events come without hole or repetition, or are counted in `gaps`."""

    def __init__(self, crowd: "Crowd", url: str, cookie: str) -> None:
        self.crowd, self.url, self.cookie = crowd, url, cookie
        self.last = self.gaps = self.frames = self.lost = 0
        self.connection: ClientConnection | None = None
        self.there = asyncio.Event()
        self.ending = False

    async def live(self) -> None:
        wait = 0.1
        while not self.ending:
            try:
                async with self.crowd.door:
                    self.connection = await connect(
                        f"{self.url}?after={self.last}", additional_headers={"Cookie": self.cookie},
                        origin=self.crowd.origin, compression=None, ping_interval=None, open_timeout=OPEN_S,
                        max_size=2**24,
                    )  # fmt: skip
                await self.watch(self.connection)
            except (ConnectionClosed, WebSocketException, OSError, TimeoutError) as error:
                if not self.ending and self.there.is_set():
                    self.lost += 1
                self.crowd.errors[f"{type(error).__name__}: {error}"[:100]] = True
            self.there.clear()
            await asyncio.sleep(wait * random.random())
            wait = min(1.0, wait * 2)

    async def watch(self, connection: ClientConnection) -> None:
        for node, port in self.crowd.ports:
            wanted = {"op": "subscribe", "node": node, "port": port, "rate": self.crowd.rate}
            await connection.send(msgpack.packb(wanted))
        beating = asyncio.create_task(self.beat(connection))
        try:
            async for payload in connection:
                self.hear(msgpack.unpackb(payload))
        finally:
            beating.cancel()

    async def beat(self, connection: ClientConnection) -> None:
        await asyncio.sleep(HEARTBEAT_S * random.random())
        while True:
            await connection.send(msgpack.packb({"op": "heartbeat"}))
            await asyncio.sleep(HEARTBEAT_S)

    def hear(self, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if kind in ("frame", "scalar"):
            self.frames += 1
        elif kind == "hello":
            self.there.set()
        elif kind in ("status", "log", "error") and message["seq"] is not None:
            self.gaps += message["seq"] != self.last + 1
            self.last = message["seq"]


class Crowd:
    def __init__(self, told: dict[str, Any]) -> None:
        self.origin = told["origin"]
        self.ports, self.rate = told.get("ports", ()), told.get("rate", 30)
        self.door = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
        self.errors: dict[str, bool] = {}
        urls, cookies = told["urls"], told["cookies"]
        self.watchers = [
            Watcher(self, urls[number % len(urls)], cookies[number % len(cookies)]) for number in range(told["count"])
        ]

    async def all_there(self, what: str, began: float) -> None:
        await asyncio.gather(*(one.there.wait() for one in self.watchers))
        say({what: len(self.watchers), "seconds": round(time.monotonic() - began, 2)})

    def drop(self) -> None:
        for one in self.watchers:
            one.there.clear()
            if one.connection is not None:
                one.connection.transport.abort()

    def heard(self) -> dict[str, Any]:
        return {
            "there": sum(one.there.is_set() for one in self.watchers),
            "gaps": sum(one.gaps for one in self.watchers),
            "lost": sum(one.lost for one in self.watchers),
            "frames": sum(one.frames for one in self.watchers),
            "last": sorted({one.last for one in self.watchers}),
            "errors": list(self.errors)[:5],
        }


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


async def main() -> None:
    crowd = Crowd(json.loads(sys.argv[1]))
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    living = [asyncio.create_task(one.live()) for one in crowd.watchers]
    await crowd.all_there("open", time.monotonic())
    while (line := (await lines.readline()).decode().strip()) not in ("end", ""):
        began = time.monotonic()
        if line == "drop":
            crowd.drop()
            await crowd.all_there("back", began)
        else:
            say(crowd.heard())
    say(crowd.heard())
    for one in crowd.watchers:
        one.ending = True
    for task in living:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
