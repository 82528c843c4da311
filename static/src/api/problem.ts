/** One thing the server found wrong: where, what, and how to mend it. */
export interface PlacedProblem {
  place: string;
  message: string;
  mend: string;
}

/** An answer of the API that is not success (RFC 9457), or no answer at all (status 0). */
export class ApiProblem extends Error {
  readonly status: number;
  readonly problems: readonly PlacedProblem[];

  constructor(status: number, title: string, detail: string, problems: readonly PlacedProblem[] = []) {
    const places = problems.map((one) => `${one.place}: ${one.message} ${one.mend}`);
    super([detail || title, ...places].join(" "));
    this.name = "ApiProblem";
    this.status = status;
    this.problems = problems;
  }
}
