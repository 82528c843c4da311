// Curves of several runs as one table of columns, and how each is drawn.

export interface RunCurve {
  run: string;
  x: number[];
  y: (number | null)[];
}

/** One column of places that any curve has, then a column for each curve; null where it has none. */
export function aligned(curves: readonly RunCurve[]): [number[], ...(number | null)[][]] {
  const places = [...new Set(curves.flatMap((one) => one.x))].sort((a, b) => a - b);
  const at = new Map(places.map((place, row) => [place, row]));
  const columns = curves.map((one) => {
    const column: (number | null)[] = new Array(places.length).fill(null);
    one.x.forEach((place, k) => {
      column[at.get(place)!] = one.y[k] ?? null;
    });
    return column;
  });
  return [places, ...columns];
}

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
/** Steps of the golden angle: neighbours in the list are far apart on the colour wheel, however many there are. */
const GOLDEN_ANGLE = 137.508;

export interface LineStyle {
  colour: string;
  dash: number[];
}

/** Colour and dashes of the line of a run; dashes tell apart what colours may not. */
export function lineStyle(index: number, dark: boolean): LineStyle {
  const hue = Math.round((210 + index * GOLDEN_ANGLE) % 360);
  return { colour: `hsl(${hue} 70% ${dark ? 66 : 40}%)`, dash: DASHES[index % DASHES.length]! };
}
