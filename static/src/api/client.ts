import { ApiProblem, type PlacedProblem } from "./problem";

interface ProblemDocument {
  title?: string;
  detail?: string;
  problems?: PlacedProblem[];
}

/** Calls the REST API with the page's session and its token against forged requests. */
export class ApiClient {
  readonly #csrf: string;

  constructor(csrf: string) {
    this.#csrf = csrf;
  }

  /** The JSON of a GET. Raises ApiProblem. */
  async get<T>(url: string): Promise<T> {
    return this.#send<T>(url, { method: "GET" });
  }

  /** The JSON of a POST. Raises ApiProblem. */
  async post<T>(url: string, body: unknown = {}): Promise<T> {
    return this.#send<T>(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": this.#csrf },
      body: JSON.stringify(body),
    });
  }

  /** Deletes what is at an address, whatever state it is in. Raises ApiProblem. */
  async delete(url: string): Promise<void> {
    await this.#send<null>(url, { method: "DELETE", headers: { "X-CSRFToken": this.#csrf, "If-Match": "*" } });
  }

  async #send<T>(url: string, init: RequestInit): Promise<T> {
    let response: Response;
    try {
      response = await fetch(url, { credentials: "same-origin", ...init });
    } catch {
      throw new ApiProblem(0, "No connection", "The server cannot be reached. Check the connection and try again.");
    }
    const type = response.headers.get("Content-Type") ?? "";
    const body: unknown = type.includes("json") ? await response.json() : null;
    if (response.ok) return body as T;
    const problem = (body ?? {}) as ProblemDocument;
    throw new ApiProblem(
      response.status,
      problem.title ?? `Status ${response.status}`,
      problem.detail ?? "",
      problem.problems,
    );
  }
}
