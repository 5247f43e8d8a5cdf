// An image file as a request carries it.
import { createHash } from "node:crypto";
import { type ShownSize, shownSize } from "./shown_size.ts";

export interface SourceImage {
  /** The file in base64. */
  base64: string;
  /** SHA-256 of the file, hex. */
  sha256: string;
  /** Absent where only the worker, which decodes it, can tell. */
  size: ShownSize | undefined;
}

/** The beginning of a data: URL, up to its contents. */
const DATA_URL = /^data:[^,]{0,100},/i;

/** Returns an image file as a request carries it. */
export function sourceImage(bytes: Uint8Array<ArrayBuffer>): SourceImage {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { base64: bytes.toBase64(), sha256, size: shownSize(bytes) };
}

/** Reads base64, or a data: URL with it. @returns undefined for any other text */
export function base64Bytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(text.replace(DATA_URL, ""));
  } catch {
    return undefined;
  }
}
