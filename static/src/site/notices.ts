const EVERY_MS = 60_000;

/** Keeps what the operators tell everybody up to date on pages that stay open. The place is a live region: what comes
 * later is read out. */
export function bindNotices(): void {
  const place = document.querySelector<HTMLElement>("#site-notices");
  if (!place) return;
  const look = async (): Promise<void> => {
    if (document.visibilityState !== "visible") return;
    const next = encodeURIComponent(location.pathname + location.search);
    const answer = await fetch(`${place.dataset.notices}?next=${next}`).catch(() => null);
    // A server that is away says nothing new; it is asked again.
    if (!answer?.ok) return;
    const told = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    if (named(told) !== named(place)) place.replaceChildren(...told.childNodes);
  };
  window.setInterval(() => void look(), EVERY_MS);
  document.addEventListener("visibilitychange", () => void look());
}

function named(of: HTMLElement): string {
  return [...of.querySelectorAll<HTMLElement>("[data-notice]")].map((one) => one.dataset.notice).join(" ");
}
