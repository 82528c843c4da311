import { StrictMode, type ReactElement } from "react";
import { createRoot } from "react-dom/client";

/** The JSON that the server put into the page for this element. */
export function pageData<T>(root: HTMLElement): T {
  const id = root.dataset.source;
  const text = id && document.getElementById(id)?.textContent;
  if (!text) throw new Error(`#${root.id} names no data: its data-source must be the id of a json_script`);
  return JSON.parse(text) as T;
}

/** Puts a React tree in place of what the server drew for browsers without JavaScript. */
export function mount(root: HTMLElement, tree: ReactElement): void {
  createRoot(root).render(<StrictMode>{tree}</StrictMode>);
}
