// @vitest-environment happy-dom
// The link against a real WebSocket server, with messages packed by the library's own encoder.
import { decode, encode } from "@msgpack/msgpack";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket as NodeSocket, WebSocketServer, type WebSocket as ServerSocket } from "ws";
import { HEARTBEAT_MS, type LinkHandlers, type LinkState, RETRY_LAST_MS, RunLink, STALE_MS, type SocketClass } from "./link";
import type { EventMessage, Frame } from "./protocol";

interface Peer {
  socket: ServerSocket;
  after: string | null;
  received: Record<string, unknown>[];
}

let server: WebSocketServer;
let url: string;
let peers: Peer[];
let link: RunLink | null = null;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  await listen(0);
});

afterEach(async () => {
  link?.close();
  link = null;
  await shut();
  vi.useRealTimers();
});

async function listen(port: number): Promise<void> {
  peers = [];
  server = new WebSocketServer({ host: "127.0.0.1", port });
  server.on("connection", (socket, request) => {
    const peer: Peer = {
      socket,
      after: new URL(request.url ?? "", "http://x").searchParams.get("after"),
      received: [],
    };
    socket.on("message", (data: Buffer) => peer.received.push(decode(data) as Record<string, unknown>));
    peers.push(peer);
  });
  await new Promise((resolve) => server.once("listening", resolve));
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/run/`;
}

async function shut(): Promise<void> {
  for (const client of server.clients) client.terminate();
  await new Promise((resolve) => server.close(resolve));
}

/** Lets the network and its callbacks go on until a condition holds; gives up after five real seconds. */
async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition() && performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
  expect(condition()).toBe(true);
}

/** Node's socket ends the process when nobody hears its error event; a browser's does not. */
class BrowserLikeSocket extends NodeSocket {
  constructor(address: string) {
    super(address);
    this.on("error", () => {});
  }
}

function connect(handlers: Partial<LinkHandlers> = {}): { events: EventMessage[]; frames: Frame[]; states: LinkState[] } {
  const seen = { events: [] as EventMessage[], frames: [] as Frame[], states: [] as LinkState[] };
  link = new RunLink(
    { url, Socket: BrowserLikeSocket as unknown as SocketClass },
    {
      onState: (state) => seen.states.push(state),
      onHello: () => {},
      onEvent: (event) => seen.events.push(event),
      onFrame: (frame) => seen.frames.push(frame),
      onRefusal: () => {},
      ...handlers,
    },
  );
  link.open();
  return seen;
}

const hello = (last = 0) => encode({ kind: "hello", run: { id: "r", state: "running" }, last_event: last, live: true });
const event = (seq: number | null) => encode({ kind: "log", seq, tick: seq, payload: { message: `event ${seq}` } });

function peer(index: number): Peer {
  const found = peers[index];
  if (!found) throw new Error(`connection ${index} was not made`);
  return found;
}

describe("RunLink", () => {
  it("hands on events once each, also when the server repeats some after a reconnect", async () => {
    const seen = connect();
    await until(() => peers.length === 1);
    expect(peer(0).after).toBe("0");
    for (const message of [hello(), event(1), event(2), event(2)]) peer(0).socket.send(message);
    await until(() => seen.events.length === 2);

    peer(0).socket.terminate();
    await until(() => seen.states.includes("reconnecting"));
    vi.advanceTimersByTime(2000);
    await until(() => peers.length === 2);
    expect(peer(1).after).toBe("2");
    for (const message of [hello(3), event(1), event(2), event(3), event(null)]) peer(1).socket.send(message);
    await until(() => seen.events.length === 4);
    expect(seen.events.map((one) => one.seq)).toEqual([1, 2, 3, null]);
    expect(link?.lastEvent).toBe(3);
  });

  it("waits twice as long after each failure, up to 15 s, and starts anew after a success", async () => {
    const waits: number[] = [];
    connect({ onState: (state, wait) => state === "reconnecting" && wait !== null && waits.push(wait) });
    await until(() => peers.length === 1);
    const port = (server.address() as AddressInfo).port;
    await shut();
    for (let failures = 1; failures <= 5; failures += 1) {
      await until(() => waits.length === failures);
      vi.advanceTimersByTime(waits[failures - 1] ?? 0);
    }
    await until(() => waits.length === 6);
    expect(waits).toEqual([2000, 4000, 8000, RETRY_LAST_MS, RETRY_LAST_MS, RETRY_LAST_MS]);

    await listen(port);
    vi.advanceTimersByTime(RETRY_LAST_MS);
    await until(() => peers.length === 1);
    peer(0).socket.send(hello());
    await until(() => link?.state === "linked");
    peer(0).socket.terminate();
    await until(() => waits.length === 7);
    expect(waits[6]).toBe(2000);
  });

  it("is stale after three silent seconds of a moving run, and linked again at the next message", async () => {
    const seen = connect();
    await until(() => peers.length === 1);
    peer(0).socket.send(hello());
    await until(() => link?.state === "linked");
    vi.advanceTimersByTime(STALE_MS * 2);
    expect(link?.state).toBe("linked");

    link?.expectTraffic(true);
    vi.advanceTimersByTime(STALE_MS - 1);
    expect(link?.state).toBe("linked");
    vi.advanceTimersByTime(1);
    expect(link?.state).toBe("stale");
    peer(0).socket.send(event(1));
    await until(() => link?.state === "linked");
    expect(seen.events).toHaveLength(1);
  });

  it("sends a heartbeat every ten seconds", async () => {
    connect();
    await until(() => peers.length === 1);
    peer(0).socket.send(hello());
    await until(() => link?.state === "linked");
    vi.advanceTimersByTime(HEARTBEAT_MS * 2);
    await until(() => peer(0).received.length === 2);
    expect(peer(0).received).toEqual([{ op: "heartbeat" }, { op: "heartbeat" }]);
  });

  it("asks for the least that serves every view, again after a reconnect, and lets go with the last", async () => {
    connect();
    const wide = link?.subscribe({ node: "array", port: "x", rate: 30, decimation: 1, take: null });
    await until(() => peers.length === 1);
    peer(0).socket.send(hello());
    await until(() => peer(0).received.length === 1);
    expect(peer(0).received[0]).toMatchObject({ op: "subscribe", node: "array", port: "x", rate: 30, take: null });

    const narrow = link?.subscribe({ node: "array", port: "x", rate: 5, decimation: 4, take: 1 });
    await until(() => peer(0).received.length === 2);
    expect(peer(0).received[1]).toMatchObject({ rate: 30, decimation: 1, take: null });
    wide?.();
    await until(() => peer(0).received.length === 3);
    expect(peer(0).received[2]).toMatchObject({ rate: 5, decimation: 4, take: 1 });

    peer(0).socket.terminate();
    await until(() => link?.state === "reconnecting");
    vi.advanceTimersByTime(2000);
    await until(() => peers.length === 2);
    peer(1).socket.send(hello());
    await until(() => peer(1).received.length === 1);
    expect(peer(1).received[0]).toMatchObject({ op: "subscribe", node: "array", port: "x", rate: 5 });
    narrow?.();
    await until(() => peer(1).received.length === 2);
    expect(peer(1).received[1]).toEqual({ op: "unsubscribe", node: "array", port: "x" });
  });

  it("hands on frames as views of the message's bytes and says what it cannot read", async () => {
    const refusals: string[] = [];
    const seen = connect({ onRefusal: (message) => refusals.push(message) });
    await until(() => peers.length === 1);
    peer(0).socket.send(hello());
    const data = new Uint8Array(new Float32Array([1.5, -2.5]).buffer);
    const frame = { kind: "frame", run: "r", node: "a", port: "x", source: "a.x", value_kind: "vector", tick: 7, t: 0.07 };
    peer(0).socket.send(encode({ ...frame, ticks: [7], dtype: "f4", shape: [1, 2], seq: 1, codec: "raw", data }));
    peer(0).socket.send(encode({ kind: "surprise" }));
    peer(0).socket.send(encode({ kind: "ack", id: 1, ok: false, error: "no such port" }));
    await until(() => refusals.length === 2);
    expect(seen.frames).toHaveLength(1);
    expect(refusals[0]).toContain("surprise");
    expect(refusals[1]).toBe("no such port");
  });
});
