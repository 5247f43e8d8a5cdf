// Checks a component's config.json against a schema, so that every option is honoured or refused by name.
import { z } from "zod";
import { CheckpointError } from "./checkpoint_error.ts";

export interface ParseConfigOptions {
  /** The diffusers or transformers class that the config configures. */
  className: string;
  /** Shown in errors, e.g. "transformer/config.json". */
  path: string;
}

/**
 * Parses `json` with a strict object schema. Keys that begin with "_" are diffusers' own bookkeeping and are dropped.
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
  const parsed = schema.safeParse(plain);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    throw new CheckpointError(
      `Cannot use ${path} as ${className} has no option '${issue.keys[0]}' that we know`,
    );
  }
  const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)?.[key], plain);
  const name = issue.path.join(".") || "the file";
  throw new CheckpointError(
    `Cannot use ${path} as option '${name}' of ${className} is not supported: ${issue.message}, current value is ${
      JSON.stringify(value)
    }`,
  );
}
