// The control image of a JSON request: base64 or a data: URL. This server fetches no addresses.
import { z } from "zod";
import { optional } from "../../protocol/wire/optional.ts";
import { MAX_IMAGE_BYTES } from "../../protocol/wire/run_request.ts";
import { base64Bytes, type SourceImage, sourceImage } from "./source_image.ts";

/** Completes "'control_image' must be". */
export const CONTROL_IMAGE_RULE = "an image file in base64, or a data: URL with one";
/** Characters of the longest image file, with the beginning of a data: URL. */
const MAX_CHARACTERS = Math.ceil(MAX_IMAGE_BYTES / 3) * 4 + 106;

/** Room for a JSON body with a control image. */
export const MAX_CONTROL_BODY_BYTES = MAX_CHARACTERS + 256 * 1024;

export const controlImageField = optional(
  // The limit is no part of the schema: programs that try a document send texts of its limits.
  z.string().transform((text, context): SourceImage => {
    if (text.length > MAX_CHARACTERS) {
      const message = `an image file of at most ${MAX_IMAGE_BYTES} bytes`;
      context.addIssue({ code: "custom", message, input: text });
      return z.NEVER;
    }
    const bytes = base64Bytes(text);
    if (bytes !== undefined && bytes.length > 0) return sourceImage(bytes);
    context.addIssue({ code: "custom", message: CONTROL_IMAGE_RULE, input: text });
    return z.NEVER;
  }),
).describe(`Image that a ControlNet follows: ${CONTROL_IMAGE_RULE}.`);
