import { encode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import { type ArrayFrame, UnknownMessage, numbers, read, write } from "./protocol";

function frame(values: ArrayBufferView<ArrayBuffer>, dtype: ArrayFrame["dtype"], shape: number[], pad = ""): ArrayFrame {
  const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const message = { kind: "frame", pad, codec: "raw", node: "a", port: "x", dtype, shape, data };
  return read(encode(message).slice().buffer) as ArrayFrame;
}

describe("numbers", () => {
  it.each(["", "p", "pp", "ppp"])("gives the sender's float32 values wherever the bytes start (%j)", (pad) => {
    const sent = new Float32Array([1.5, -2.25, 3e-8, 1e30, 0, -0]);
    expect(numbers(frame(sent, "f4", [2, 3], pad))).toEqual(sent);
  });

  it("views aligned bytes in place", () => {
    for (const pad of ["", "p", "pp", "ppp"]) {
      const one = frame(new Float32Array([1, 2]), "f4", [1, 2], pad);
      const view = numbers(one);
      expect(view.buffer === one.data.buffer).toBe(one.data.byteOffset % 4 === 0);
    }
  });

  it("reads bytes, signed bytes and 64-bit integers", () => {
    expect(numbers(frame(new Int8Array([-1, 1, 127]), "i1", [1, 3]))).toEqual(new Int8Array([-1, 1, 127]));
    expect(numbers(frame(new Uint8Array([0, 255]), "u1", [1, 2]))).toEqual(new Uint8Array([0, 255]));
    const wide = new BigInt64Array([-(2n ** 60n), 5n]);
    expect(numbers(frame(wide, "i8", [1, 2], "pp"))).toEqual(wide);
  });

  it("refuses bytes that do not fill the shape", () => {
    expect(() => numbers(frame(new Float32Array([1, 2, 3]), "f4", [2, 2]))).toThrow(UnknownMessage);
  });
});

describe("read and write", () => {
  it("refuses what is no message", () => {
    expect(() => read(encode([1, 2]).slice().buffer)).toThrow(UnknownMessage);
    expect(() => read(encode({ kind: "other" }).slice().buffer)).toThrow(/other/);
  });

  it("writes what the server's msgpack reads", () => {
    // The bytes are from msgpack's specification: a map of one pair, fixstr of 2, fixstr of 9.
    const bytes = [0x81, 0xa2, 0x6f, 0x70, 0xa9, ...new TextEncoder().encode("heartbeat")];
    expect([...write({ op: "heartbeat" })]).toEqual(bytes);
  });
});
