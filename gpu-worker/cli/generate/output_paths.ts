// Chooses where pictures go: --out as a pattern, and names that no other file has.
import { FreeNames } from "../free_names.ts";
import { isDeviceName } from "../is_device_name.ts";
import { firstFile, withSuffix } from "./output_files.ts";

export interface NamedPicture {
  prompt: string;
  seed: number;
  model: string;
  method: string;
}

export interface OutputPathsOptions {
  /** Whether existing files may be replaced. Pictures of one command never replace each other. */
  overwrite: boolean;
  /** @default the file system's */
  exists?: (path: string) => boolean;
}

/** The placeholders of --out. */
export const OUT_FIELDS = ["prompt", "seed", "model", "method", "number"] as const;

/** Returns a path for each picture, in their order. */
export function outputPaths(
  out: string,
  pictures: readonly NamedPicture[],
  { overwrite, exists = isThere }: OutputPathsOptions,
): string[] {
  const names = new FreeNames();
  // Names that would be equal get their seed, once.
  const named = pictures.map((picture, index) => fill(out, picture, index + 1));
  const isClear = new Set(named).size === named.length;
  return named.map((path, index) => {
    const seeded = isClear ? path : withSuffix(path, pictures[index]!.seed);
    return names.take(
      (count) => count === 1 ? seeded : withSuffix(seeded, count),
      (candidate) => !overwrite && exists(firstFile(candidate)),
    );
  });
}

/**
 * Returns `path`, or its next free name if another command has taken it since it was chosen.
 * @param others the paths that this command has chosen
 */
export function stillFree(
  path: string,
  others: readonly string[],
  { overwrite, exists = isThere }: OutputPathsOptions,
): string {
  if (overwrite || !exists(firstFile(path))) return path;
  for (let count = 2;; count++) {
    const candidate = withSuffix(path, count);
    if (!others.includes(candidate) && !exists(firstFile(candidate))) return candidate;
  }
}

/** Returns a prompt as part of a file name that every system can store. */
function slug(text: string): string {
  // Marks are parts of letters: vowels in Hindi and Thai, accents elsewhere.
  const words = text.toLowerCase().replace(/[^\p{L}\p{M}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  const name = [...words].slice(0, 40).join("") || "picture";
  return isDeviceName(name) ? `${name}_` : name;
}

function fill(out: string, { prompt, seed, model, method }: NamedPicture, number: number): string {
  const values = { prompt: slug(prompt), seed, model: slug(model), method, number };
  return out.replace(
    /\{(\w+)\}/g,
    (text, name) => Object.hasOwn(values, name) ? `${values[name as "seed"]}` : text,
  );
}

/**
 * Whether the name is taken, be it by a link whose target is away. Under narrow permissions Deno refuses to
 * look. Such a file cannot be written either, which is said elsewhere.
 */
function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
