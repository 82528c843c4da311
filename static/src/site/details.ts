/** Lets a link to a section also open the details in it; without JavaScript the link still leads there. */
export function bindOpeners(): void {
  for (const link of document.querySelectorAll<HTMLAnchorElement>("a[data-opens]")) {
    link.addEventListener("click", () => {
      for (const details of document.querySelectorAll<HTMLDetailsElement>(link.dataset.opens ?? "")) details.open = true;
    });
  }
}
