// POST /v1/videos as OpenAI's clients send it, a form or JSON, with this project's
// extensions beside its fields.
import { z } from "zod";
import {
  generationFields,
  openSeed,
  outputCompression,
  videoFields,
  videoFormat,
  webhookField,
} from "../../protocol/wire/generation_fields.ts";
import { optional } from "../../protocol/wire/optional.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ReadBodyOptions } from "../../protocol/http/read_body.ts";
import { isForm, readFormFields } from "../../protocol/http/read_form_fields.ts";
import { readJson } from "../../protocol/http/read_json.ts";
import { MAX_IMAGE_BYTES } from "../../protocol/wire/run_request.ts";
import { base64Bytes, type SourceImage, sourceImage } from "./source_image.ts";

/** OpenAI's "4", "8" and "12", and any other length; which ones a model makes is its own to say. */
const seconds = optional(
  z.union([z.string().regex(/^\d{1,3}(\.\d{1,3})?$/, "seconds, as '4'"), z.number().min(0).max(600)])
    .transform(Number),
);

/** An image: a file of a form or, as OpenAI's JSON has it, a data URL. */
const frame = optional(z.union([
  z.file(),
  z.string(),
  z.strictObject({ image_url: z.string() }).transform(({ image_url }) => image_url),
], { error: "a file, or a data URL as image_url" }));

export const videoRequestSchema = z.strictObject({
  ...generationFields,
  ...videoFields,
  seconds,
  /** @default the first model served that makes videos */
  model: optional(z.string().max(256)),
  /** The first frame, resized to the video's size. */
  input_reference: frame,
  /** The last frame. */
  last_frame: frame,
  /** "WIDTHxHEIGHT" in pixels, or "auto": the model's own size, in the proportions of a first frame. */
  size: optional(z.string().regex(/^(auto|\d{1,5}x\d{1,5})$/, "auto or WIDTHxHEIGHT in pixels")),
  /** Drawn, and echoed, unless given. */
  seed: openSeed(),
  output_format: videoFormat.nullish().transform((value) => value ?? "mp4"),
  /** Whether the file says how it was made, prompt included. @default true, unless the key says otherwise */
  metadata: optional(z.boolean()),
  output_compression: outputCompression.nullish().transform((value) => value ?? 100),
  /** Stills on the way, for clients that follow the events. */
  partial_images: z.int().min(0).max(3).nullish().transform((value) => value ?? 0),
  /** Address that is called when the video is finished or has failed. */
  webhook: webhookField,
  user: optional(z.string().max(1024)),
});

export interface VideoRequest
  extends Omit<z.output<typeof videoRequestSchema>, "input_reference" | "last_frame"> {
  /** The first frame. @default the video begins from the prompt alone */
  image?: SourceImage;
  last_frame?: SourceImage;
}

const NUMBERS = [
  ...["seed", "steps", "num_frames", "fps", "guidance_scale", "true_cfg_scale", "guidance_rescale"],
  ...["guidance_scale_2", "cfg_normalization", "cfg_truncation", "max_sequence_length"],
  ...["output_compression", "partial_images"],
];
const PROMPT_JSONS = ["scheduler_options", "prompt_weights", "long_prompts", "wildcards"];
const JSONS = ["metadata", "spectrum", "skip_layer_guidance", ...PROMPT_JSONS];
/** OpenAI's clients send an object in this form. */
const SPELLINGS = {
  "input_reference[image_url]": "input_reference",
  "last_frame[image_url]": "last_frame",
};
/** For an image to arrive over a slow line. */
const DEADLINE_MS = 60_000;
/** Room for two images, in base64 if need be, and the other fields. */
const MAX_FORM_BYTES = 2 * MAX_IMAGE_BYTES + 256 * 1024;
const MAX_JSON_BYTES = 2 * Math.ceil(MAX_IMAGE_BYTES / 3) * 4 + 256 * 1024;

/**
 * Reads the body of `request`, whichever of the two it is.
 * @throws {ApiError} 400 naming the field, 408 past the deadline, 413 past the limit, 415
 * for another content type.
 */
export async function readVideoRequest(
  request: Request,
  options: ReadBodyOptions = {},
): Promise<VideoRequest> {
  const fields = isForm(request)
    ? await readFormFields(request, {
      numbers: NUMBERS,
      jsons: JSONS,
      spellings: SPELLINGS,
      maxBytes: MAX_FORM_BYTES,
      deadlineMs: DEADLINE_MS,
      ...options,
    })
    : await readJson(request, {
      // The bytes of uploads are counted by the length that they announce.
      ...request.headers.has("content-length") && { maxBytes: MAX_JSON_BYTES, deadlineMs: DEADLINE_MS },
      ...options,
    });
  const { input_reference: first, last_frame: last, ...rest } = parseWire(videoRequestSchema, fields);
  return {
    ...rest,
    ...first !== undefined && { image: await frameOf("input_reference", first) },
    ...last !== undefined && { last_frame: await frameOf("last_frame", last) },
  };
}

/** @throws {ApiError} 400 for an address, 413 for a file past the limit */
async function frameOf(name: string, sent: File | string): Promise<SourceImage> {
  const bytes = typeof sent === "string" ? bytesOf(name, sent) : await sent.bytes();
  if (bytes.length <= MAX_IMAGE_BYTES) return sourceImage(bytes);
  throw new ApiError(413, `'${name}' must have at most ${MAX_IMAGE_BYTES} bytes: it has ${bytes.length}`, {
    param: name,
    code: "request_too_large",
  });
}

function bytesOf(name: string, url: string): Uint8Array<ArrayBuffer> {
  const bytes = /^data:image\/[a-z+.-]{1,40};base64,/i.test(url) ? base64Bytes(url) : undefined;
  if (bytes !== undefined) return bytes;
  const found = url.slice(0, 60);
  throw new ApiError(
    400,
    `'${name}' must be a file or a data URL of an image in base64, but is ${found}. ` +
      "This server fetches no addresses",
    { param: name, code: "invalid_value" },
  );
}
