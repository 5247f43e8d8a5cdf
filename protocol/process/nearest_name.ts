// Finds the name that a mistyped one was meant to be.
import { levenshteinDistance } from "@std/text/levenshtein-distance";

/**
 * Returns the one of `names` that `given` resembles, or undefined. `num_frames` and
 * `frames` resemble `num-frames`.
 */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  const plain = given.toLowerCase().replaceAll("_", "-");
  const [nearest] = names.map((name) => ({ name, distance: levenshteinDistance(plain, name) }))
    .sort((a, b) => a.distance - b.distance);
  if (nearest === undefined || plain === "") return undefined;
  if (nearest.distance <= Math.max(1, plain.length / 3)) return nearest.name;
  const parts = names.filter((name) => name.startsWith(`${plain}-`) || name.endsWith(`-${plain}`));
  return parts.length === 1 ? parts[0] : undefined;
}
