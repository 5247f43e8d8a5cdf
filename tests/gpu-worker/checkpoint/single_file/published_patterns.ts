// Tensor names of published files as patterns, and tensors without data.
import type { WeightEntry } from "../../../../gpu-worker/checkpoint/weights.ts";

/** Divides into all parts of fused tensors. */
export const ROWS = 84;

export const BOTH = "{weight,bias}";

/** Expands `{a,b}` and `{0..2}` in patterns, one or more a line. Patterns may be nested. */
export function expand(patterns: string): string[] {
  const names = patterns.split(/\s+/).filter((line) => line !== "");
  const expanded = names.flatMap(function all(name: string): string[] {
    const match = /\{([^{}]+)\}/.exec(name);
    if (match === null) return [name];
    const range = /^(\d+)\.\.(\d+)$/.exec(match[1]!);
    const options = range === null
      ? match[1]!.split(",")
      : Array.from({ length: Number(range[2]) - Number(range[1]) + 1 }, (_, i) =>
        String(Number(range[1]) + i));
    return options.flatMap((option) => all(name.replace(match[0], option)));
  });
  return [...new Set(expanded)];
}

export const prefixed = (prefix: string, names: readonly string[]) => names.map((name) => prefix + name);
/** A tensor of `shape` whose data nobody reads. */
export const entryOf = (shape: readonly number[]): WeightEntry => ({
  dtype: "float16",
  shape,
  offset: 0,
  byteLength: 2 * shape.reduce((product, n) => product * n, 1),
  path: "model.safetensors",
});
