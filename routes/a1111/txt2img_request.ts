// POST /sdapi/v1/txt2img and img2img as front ends of AUTOMATIC1111's web UI send them. They send its whole
// form, so fields that have no meaning here are passed over.
import { z } from "zod";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { MAX_IMAGES, openSeed } from "../../protocol/wire/generation_fields.ts";
import { optional } from "../../protocol/wire/optional.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import { MAX_IMAGE_BYTES, MAX_MASK_BYTES, MAX_REFERENCES } from "../../protocol/wire/run_request.ts";
import { spectrumFields } from "../../protocol/wire/sampler_fields.ts";
import { cleanText } from "../../protocol/wire/text.ts";
import { scriptsSchema } from "./control_unit.ts";
import type { EditRequest, Masking } from "../requests/edit_request.ts";
import { base64Bytes, sourceImage } from "../requests/source_image.ts";

const count = optional(z.int().min(1).max(MAX_IMAGES));
const side = optional(z.int().min(1).max(99_999));
const flag = z.union([z.boolean(), z.literal(0), z.literal(1)]).transform(Boolean);
const text = z.string().max(32_000).transform(cleanText);

export const txt2imgSchema = z.looseObject({
  prompt: optional(text).describe("<lora:NAME:WEIGHT> chooses a LoRA that is served with the model."),
  negative_prompt: optional(text),
  seed: openSeed(Number.MAX_SAFE_INTEGER - MAX_IMAGES).describe("-1: a drawn one."),
  steps: optional(z.int().min(1).max(1000)),
  cfg_scale: optional(z.number().min(0).max(100)),
  distilled_cfg_scale: optional(z.number().min(0).max(100)).describe(
    "As Forge has it: FLUX.1-dev's guidance.",
  ),
  width: side,
  height: side,
  batch_size: count,
  n_iter: count.describe("Pictures are batch_size times n_iter, 10 at most."),
  sampler_name: optional(z.string().max(100)).describe(
    "Automatic, Euler, Euler a, DPM++ 2M, DPM++ 2M SDE, DDIM, PLMS or UniPC; " +
      "a model that it does not fit keeps its own.",
  ),
  sampler_index: optional(z.string().max(100)).describe("The older name of sampler_name."),
  scheduler: optional(z.string().max(100)).describe("automatic, normal, karras, exponential or beta."),
  override_settings: optional(z.looseObject({ sd_model_checkpoint: optional(z.string().max(300)) })),
  alwayson_scripts: scriptsSchema,
  send_images: optional(z.boolean()),
  spectrum: optional(spectrumFields).describe("This server's own: as in POST /v1/images/generations."),
});
export type Txt2imgRequest = z.output<typeof txt2imgSchema>;

export const img2imgSchema = txt2imgSchema.extend({
  init_images: z.array(z.string()).min(1).max(MAX_REFERENCES).describe(
    "A picture in base64, or as a data: URL. Models that look at pictures take several.",
  ),
  denoising_strength: optional(z.number().min(0).max(1)),
  mask: optional(z.string()).describe("White is drawn anew. In base64, or as a data: URL."),
  mask_blur: optional(z.number().min(0).max(64)).describe("Softens the mask's edge, by pixels."),
  inpainting_mask_invert: optional(flag).describe("Black is drawn anew instead."),
  inpaint_full_res: optional(flag).describe("Draws the masked area alone, at full size."),
  inpaint_full_res_padding: optional(z.int().min(0).max(4096)).describe(
    "Pixels around that area. Default 0.",
  ),
});
export type Img2imgRequest = z.output<typeof img2imgSchema>;

/** POST /sdapi/v1/options: the checkpoint alone counts. */
export const optionsSchema = z.looseObject({ sd_model_checkpoint: optional(z.string().max(300)) });

export const parseOptions = (value: unknown): z.output<typeof optionsSchema> =>
  parseWire(optionsSchema, value);
export const parseTxt2img = (value: unknown): Txt2imgRequest => checked(parseWire(txt2imgSchema, value));
export const parseImg2img = (value: unknown): Img2imgRequest => checked(parseWire(img2imgSchema, value));

export function picturesOf({ batch_size = 1, n_iter = 1 }: Txt2imgRequest): number {
  return batch_size * n_iter;
}

/**
 * Returns the picture and the mask of a request, as POST /v1/images/edits has them.
 * @throws {ApiError} 400 for what is no base64, 413
 */
export function startOf(
  { init_images, mask, ...options }: Img2imgRequest,
): Masking & Pick<EditRequest, "image" | "more_images"> {
  const [image, ...more_images] = init_images.map((given) =>
    sourceImage(fileBytes(given, { name: "init_images", maxBytes: MAX_IMAGE_BYTES }))
  );
  const images = { image: image!, ...more_images.length > 0 && { more_images } };
  // Front ends without a mask send an empty text.
  if (!mask) return images;
  const padding = options.inpaint_full_res ? options.inpaint_full_res_padding ?? 0 : undefined;
  return {
    ...images,
    mask: sourceImage(fileBytes(mask, { name: "mask", maxBytes: MAX_MASK_BYTES })),
    mask_mode: options.inpainting_mask_invert ? "black" : "white",
    mask_blur: options.mask_blur,
    padding_mask_crop: padding,
  };
}

/** Decodes a file that a field holds in base64. @throws {ApiError} 400 for what is no base64, 413 */
export function fileBytes(
  given: string,
  { name, maxBytes }: { name: string; maxBytes: number },
): Uint8Array<ArrayBuffer> {
  const bytes = base64Bytes(given);
  if (bytes === undefined) {
    throw new ApiError(400, `'${name}' must hold a picture in base64`, {
      param: name,
      code: "invalid_value",
    });
  }
  if (bytes.length <= maxBytes) return bytes;
  throw new ApiError(
    413,
    `A picture of '${name}' must have at most ${maxBytes} bytes: it has ${bytes.length}`,
    {
      param: name,
      code: "request_too_large",
    },
  );
}

function checked<Request extends Txt2imgRequest>(request: Request): Request {
  const pictures = picturesOf(request);
  if (pictures <= MAX_IMAGES) return request;
  throw new ApiError(
    400,
    `'batch_size' times 'n_iter' must be at most ${MAX_IMAGES}: current value is ${pictures}`,
    {
      param: "batch_size",
      code: "invalid_value",
    },
  );
}
