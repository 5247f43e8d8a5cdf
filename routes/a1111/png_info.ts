// POST /sdapi/v1/png-info: the settings that a file says it was made with, which front ends take back.
import { z } from "zod";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { infotext } from "../../protocol/wire/infotext.ts";
import { pictureRecordSchema } from "../../protocol/wire/picture_record.ts";
import { pngTexts } from "../../protocol/wire/png_texts.ts";
import { MAX_IMAGE_BYTES } from "../../protocol/wire/run_request.ts";
import { readRecord } from "../page/browser/picture_record.js";
import { readInfotext } from "./read_infotext.ts";
import { fileBytes } from "./txt2img_request.ts";

export const pngInfoSchema = z.looseObject({
  image: z.string().describe("A picture in base64, or as a data: URL."),
});

export interface PngInfo {
  /** The settings as one text; empty where the file has none. */
  info: string;
  /** The file's other texts. */
  items: Record<string, string>;
  /** The settings by their names in that text. */
  parameters: Record<string, string>;
}

const PARAMETERS = "parameters";
/** The texts of a file that are read. */
const MAX_TEXTS = 100;

/** Returns how a PNG file was made. @throws {ApiError} 400 for what is no base64, or a damaged text; 413 */
export function pngInfo({ image }: z.output<typeof pngInfoSchema>): PngInfo {
  const bytes = fileBytes(image, { name: "image", maxBytes: MAX_IMAGE_BYTES });
  const { [PARAMETERS]: own, ...items } = textsOf(bytes);
  const info = own ?? infoOf(bytes) ?? "";
  return { info, items, parameters: readInfotext(info) };
}

function textsOf(bytes: Uint8Array): Record<string, string> {
  const isPng = bytes[0] === 0x89 && bytes[1] === 0x50;
  if (!isPng) return {};
  try {
    return Object.fromEntries(
      pngTexts(bytes).take(MAX_TEXTS).map(({ keyword, read }) => [keyword, read()] as const),
    );
  } catch (cause) {
    throw new ApiError(400, "Cannot read the texts of 'image': one is damaged or too long", {
      param: "image",
      code: "invalid_value",
      cause,
    });
  }
}

/** JPEG, WebP and MP4 have this program's own record, from which the same text is written. */
function infoOf(bytes: Uint8Array): string | undefined {
  const { data: record } = pictureRecordSchema.safeParse(readRecord(bytes));
  if (record === undefined) return undefined;
  const { model, model_digest: modelDigest, settings } = record;
  return infotext({ model, modelDigest, settings });
}
