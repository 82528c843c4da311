// The run socket's messages: every one a binary msgpack map with a `kind`.
import { decode, encode } from "@msgpack/msgpack";
import type { Run, RunError } from "../api/run";

export type LiveRun = Partial<Omit<Run, "graph" | "preset">> & Pick<Run, "id" | "state">;

export interface Hello {
  kind: "hello";
  run: LiveRun;
  last_event: number;
  live: boolean;
}

export interface StatusPayload {
  state?: Run["state"];
  tick?: number;
  progress?: number;
  eta_s?: number | null;
  ticks_per_s?: number | null;
  paused?: boolean;
  live?: boolean;
  reason?: string;
  /** The run is back in the queue and goes on from this tick. */
  resumes_at?: number;
  error?: RunError | null;
}

export interface EventMessage {
  kind: "status" | "log" | "error";
  /** Number of a kept event; null for what is told once and not kept. */
  seq: number | null;
  tick?: number | null;
  at?: string | null;
  payload: Record<string, unknown>;
}

interface FrameHead {
  run: string;
  node: string;
  port: string;
  source: string;
  ticks: number[];
  t: number;
  seq: number;
}

export interface ArrayFrame extends FrameHead {
  kind: "frame";
  codec: "raw";
  value_kind: string;
  tick: number;
  dtype: "f4" | "i1" | "i8" | "u1";
  shape: number[];
  data: Uint8Array;
}

export interface ObjectFrame extends FrameHead {
  kind: "frame";
  codec: "json";
  value_kind: string;
  tick: number;
  dtype: "json";
  shape: number[];
  data: unknown[];
}

export interface ScalarFrame extends FrameHead {
  kind: "scalar";
  values: number[];
}

export type Frame = ArrayFrame | ObjectFrame | ScalarFrame;

export interface Ack {
  kind: "ack";
  id: number | string | null;
  ok: boolean;
  error?: string;
}

export interface Heartbeat {
  kind: "heartbeat";
}

export type ServerMessage = Hello | EventMessage | Frame | Ack | Heartbeat;

export interface Subscription {
  node: string;
  port: string;
  /** Frames a second, above 0, at most 60. */
  rate: number;
  /** Every n-th tick. */
  decimation: number;
  /** At most so many elements along the first axis, evenly strided; null for all. */
  take: number | null;
}

export type ClientMessage =
  | ({ op: "subscribe"; id: number } & Subscription)
  | { op: "unsubscribe"; node: string; port: string }
  | { op: "heartbeat" };

/** A message that this page has no form for. */
export class UnknownMessage extends Error {}

const KINDS = new Set(["hello", "frame", "scalar", "status", "log", "error", "ack", "heartbeat"]);

/** Reads one message; binary values are views of `buffer`, nothing is copied. */
export function read(buffer: ArrayBuffer): ServerMessage {
  const message: unknown = decode(new Uint8Array(buffer));
  if (typeof message !== "object" || message === null || !("kind" in message)) {
    throw new UnknownMessage("the server sent something that is no message");
  }
  if (typeof message.kind !== "string" || !KINDS.has(message.kind)) {
    throw new UnknownMessage(`the server sent a message of the unknown kind ${String(message.kind)}`);
  }
  return message as ServerMessage;
}

export function write(message: ClientMessage): Uint8Array<ArrayBuffer> {
  return encode(message);
}

export type Numbers = Float32Array | Int8Array | Uint8Array | BigInt64Array;

/** The values of an array frame as a typed array over the message's own bytes.
 * Bytes that do not start on the element's boundary cannot be viewed and are copied once. */
export function numbers(frame: ArrayFrame): Numbers {
  const { data, dtype } = frame;
  const size = { f4: 4, i1: 1, i8: 8, u1: 1 }[dtype];
  const aligned = data.byteOffset % size === 0;
  const buffer = aligned ? data.buffer : data.slice().buffer;
  const offset = aligned ? data.byteOffset : 0;
  const length = data.byteLength / size;
  const expected = frame.shape.reduce((product, n) => product * n, 1);
  if (length !== expected) {
    throw new UnknownMessage(`${frame.node}.${frame.port}: ${length} values do not fill the shape ${frame.shape.join("×")}`);
  }
  switch (dtype) {
    case "f4":
      return new Float32Array(buffer, offset, length);
    case "i1":
      return new Int8Array(buffer, offset, length);
    case "i8":
      return new BigInt64Array(buffer, offset, length);
    case "u1":
      return new Uint8Array(buffer, offset, length);
  }
}

export function portKey(node: string, port: string): string {
  return `${node}.${port}`;
}
