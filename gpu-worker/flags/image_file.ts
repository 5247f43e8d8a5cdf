// Reads an image file that a command line names.
import { createHash } from "node:crypto";
import { ImageError, type ImageFieldName } from "../media/image_error.ts";
import { joinBytes } from "../media/metadata/join_bytes.ts";

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
  const bytes = await readFirst(path, MAX_BYTES + 1).catch((cause) => {
    throw new ImageError(reasonOf(path, cause), { field, cause });
  });
  if (bytes.length <= MAX_BYTES) return bytes;
  throw new ImageError(`it must have at most ${MAX_BYTES} bytes: it has more`, { field });
}

/** Reads at most `count` bytes: a pipe or a device does not say how long it is, and may have no end. */
async function readFirst(path: string, count: number): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const parts: Uint8Array[] = [];
  for (let rest = count; rest > 0;) {
    const part = new Uint8Array(Math.min(rest, 2 ** 20));
    const read = await file.read(part);
    if (read === null) break;
    parts.push(part.subarray(0, read));
    rest -= read;
  }
  return joinBytes(parts);
}

function reasonOf(path: string, cause: unknown): string {
  if (path === "") return "its path is empty";
  if (cause instanceof Deno.errors.NotFound) return `${path} does not exist`;
  if (cause instanceof Deno.errors.IsADirectory) return `${path} is a folder`;
  // Deno's own message would suggest to run with more permissions.
  if (cause instanceof Deno.errors.NotCapable) return `${path} is not readable`;
  return `${path} is not readable: ${(cause as Error).message}`;
}
