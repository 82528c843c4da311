// What a run left and what can be made of it, as the panel needs it.
import type { components } from "../api/schema";
import type { Run } from "../api/run";
import { whole } from "../shared/format";

type Schemas = components["schemas"];

export type Artifact = Schemas["Artifact"];
export type Export = Schemas["Export"];
export type Format = Schemas["Format"];
export type Recording = Schemas["Recording"];

interface Page<T> {
  results: T[];
}

export interface Files {
  artifacts: Artifact[];
  exports: Export[];
  formats: Format[];
  recording: Recording;
}

/**
 * What there is: how far recording and exports are first, then what follows from it. Once they have come to their end
 * nothing is asked again, and a list that was answered before would stay without their files and formats.
 */
export async function readFiles(
  get: <T>(url: string) => Promise<T>,
  urls: { artifacts: string; exports: string; formats: string; recording: string },
): Promise<Files> {
  const [recording, made] = await Promise.all([get<Recording>(urls.recording), get<Page<Export>>(urls.exports)]);
  const [kept, formats] = await Promise.all([get<Page<Artifact>>(urls.artifacts), get<Format[]>(urls.formats)]);
  return { artifacts: kept.results, exports: made.results, formats, recording };
}

/** A size as people say it. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

export function isActive(one: Export): boolean {
  return one.state === "queued" || one.state === "running";
}

/** What a run records, in words. */
export function recorded(run: Pick<Run, "recording">): string {
  const ports = run.recording as unknown as { node: string; port: string; every: number }[];
  if (ports.length === 0) return "This run records nothing.";
  const rates = new Set(ports.map((one) => one.every));
  const every = rates.size > 1 ? "" : ports[0]!.every === 1 ? ", every tick" : `, every ${whole(ports[0]!.every)} ticks`;
  const shown = ports.slice(0, 6).map((one) => {
    const rate = rates.size > 1 ? (one.every === 1 ? " (every tick)" : ` (every ${whole(one.every)} ticks)`) : "";
    return `${one.node}.${one.port}${rate}`;
  });
  const more = ports.length - shown.length;
  return `Records ${shown.join(", ")}${more > 0 ? ` and ${whole(more)} more` : ""}${every}.`;
}

const AGAIN_MS = 1000;
/** What waits for something that is away is tried again after 15 s at the earliest. */
const WAITING_AGAIN_MS = 15_000;

/** What is put together right after a run is there in so many seconds, or takes longer. */
const SOON = 60;

/** After how many milliseconds to ask again for news, having asked `asked` times; null when none is to be expected. */
export function askAgain(files: Files | null, over: boolean, asked = 0): number | null {
  if (!over) return null;
  if (files === null) return AGAIN_MS;
  const active = files.exports.filter(isActive);
  if (active.some((one) => !one.waiting)) return AGAIN_MS;
  const { state, next_try } = files.recording;
  if (state === "pending" && !next_try && asked < SOON) return AGAIN_MS;
  return active.length > 0 || state === "pending" || state === "waiting" ? WAITING_AGAIN_MS : null;
}

export const FORMAT_NAMES: Record<Format["format"], string> = {
  csv: "CSV",
  hdf5: "HDF5",
  midi: "MIDI",
  netcdf: "NetCDF (CF)",
  npz: "NPZ (NumPy)",
  parquet: "Parquet",
  png: "PNG picture",
  wav: "WAV sound",
};
