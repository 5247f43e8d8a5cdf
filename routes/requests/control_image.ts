// The control image of a JSON request: base64 or a data: URL. This server fetches no addresses.
import { createHash } from "node:crypto";
import { z } from "zod";
import { optional } from "../../protocol/wire/optional.ts";
import { MAX_IMAGE_BYTES } from "../../protocol/wire/run_request.ts";
import { type ShownSize, shownSize } from "./shown_size.ts";

/** An image file as a request carries it: `SourceImage` of edit_request.ts. */
export interface ControlImage {
  /** The file in base64. */
  base64: string;
  /** SHA-256 of the file, hex. */
  sha256: string;
  /** Absent where only the worker, which decodes it, can tell. */
  size: ShownSize | undefined;
}

const PREFIX = /^data:[^,]{0,100},/;
/** Completes "'control_image' must be". */
export const CONTROL_IMAGE_RULE = "an image file in base64, or a data: URL with one";
/** Characters of the longest image file, with the beginning of a data: URL. */
const MAX_CHARACTERS = Math.ceil(MAX_IMAGE_BYTES / 3) * 4 + 106;

/** Room for a JSON body with a control image. */
export const MAX_CONTROL_BODY_BYTES = MAX_CHARACTERS + 256 * 1024;

export const controlImageField = optional(
  // The limit is no part of the schema: programs that try a document send texts of its limits.
  z.string().transform((text, context): ControlImage => {
    if (text.length > MAX_CHARACTERS) {
      const message = `an image file of at most ${MAX_IMAGE_BYTES} bytes`;
      context.addIssue({ code: "custom", message, input: text });
      return z.NEVER;
    }
    const bytes = readBase64(text.replace(PREFIX, ""));
    if (bytes !== undefined && bytes.length > 0) return controlImage(bytes);
    context.addIssue({ code: "custom", message: CONTROL_IMAGE_RULE, input: text });
    return z.NEVER;
  }),
).describe(`Image that a ControlNet follows: ${CONTROL_IMAGE_RULE}.`);

/** Returns an image file as a request carries it. */
export function controlImage(bytes: Uint8Array<ArrayBuffer>): ControlImage {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { base64: bytes.toBase64(), sha256, size: shownSize(bytes) };
}

function readBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return undefined;
  }
}
