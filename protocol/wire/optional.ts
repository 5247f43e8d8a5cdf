// Optional fields as OpenAI has them.
import type { z } from "zod";

/** Makes a field optional in OpenAI's sense: absent and null mean the same. */
export function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? undefined);
}
