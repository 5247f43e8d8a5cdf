// Reads an image file that a command line names.
import { createHash } from "node:crypto";
import { ImageError, type ImageFieldName } from "../media/image_error.ts";

const MAX_BYTES = 64 * 2 ** 20;

/** Returns the SHA-256 of a file, in hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Reads an image's file.
 * @throws {ImageError} naming `field` and the file that cannot be read or is too large.
 */
export async function readImageBytes(path: string, field: ImageFieldName): Promise<Uint8Array> {
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_BYTES) {
      throw new ImageError(`it must have at most ${MAX_BYTES} bytes: it has ${size}`, { field });
    }
    return await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new ImageError(`${path} does not exist`, { field, cause });
    }
    if (cause instanceof Deno.errors.IsADirectory) {
      throw new ImageError(`${path} is a folder`, { field, cause });
    }
    throw cause;
  }
}
