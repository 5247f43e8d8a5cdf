// Checks tensors against a graph's declarations before it runs, so that errors
// name the input and both shapes.
import type { DType } from "./dtype.ts";
import type { ValueInfo } from "./value_info.ts";

/** The part of a tensor that is checked. */
interface Described {
  readonly dtype: DType;
  readonly dims: readonly number[];
}

export interface CheckOptions {
  graph: string;
  role: "input" | "output";
  /** Sizes of named dimensions so far. The sizes in `values` are added. */
  sizes: Map<string, number>;
}

/**
 * Checks names, types, ranks and dimensions of `values` against `declared`. A named
 * dimension has one size per run.
 * @throws {TypeError} for an undeclared name or another dtype.
 * @throws {RangeError} for another shape.
 */
export function checkValues(
  declared: ReadonlyMap<string, ValueInfo>,
  values: Readonly<Record<string, Described>>,
  { graph, role, sizes }: CheckOptions,
): void {
  for (const [name, value] of Object.entries(values)) {
    const info = declared.get(name);
    if (info === undefined) {
      throw new TypeError(
        `Cannot run '${graph}' as it has no ${role} '${name}': it has ${namesOf(declared)}`,
      );
    }
    if (value.dtype !== info.dtype) {
      throw new TypeError(
        `Cannot run '${graph}' as ${role} '${name}' must be ${info.dtype}: current value is ${value.dtype}`,
      );
    }
    if (
      value.dims.length !== info.dims.length || !info.dims.every((dim, i) => fits(dim, value.dims[i]!, sizes))
    ) {
      const chosen = info.dims.flatMap((dim) =>
        typeof dim === "string" && sizes.has(dim) ? `${dim} = ${sizes.get(dim)}` : []
      );
      throw new RangeError(
        `Cannot run '${graph}' as ${role} '${name}' must have the shape [${
          info.dims.map((dim) => dim ?? "?")
        }]` +
          `${chosen.length > 0 ? ` with ${chosen.join(", ")}` : ""}: current value is [${value.dims}]`,
      );
    }
  }
}

/** Checks that every declared input is fed. @throws {TypeError} if `feeds` lacks a declared input. */
export function checkNoneMissing(
  declared: ReadonlyMap<string, ValueInfo>,
  feeds: Readonly<Record<string, unknown>>,
  graph: string,
): void {
  const missing = [...declared.keys()].filter((name) => feeds[name] === undefined);
  if (missing.length > 0) {
    throw new TypeError(
      `Cannot run '${graph}' as it lacks the input ${missing.map((n) => `'${n}'`).join(", ")}`,
    );
  }
}

function fits(declared: ValueInfo["dims"][number], size: number, sizes: Map<string, number>): boolean {
  if (declared === null) return true;
  if (typeof declared === "number") return declared === size;
  const chosen = sizes.get(declared);
  if (chosen === undefined) sizes.set(declared, size);
  return chosen === undefined || chosen === size;
}

function namesOf(declared: ReadonlyMap<string, ValueInfo>): string {
  return [...declared.keys()].map((name) => `'${name}'`).join(", ");
}
