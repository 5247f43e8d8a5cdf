// Checks a component's config.json against a schema, so that an unsupported option is an error that names it.
import { showValue } from "../../sampler/mod.ts";
import { z } from "zod";
import { CheckpointError } from "./checkpoint_error.ts";

export interface ParseConfigOptions {
  /** The diffusers or transformers class that the config configures. */
  className: string;
  /** Shown in errors, e.g. "transformer/config.json". */
  path: string;
}

/**
 * Parses `json` with a strict object schema. Keys that begin with "_" are diffusers' own
 * bookkeeping and are dropped.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseConfig<S extends z.ZodType>(
  schema: S,
  json: unknown,
  options: ParseConfigOptions,
): z.infer<S> {
  const { className, path } = options;
  const plain = typeof json === "object" && json !== null && !Array.isArray(json)
    ? Object.fromEntries(Object.entries(json).filter(([key]) => !key.startsWith("_")))
    : json;
  const excess = findExcess(plain);
  if (excess !== undefined) throw new CheckpointError(`Cannot use ${path} as ${excess}`);
  const parsed = schema.safeParse(plain);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    throw new CheckpointError(
      `Cannot use ${path} as ${className} has no option '${showValue(issue.keys[0])}' that we know`,
    );
  }
  const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)?.[key], plain);
  const name = showValue(issue.path.join(".")) || "the file";
  throw new CheckpointError(
    `Cannot use ${path} as option '${name}' of ${className} is not supported: ${
      showValue(issue.message)
    }, current value is ${showValue(JSON.stringify(value))}`,
  );
}

/**
 * Largest number in a config. No count of layers, tokens or pixels is higher, and
 * graphs and buffers get such sizes.
 */
const MAX_COUNT = 2 ** 28;
const MAX_ENTRIES = 10_000;
const MAX_TEXT = 10_000;

/**
 * Returns what is wrong with the first excessive value. Sizes are checked here,
 * before anything is built with them.
 */
function findExcess(value: unknown, name = "the file", depth = 0): string | undefined {
  if (Number.isInteger(value) && (value as number) > MAX_COUNT) {
    return `'${name}' must be at most ${MAX_COUNT}, but is ${value}`;
  }
  if (typeof value === "string" && value.length > MAX_TEXT) {
    return `'${name}' must have at most ${MAX_TEXT} characters, but has ${value.length}`;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (depth > 8) return `'${name}' must not be nested more deeply`;
  const entries = Object.entries(value);
  if (entries.length > MAX_ENTRIES) {
    return `'${name}' must have at most ${MAX_ENTRIES} entries, but has ${entries.length}`;
  }
  for (const [key, entry] of entries) {
    const found = findExcess(entry, depth === 0 ? showValue(key) : `${name}.${showValue(key)}`, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
