const SHUT_MS = 4000;

/** Sends a form once, however often its button is pressed; what the answer does not replace can be sent again soon. */
export function bindSubmits(): void {
  const sent = new WeakMap<HTMLFormElement, number>();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "post" || event.defaultPrevented) return;
    const now = performance.now();
    if (now - (sent.get(form) ?? -SHUT_MS) < SHUT_MS) {
      event.preventDefault();
      return;
    }
    sent.set(form, now);
  });
  // A page that comes back from the browser's memory begins anew.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.forms) sent.delete(form);
  });
}
