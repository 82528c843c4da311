// Passkeys: the browser is asked for one, and what it says is sent with the form. Each such form also says what to do
// where no script runs.
type Kind = "create" | "get";

const PATIENCE_MS = 300_000;

/** What the server or this page has to say to the person. */
class Told extends Error {}

/** Bytes of base64url, as the options name them. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (one) => one.charCodeAt(0));
}

/** Base64url of bytes, as the server reads them. */
export function textOf(bytes: ArrayBuffer): string {
  const plain = Array.from(new Uint8Array(bytes), (one) => String.fromCharCode(one)).join("");
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** What to say when the browser gave no passkey. `waited`: for how long it was asked, ms. */
export function problemOf(error: unknown, kind: Kind, waited: number): string {
  if (error instanceof Told) return error.message;
  switch (error instanceof Error || error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
      // The standard has one name for all of these, so that a page cannot tell which passkeys there are.
      if (waited >= PATIENCE_MS * 0.95) return "It took too long. Try once more.";
      return "It was cancelled, not allowed by the browser, or no fitting passkey was found. Try once more.";
    case "InvalidStateError":
      return kind === "create"
        ? "This device, or this key, has a passkey of your account already."
        : "This passkey cannot be used here. Try another one, or use a code.";
    case "SecurityError":
      return `Passkeys of this site do not work at ${location.host}. Open the site by its own name.`;
    case "ConstraintError":
      return "This device cannot check that it is you. Set up a PIN, a finger or a face on it first.";
    case "NotSupportedError":
      return "Your browser or your key has no passkey of a kind that this site takes. Use another one.";
    case "AbortError":
      return "It was cancelled. Try once more.";
    case "TypeError":
      return "The site could not be reached. Look at your connection, then try once more.";
    default:
      return "Your browser could not do it. Try once more, or use another browser.";
  }
}

function hindrance(): string {
  if (!window.isSecureContext) return "Browsers use passkeys on encrypted pages (https) only, and this one is not.";
  if (!("PublicKeyCredential" in window)) return "This browser knows no passkeys. Use another one, or a code.";
  return "";
}

async function optionsFor(form: HTMLFormElement): Promise<any> {
  const token = form.querySelector<HTMLInputElement>("[name=csrfmiddlewaretoken]")?.value ?? "";
  const answer = await fetch(form.dataset.options ?? "", {
    method: "POST",
    headers: { "X-CSRFToken": token, Accept: "application/json" },
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Told(said.problem ?? "The site could not do it just now. Load this page again.");
  return said;
}

type Named = { id: string; type: "public-key"; transports?: AuthenticatorTransport[] };
const withBytes = (listed: Named[]) => listed.map((one) => ({ ...one, id: bytesOf(one.id) }));

async function created(form: HTMLFormElement): Promise<object> {
  const options = await optionsFor(form);
  const made = (await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytesOf(options.challenge),
      user: { ...options.user, id: bytesOf(options.user.id) },
      excludeCredentials: withBytes(options.excludeCredentials),
    },
  })) as PublicKeyCredential;
  const response = made.response as AuthenticatorAttestationResponse;
  return {
    id: made.id,
    rawId: textOf(made.rawId),
    type: made.type,
    response: {
      clientDataJSON: textOf(response.clientDataJSON),
      attestationObject: textOf(response.attestationObject),
      transports: response.getTransports(),
    },
  };
}

async function shown(form: HTMLFormElement): Promise<object> {
  const options = await optionsFor(form);
  const found = (await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: bytesOf(options.challenge),
      allowCredentials: withBytes(options.allowCredentials),
    },
  })) as PublicKeyCredential;
  const response = found.response as AuthenticatorAssertionResponse;
  return {
    id: found.id,
    rawId: textOf(found.rawId),
    type: found.type,
    response: {
      clientDataJSON: textOf(response.clientDataJSON),
      authenticatorData: textOf(response.authenticatorData),
      signature: textOf(response.signature),
      userHandle: response.userHandle ? textOf(response.userHandle) : null,
    },
  };
}

function bind(form: HTMLFormElement): void {
  const part = <T extends HTMLElement>(selector: string): T => {
    const found = form.querySelector<T>(selector);
    if (!found) throw new Error(`the form of a passkey has no ${selector}`);
    return found;
  };
  const kind: Kind = form.dataset.passkey === "create" ? "create" : "get";
  const field = part<HTMLInputElement>("[name=passkey]");
  const button = part<HTMLButtonElement>("button[type=submit]");
  const status = part("[data-passkey-status]");
  const problem = part("[data-passkey-problem]");
  part("[data-passkey-without]").hidden = true;
  const hindered = hindrance();
  if (hindered) {
    problem.textContent = hindered;
    return;
  }
  button.hidden = false;
  // What was wrong with the last one is read out with the button.
  if (problem.textContent?.trim()) button.focus();
  let busy = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    const begun = performance.now();
    // Not `disabled`, which would take the keyboard's place on the page away.
    button.setAttribute("aria-disabled", "true");
    problem.textContent = "";
    status.textContent = "Waiting for your passkey …";
    (kind === "create" ? created(form) : shown(form))
      .then((answer) => {
        field.value = JSON.stringify(answer);
        form.submit();
      })
      .catch((error: unknown) => {
        problem.textContent = problemOf(error, kind, performance.now() - begun);
        status.textContent = "";
        button.removeAttribute("aria-disabled");
        busy = false;
      });
  });
}

/** Lets forms that name a passkey ask the browser for one. */
export function bindPasskeyForms(): void {
  for (const form of document.querySelectorAll<HTMLFormElement>("form[data-passkey]")) bind(form);
}
