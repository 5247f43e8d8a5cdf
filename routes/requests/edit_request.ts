// POST /v1/images/edits as OpenAI's clients send it, a form: the fields of an image request beside image
// files.
import { z } from "zod";
import { ApiError } from "../../protocol/wire/api_error.ts";
import {
  maskBlurField,
  type MaskMode,
  maskModeField,
  paddingMaskCropField,
  strengthField,
} from "../../protocol/wire/generation_fields.ts";
import { CONTROL_IMAGE_RULE, controlImageField } from "./control_image.ts";
import { type SourceImage, sourceImage } from "./source_image.ts";
import { type ImageRequest, imageRequestSchema } from "./image_request.ts";
import { optional } from "../../protocol/wire/optional.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import type { ReadBodyOptions } from "../../protocol/http/read_body.ts";
import { readFormFields } from "../../protocol/http/read_form_fields.ts";
import {
  MAX_IMAGE_BYTES,
  MAX_MASK_BYTES,
  MAX_REFERENCES,
  MAX_REFERENCES_BYTES,
} from "../../protocol/wire/run_request.ts";

export const editRequestSchema = imageRequestSchema.extend({
  strength: strengthField,
  /** Models that look at images take several; others draw over one. */
  image: z.array(z.file({ error: "a file" })).min(1).max(MAX_REFERENCES),
  /** The places of the image to draw anew. @default the whole image */
  mask: optional(z.file({ error: "a file" })),
  /** How the mask marks them. @default alpha: where it is transparent */
  mask_mode: maskModeField,
  mask_blur: maskBlurField,
  padding_mask_crop: paddingMaskCropField,
  // OpenAI's Python client sends further fields as text.
  control_image: z.union([z.file(), controlImageField], { error: CONTROL_IMAGE_RULE }),
});

/** An image request with images. */
export interface EditRequest extends ImageRequest, Masking {
  strength: number | undefined;
  /** The first image. */
  image: SourceImage;
  /** The images after it. @default none */
  more_images?: readonly SourceImage[] | undefined;
}

/** How a request's mask is used. */
export interface Masking {
  mask?: SourceImage | undefined;
  mask_mode?: MaskMode | undefined;
  mask_blur?: number | undefined;
  padding_mask_crop?: number | undefined;
}

const NUMBERS = [
  ...["n", "seed", "steps", "strength", "guidance_scale", "true_cfg_scale", "guidance_rescale"],
  ...["padding_mask_crop", "guidance_scale_2", "cfg_normalization", "cfg_truncation", "max_sequence_length"],
  ...[
    "mask_blur",
    "output_compression",
    "partial_images",
    "control_scale",
    "control_start",
    "control_end",
    "control_mode",
  ],
];
const PROMPT_JSONS = ["scheduler_options", "prompt_weights", "long_prompts", "wildcards"];
const JSONS = [
  "background",
  "metadata",
  "stream",
  "progress",
  "spectrum",
  "skip_layer_guidance",
  ...PROMPT_JSONS,
];
/** For an image to arrive over a slow line. */
const DEADLINE_MS = 60_000;
/** Room for the other fields. */
const MAX_BYTES = MAX_REFERENCES_BYTES + MAX_MASK_BYTES + 256 * 1024;

/**
 * Reads the form in the body of `request`.
 * @throws {ApiError} 400 naming the field, 408 past the deadline, 413 past the limit, 415
 * for another content type.
 */
export async function readEditRequest(request: Request, options: ReadBodyOptions = {}): Promise<EditRequest> {
  const form = await readFormFields(request, {
    numbers: NUMBERS,
    jsons: JSONS,
    // Clients that can send several images spell it as a list.
    spellings: { "image[]": "image" },
    lists: ["image"],
    maxBytes: MAX_BYTES,
    deadlineMs: DEADLINE_MS,
    ...options,
  });
  assertFiles(form["image"], { name: "image", maxBytes: MAX_IMAGE_BYTES, maxTotal: MAX_REFERENCES_BYTES });
  assertFiles(form["mask"], { name: "mask", maxBytes: MAX_MASK_BYTES, maxTotal: MAX_MASK_BYTES });
  const { control_image: control } = form;
  if (control instanceof File) {
    assertFiles(control, { name: "control_image", maxBytes: MAX_IMAGE_BYTES, maxTotal: MAX_IMAGE_BYTES });
  }
  const { image: images, mask, control_image, ...fields } = parseWire(editRequestSchema, form);
  const sourceOf = async (file: File) => sourceImage(await file.bytes());
  const [image, ...more_images] = await Promise.all(images.map(sourceOf));
  return {
    ...fields,
    control_image: control_image instanceof File ? await sourceOf(control_image) : control_image,
    image: image!,
    ...more_images.length > 0 && { more_images },
    ...mask && { mask: await sourceOf(mask) },
  };
}

/** Returns all images of a request, in their order. */
export function imagesOf(
  { image, more_images = [] }: Pick<EditRequest, "image" | "more_images">,
): SourceImage[] {
  return [image, ...more_images];
}

function assertFiles(
  field: unknown,
  { name, maxBytes, maxTotal }: { name: string; maxBytes: number; maxTotal: number },
): void {
  const values = field === undefined ? [] : [field].flat();
  if (values.some((value) => !(value instanceof File))) {
    throw new ApiError(400, `'${name}' must be a file: current value is text`, {
      param: name,
      code: "invalid_type",
    });
  }
  const sizes = (values as File[]).map(({ size }) => size);
  const largest = Math.max(0, ...sizes);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (largest <= maxBytes && total <= maxTotal) return;
  const message = largest > maxBytes
    ? `'${name}' must have at most ${maxBytes} bytes: it has ${largest}`
    : `The files of '${name}' must have at most ${maxTotal} bytes together: they have ${total}`;
  throw new ApiError(413, message, { param: name, code: "request_too_large" });
}
