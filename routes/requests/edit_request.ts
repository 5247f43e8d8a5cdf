// POST /v1/images/edits as OpenAI's clients send it, a form: the fields of an image request beside an image file.
import { z } from "zod";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { strengthField } from "../../protocol/wire/generation_fields.ts";
import { type ShownSize, shownSize } from "./shown_size.ts";
import { type ImageRequest, imageRequestSchema } from "./image_request.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import type { ReadBodyOptions } from "../../protocol/http/read_body.ts";
import { readFormFields } from "../../protocol/http/read_form_fields.ts";
import { MAX_IMAGE_BYTES } from "../../protocol/wire/run_request.ts";

export const editRequestSchema = imageRequestSchema.extend({
  strength: strengthField,
  image: z.file({ error: "a file" }),
});

/** An image request that starts from an image. */
export interface EditRequest extends ImageRequest {
  strength: number | undefined;
  image: SourceImage;
}

export interface SourceImage {
  /** The file in base64. */
  base64: string;
  /** SHA-256 of the file, hex. */
  sha256: string;
  /** Absent where only the worker, which decodes it, can tell. */
  size: ShownSize | undefined;
}

const NUMBERS = [
  ...["n", "seed", "steps", "strength", "guidance_scale", "true_cfg_scale", "guidance_rescale"],
  ...["guidance_scale_2", "cfg_normalization", "cfg_truncation", "max_sequence_length"],
  ...["output_compression", "partial_images"],
];
const JSONS = ["background", "metadata", "stream", "progress", "spectrum", "skip_layer_guidance"];
/** For an image to arrive over a slow line. */
const DEADLINE_MS = 60_000;
/** Room for the other fields. */
const MAX_BYTES = MAX_IMAGE_BYTES + 256 * 1024;

/**
 * Reads the form in the body of `request`.
 * @throws {ApiError} 400 naming the field, 408 past the deadline, 413 past the limit, 415 for another content type.
 */
export async function readEditRequest(request: Request, options: ReadBodyOptions = {}): Promise<EditRequest> {
  const form = await readFormFields(request, {
    numbers: NUMBERS,
    jsons: JSONS,
    // Clients that can send several images spell it as a list.
    spellings: { "image[]": "image" },
    refused: { mask: "'mask' is not supported: images are drawn anew as a whole" },
    maxBytes: MAX_BYTES,
    deadlineMs: DEADLINE_MS,
    ...options,
  });
  const { image, ...fields } = parseWire(editRequestSchema, form);
  if (image.size > MAX_IMAGE_BYTES) {
    throw new ApiError(413, `'image' must have at most ${MAX_IMAGE_BYTES} bytes: it has ${image.size}`, {
      param: "image",
      code: "request_too_large",
    });
  }
  const bytes = await image.bytes();
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  return { ...fields, image: { base64: bytes.toBase64(), sha256, size: shownSize(bytes) } };
}
