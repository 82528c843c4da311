/** Sends a filter form as soon as a choice is made; typing waits for Enter or the button. */
export function bindFilterForms(): void {
  const forms = document.querySelectorAll<HTMLFormElement>("form[data-filter-form]");
  for (const form of forms) {
    form.addEventListener("change", (event) => {
      if (event.target instanceof HTMLSelectElement) form.requestSubmit();
    });
  }
}
