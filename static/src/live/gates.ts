// Classes of Boolean functions of two inputs, as the gate search numbers them and as the detector orders them.

export interface GateClass {
  name: string;
  token: string;
}

/** By the number in the gate map: 0 is a cell that carries no verified gate. */
export const MAP_CLASSES: readonly GateClass[] = [
  { name: "none", token: "--gate-none" },
  { name: "AND", token: "--gate-and" },
  { name: "OR", token: "--gate-or" },
  { name: "XOR", token: "--gate-xor" },
  { name: "NAND", token: "--gate-nand" },
  { name: "NOR", token: "--gate-nor" },
  { name: "XNOR", token: "--gate-xnor" },
];

/** By the place in the detector's output. */
export const DETECTOR_CLASSES: readonly GateClass[] = ["AND", "OR", "XOR", "NAND", "NOR", "XNOR", "none"].map(
  (name) => MAP_CLASSES.find((one) => one.name === name) ?? { name, token: "--gate-none" },
);

const SPARE = ["--gate-and", "--gate-or", "--gate-xor", "--gate-nand", "--gate-nor", "--gate-xnor"];

/** The classes that a view's legend names, separated by commas; `usual` when it names none. */
export function legendClasses(legend: unknown, usual: readonly GateClass[]): readonly GateClass[] {
  if (typeof legend !== "string" || legend.trim() === "") return usual;
  return legend.split(",").map((part, index) => {
    const name = part.trim();
    return MAP_CLASSES.find((one) => one.name === name) ?? { name, token: SPARE[index % SPARE.length] ?? "--gate-none" };
  });
}
