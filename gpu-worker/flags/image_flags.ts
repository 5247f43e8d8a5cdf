// The flags --image and --strength: a picture to start from instead of noise.
import { createHash } from "node:crypto";
import { UsageError } from "../../protocol/process/usage_error.ts";
import { decodeImage, type DecodeImageOptions } from "../media/decode_image.ts";
import { ImageError } from "../media/image_error.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { FlagKind, Flags } from "../../protocol/process/read_flags.ts";

export const IMAGE_FLAGS = {
  "image": "text",
  "strength": "number",
} as const satisfies Record<string, FlagKind>;

/** Lines of a command's help. */
export const IMAGE_HELP = `\
  --image FILE             picture to start from, resized to --width and --height if given
  --strength X             how much of it to draw anew, 0..1 (FLUX and SD3 0.6, SDXL 0.3, SD 0.8)`;

export interface ImageArguments {
  /** Path of a file. */
  image: string;
  strength: number | undefined;
}

const MAX_BYTES = 64 * 2 ** 20;

/**
 * Reads --image and --strength.
 * @throws {UsageError} if there is a strength without an image.
 */
export function readImageFlags({ image, strength }: Flags<typeof IMAGE_FLAGS>): ImageArguments | undefined {
  if (image !== undefined) return { image, strength };
  if (strength === undefined) return undefined;
  throw new UsageError("--strength takes --image");
}

export interface OpenedImage {
  image: DecodedImage;
  /** SHA-256 of the file, in hex. */
  sha256: string;
}

/** @throws {ImageError | OptionError} if the file cannot be read, is no image, or is too large. */
export async function openImage(
  { image: path }: Pick<ImageArguments, "image">,
  options: DecodeImageOptions,
): Promise<OpenedImage> {
  const bytes = await readBytes(path);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { image: await decodeImage(bytes, options), sha256 };
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_BYTES) {
      throw new ImageError(`it must have at most ${MAX_BYTES} bytes: it has ${size}`);
    }
    return await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new ImageError(`${path} does not exist`, { cause });
    }
    if (cause instanceof Deno.errors.IsADirectory) {
      throw new ImageError(`${path} is a folder`, { cause });
    }
    throw cause;
  }
}
