// Light or dark. The server writes data-theme from the cookie, so a page never flashes in the other one.
export type Theme = "light" | "dark";

const YEAR_S = 365 * 24 * 3600;

/** The theme in force: the reader's choice, else the system's. */
export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Switches at once and keeps the choice for the next page, in the cookie that the server reads. */
export function chooseTheme(theme: Theme, cookie: string): void {
  document.documentElement.dataset.theme = theme;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${cookie}=${theme}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
}

/** Calls back whenever the theme in force may have changed; gives back the way to stop. */
export function onThemeChange(callback: (theme: Theme) => void): () => void {
  const tell = () => callback(currentTheme());
  const observer = new MutationObserver(tell);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", tell);
  return () => {
    observer.disconnect();
    system.removeEventListener("change", tell);
  };
}

/** Lets the header's form switch without loading the page again. */
export function bindThemeSwitch(): void {
  const form = document.querySelector<HTMLFormElement>("[data-theme-form]");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    chooseTheme(currentTheme() === "dark" ? "light" : "dark", form.dataset.themeForm ?? "theme");
  });
}
