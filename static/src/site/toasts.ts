// Short notices in the corner. The list is a polite live region in base.html; the server's messages are in it already.
export type ToastLevel = "info" | "success" | "warning" | "error";

const SHOWN_MS = 6000;

function arm(toast: HTMLElement, stays: boolean): void {
  const close = document.createElement("button");
  close.type = "button";
  close.className = "icon-button";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  close.addEventListener("click", () => toast.remove());
  toast.append(close);
  if (stays) return;
  let timer = setTimeout(() => toast.remove(), SHOWN_MS);
  // Nothing disappears under a pointer or while it has the focus.
  const hold = () => clearTimeout(timer);
  const release = () => {
    clearTimeout(timer);
    timer = setTimeout(() => toast.remove(), SHOWN_MS);
  };
  toast.addEventListener("pointerenter", hold);
  toast.addEventListener("focusin", hold);
  toast.addEventListener("pointerleave", release);
  toast.addEventListener("focusout", release);
}

/** Shows a notice; errors stay until they are dismissed. */
export function toast(message: string, level: ToastLevel = "info"): void {
  const list = document.getElementById("toasts");
  if (!list) throw new Error("the page has no toast list: it must extend base.html");
  const item = document.createElement("li");
  item.className = `toast ${level}`;
  const text = document.createElement("p");
  text.textContent = message;
  item.append(text);
  list.append(item);
  arm(item, level === "error");
}

/** Gives the messages that came with the page their dismiss button and their time. */
export function adoptToasts(): void {
  for (const item of document.querySelectorAll<HTMLElement>("[data-toast]")) {
    arm(item, item.classList.contains("error"));
  }
}
