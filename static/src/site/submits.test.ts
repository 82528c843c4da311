import { beforeEach, describe, expect, it } from "vitest";
import { bindSubmits } from "./submits";

bindSubmits();

describe("a form that is sent", () => {
  let form: HTMLFormElement;

  beforeEach(() => {
    document.body.innerHTML = '<form method="post" action="/x"></form>';
    form = document.querySelector("form") as HTMLFormElement;
  });

  const press = () => {
    const event = new Event("submit", { bubbles: true, cancelable: true });
    form.dispatchEvent(event);
    return !event.defaultPrevented;
  };

  it("goes once, however often its button is pressed", () => {
    expect([press(), press(), press()]).toEqual([true, false, false]);
  });

  it("is sent as often as one likes when it only asks", () => {
    form.method = "get";
    expect([press(), press()]).toEqual([true, true]);
  });
});
