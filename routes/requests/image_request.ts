// POST /v1/images/generations as OpenAI's clients send it, with this project's extensions beside its fields.
import { LRUCache } from "lru-cache";
import { z } from "zod";
import { parseJsonBody } from "../../protocol/http/read_json.ts";
import {
  controlFields,
  generationFields,
  MAX_IMAGES,
  openSeed,
  outputCompression,
  outputFormat,
  webhookField,
} from "../../protocol/wire/generation_fields.ts";
import { optional } from "../../protocol/wire/optional.ts";
import { controlImageField } from "./control_image.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";

export const imageRequestSchema = z.strictObject({
  ...generationFields,
  ...controlFields,
  control_image: controlImageField,
  /** @default the first model served */
  model: optional(z.string().max(256)),
  /** Some apps send the text of the number. */
  n: z.preprocess(toNumber, z.int().min(1).max(MAX_IMAGES).nullish()).transform((value) => value ?? 1),
  /** "WIDTHxHEIGHT" in pixels, or "auto" for the model's own. */
  size: optional(z.string().regex(/^(auto|\d{1,5}x\d{1,5})$/, "auto or WIDTHxHEIGHT in pixels")),
  /** Picture i of n has seed + i. Drawn, and echoed, unless given. */
  seed: openSeed(Number.MAX_SAFE_INTEGER - MAX_IMAGES),
  output_format: outputFormat.nullish().transform((value) => value ?? "png"),
  /** Whether the file says how it was made, prompt included. @default true, unless the key says otherwise */
  metadata: optional(z.boolean()),
  output_compression: outputCompression.nullish().transform((value) => value ?? 100),
  /**
   * "url": an address that expires, in place of the picture in base64.
   * @default b64_json; an alias may have another
   */
  response_format: optional(z.enum(["b64_json", "url"])),
  stream: z.boolean().nullish().transform((value) => value ?? false),
  /** Previews in a stream. */
  partial_images: z.int().min(0).max(3).nullish().transform((value) => value ?? 0),
  /** Adds queue positions and steps to a stream: opt-in, as clients hand unknown events to their callers. */
  progress: z.boolean().nullish().transform((value) => value ?? false),
  /**
   * true: answered at once with a job. OpenAI's meaning is another: pictures are opaque. "transparent" is
   * what apps have built in, so it is answered with an opaque picture whose receipt says so.
   */
  background: optional(z.union([z.boolean(), z.enum(["auto", "opaque", "transparent"])], {
    error: "true, false, auto, opaque or transparent",
  })),
  /** Address that is called when the job has ended. */
  webhook: webhookField,
  // OpenAI's own, without a meaning here: read, and left at that. Apps have values built in that are
  // newer or older than ours.
  quality: optional(z.string().max(100)),
  moderation: optional(z.string().max(100)),
  style: optional(z.string().max(100)),
  input_fidelity: optional(z.string().max(100)),
  complexity: optional(z.string().max(100)),
  safety_identifier: optional(z.string().max(1024)),
  user: optional(z.string().max(1024)),
});

export type ImageRequest = z.output<typeof imageRequestSchema>;

/** Requests by their text: clients that ask for a stored picture mostly send the same words. */
const remembered = new LRUCache<string, ImageRequest>({
  maxSize: 4 * 2 ** 20,
  sizeCalculation: (_, text) => 2 * text.length + 1024,
});
/** Longer texts are not remembered. */
const MAX_REMEMBERED = 16_384;

/** Does as `parseImageRequest` does, for a JSON body. @throws {ApiError} 400 */
export function parseImageText(text: string): ImageRequest {
  const known = remembered.get(text);
  if (known !== undefined) return known;
  const request = Object.freeze(parseImageRequest(parseJsonBody(text)));
  // A control image is released once it is on its way.
  if (text.length <= MAX_REMEMBERED && !request.control_image) remembered.set(text, request);
  return request;
}

/** Checks the body of POST /v1/images/generations. @throws {ApiError} 400 naming the field. */
export function parseImageRequest(value: unknown): ImageRequest {
  return parseWire(imageRequestSchema, value);
}

function toNumber(value: unknown): unknown {
  return typeof value === "string" && /^\d{1,3}$/.test(value) ? Number(value) : value;
}
