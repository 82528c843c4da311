import { afterEach, describe, expect, it, vi } from "vitest";
import { bindPasskeyForms, bytesOf, problemOf, textOf } from "./passkeys";

const FORM = (kind: string) => `
  <form data-passkey="${kind}" data-options="/options/">
    <input type="hidden" name="csrfmiddlewaretoken" value="token">
    <input type="hidden" name="passkey">
    <p data-passkey-without>needs JavaScript</p>
    <button type="submit" hidden>Use a passkey</button>
    <p data-passkey-status></p><p data-passkey-problem></p>
  </form>`;

const said = (problem: string) => document.querySelector(problem)?.textContent;
const buffer = (...bytes: number[]) => Uint8Array.from(bytes).buffer;

function open(kind: "get" | "create", credentials: object, answer: object, ok = true): HTMLFormElement {
  document.body.innerHTML = FORM(kind);
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("PublicKeyCredential", class {});
  Object.defineProperty(navigator, "credentials", { configurable: true, value: credentials });
  vi.stubGlobal("fetch", vi.fn(async () => ({ ok, json: async () => answer })));
  bindPasskeyForms();
  return document.querySelector("form") as HTMLFormElement;
}

afterEach(() => vi.unstubAllGlobals());

describe("passkeys", () => {
  it("writes bytes as RFC 4648 does for addresses", () => {
    expect(textOf(buffer(0xfb, 0xff, 0xfe))).toBe("-__-");
    expect(textOf(buffer(0x66))).toBe("Zg");
    expect([...bytesOf("-__-")]).toEqual([0xfb, 0xff, 0xfe]);
    expect([...bytesOf("Zg")]).toEqual([0x66]);
  });

  it("sends what the browser has signed", async () => {
    const get = vi.fn(async (_: { publicKey: PublicKeyCredentialRequestOptions }) => ({
      id: "Zg", rawId: buffer(0x66), type: "public-key",
      response: {
        clientDataJSON: buffer(1), authenticatorData: buffer(2), signature: buffer(3), userHandle: null,
      },
    }));
    const options = { challenge: "AQID", rpId: "localhost", allowCredentials: [{ id: "Zg", type: "public-key" }] };
    const form = open("get", { get }, options);
    const sent = vi.spyOn(form, "submit").mockImplementation(() => undefined);
    expect(form.querySelector("button")?.hidden).toBe(false);
    expect(form.querySelector<HTMLElement>("[data-passkey-without]")?.hidden).toBe(true);
    form.dispatchEvent(new Event("submit", { cancelable: true }));
    await vi.waitFor(() => expect(sent).toHaveBeenCalledOnce());
    const asked = get.mock.calls[0]?.[0].publicKey;
    expect([...(asked?.challenge as Uint8Array)]).toEqual([1, 2, 3]);
    expect(JSON.parse(form.querySelector<HTMLInputElement>("[name=passkey]")?.value ?? "")).toEqual({
      id: "Zg", rawId: "Zg", type: "public-key",
      response: { clientDataJSON: "AQ", authenticatorData: "Ag", signature: "Aw", userHandle: null },
    });
  });

  it("says what went wrong and can be tried again", async () => {
    const get = vi.fn(async () => Promise.reject(new DOMException("", "NotAllowedError")));
    const form = open("get", { get }, { challenge: "AQID", allowCredentials: [] });
    for (const time of [1, 2]) {
      form.dispatchEvent(new Event("submit", { cancelable: true }));
      await vi.waitFor(() => expect(said("[data-passkey-problem]")).toContain("cancelled"));
      expect(get).toHaveBeenCalledTimes(time);
    }
  });

  it("says what the site has said", async () => {
    const form = open("get", {}, { problem: "Your sign-in is over." }, false);
    form.dispatchEvent(new Event("submit", { cancelable: true }));
    await vi.waitFor(() => expect(said("[data-passkey-problem]")).toBe("Your sign-in is over."));
  });

  it("says at once where the browser has none", () => {
    document.body.innerHTML = FORM("get");
    vi.stubGlobal("isSecureContext", false);
    bindPasskeyForms();
    expect(said("[data-passkey-problem]")).toContain("https");
    expect(document.querySelector("button")?.hidden).toBe(true);
  });

  it("tells the ways apart in which a browser gives none", () => {
    const told = (name: string, kind: "get" | "create" = "get", waited = 0) =>
      problemOf(new DOMException("", name), kind, waited);
    expect(told("NotAllowedError", "get", 299_000)).toContain("too long");
    const all = ["NotAllowedError", "SecurityError", "ConstraintError", "NotSupportedError", "AbortError"];
    expect(new Set([...all.map((one) => told(one)), told("InvalidStateError", "create"), told("X")]).size).toBe(7);
  });
});
