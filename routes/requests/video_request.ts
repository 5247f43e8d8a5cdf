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
import type { ReadBodyOptions } from "../../protocol/http/read_body.ts";
import { isForm, readFormFields } from "../../protocol/http/read_form_fields.ts";
import { readJson } from "../../protocol/http/read_json.ts";

/** OpenAI's "4", "8" and "12", and any other length; which ones a model makes is its own to say. */
const seconds = optional(
  z.union([z.string().regex(/^\d{1,3}(\.\d{1,3})?$/, "seconds, as '4'"), z.number().min(0).max(600)])
    .transform(Number),
);

export const videoRequestSchema = z.strictObject({
  ...generationFields,
  ...videoFields,
  seconds,
  /** @default the first model served that makes videos */
  model: optional(z.string().max(256)),
  /** "WIDTHxHEIGHT" in pixels, or "auto" for the model's own. */
  size: optional(z.string().regex(/^(auto|\d{1,5}x\d{1,5})$/, "auto or WIDTHxHEIGHT in pixels")),
  /** Drawn, and echoed, unless given. */
  seed: openSeed(),
  output_format: videoFormat.nullish().transform((value) => value ?? "mp4"),
  /** Whether the file says how it was made, prompt included. @default true, unless the key says otherwise */
  metadata: optional(z.boolean()),
  output_compression: outputCompression.nullish().transform((value) => value ?? 100),
  /** Stills on the way, for who follows the events. */
  partial_images: z.int().min(0).max(3).nullish().transform((value) => value ?? 0),
  /** Told when the video is finished or has failed. */
  webhook: webhookField,
  user: optional(z.string().max(1024)),
});

export type VideoRequest = z.output<typeof videoRequestSchema>;

const NUMBERS = [
  ...["seed", "steps", "num_frames", "fps", "guidance_scale", "true_cfg_scale", "guidance_rescale"],
  ...["guidance_scale_2", "cfg_normalization", "cfg_truncation", "max_sequence_length"],
  ...["output_compression", "partial_images"],
];
const PROMPT_JSONS = ["scheduler_options", "prompt_weights", "long_prompts", "wildcards"];
const JSONS = ["metadata", "spectrum", "skip_layer_guidance", ...PROMPT_JSONS];
const REFERENCE = "'input_reference' is not supported: videos begin from a prompt alone";

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
      refused: { input_reference: REFERENCE },
      ...options,
    })
    : await readJson(request, options);
  return parseWire(videoRequestSchema, fields);
}
