// POST /v1/images/generations as OpenAI's clients send it, with this project's extensions beside its fields.
import { z } from "zod";
import {
  generationFields,
  MAX_IMAGES,
  outputCompression,
  outputFormat,
  seedField,
} from "../../protocol/wire/generation_fields.ts";
import { optional } from "../../protocol/wire/optional.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";

export const imageRequestSchema = z.strictObject({
  ...generationFields,
  /** @default the first model served */
  model: optional(z.string().max(256)),
  n: z.int().min(1).max(MAX_IMAGES).nullish().transform((value) => value ?? 1),
  /** "WIDTHxHEIGHT" in pixels, or "auto" for the model's own. */
  size: optional(z.string().regex(/^(auto|\d{1,5}x\d{1,5})$/, "auto or WIDTHxHEIGHT in pixels")),
  /** Picture i of n has seed + i. Drawn, and echoed, unless given. */
  seed: optional(seedField.max(Number.MAX_SAFE_INTEGER - MAX_IMAGES)),
  output_format: outputFormat.nullish().transform((value) => value ?? "png"),
  output_compression: outputCompression.nullish().transform((value) => value ?? 100),
  /** "url": an address that expires, in place of the picture in base64. */
  response_format: z.enum(["b64_json", "url"]).nullish().transform((value) => value ?? "b64_json"),
  stream: z.boolean().nullish().transform((value) => value ?? false),
  /** Previews in a stream. */
  partial_images: z.int().min(0).max(3).nullish().transform((value) => value ?? 0),
  /** Adds queue positions and steps to a stream: opt-in, as clients hand unknown events to their callers. */
  progress: z.boolean().nullish().transform((value) => value ?? false),
  /**
   * true: answered at once with a job. OpenAI's meaning is another: pictures are opaque, "transparent" would promise what
   * is not delivered.
   */
  background: optional(z.union([z.boolean(), z.enum(["auto", "opaque"])], {
    error: "true, false, auto or opaque",
  })),
  /** Told when the job has ended. */
  webhook: optional(z.url({ protocol: /^https?$/, error: "an http or https URL" }).max(2000)),
  // OpenAI's own, without a meaning here: read, and left at that.
  quality: optional(z.enum(["auto", "low", "medium", "high", "standard", "hd"])),
  moderation: optional(z.enum(["auto", "low"])),
  style: optional(z.enum(["vivid", "natural"])),
  input_fidelity: optional(z.enum(["high", "low"])),
  user: optional(z.string().max(1024)),
});

export type ImageRequest = z.output<typeof imageRequestSchema>;

/** @throws {ApiError} 400 naming the field. */
export function parseImageRequest(value: unknown): ImageRequest {
  return parseWire(imageRequestSchema, value);
}
