/** Shows the buttons that print the page; without JavaScript the browser's own menu does. */
export function bindPrinting(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
}
