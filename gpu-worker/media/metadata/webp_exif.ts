// EXIF in WebP files: https://developers.google.com/speed/webp/docs/riff_container
import { encodeExif, readExifJson } from "./exif.ts";
import type { FileMetadata } from "./file_metadata.ts";
import { joinBytes } from "./join_bytes.ts";

export interface WebpSize {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
}

const HEADER_BYTES = 12;
const HAS_EXIF = 0x08;

/** Returns the file with an EXIF chunk. A plain file becomes an extended one. */
export function addWebpExif(
  webp: Uint8Array<ArrayBuffer>,
  { size, ...metadata }: FileMetadata & { size: WebpSize },
): Uint8Array<ArrayBuffer> {
  const body = webp.slice(HEADER_BYTES);
  const isExtended = nameAt(body, 0) === "VP8X";
  if (isExtended) body[8]! |= HAS_EXIF;
  const chunks = [...isExtended ? [] : [extended(size)], body, chunk("EXIF", encodeExif(metadata))];
  const length = 4 + chunks.reduce((sum, { length }) => sum + length, 0);
  return joinBytes([ascii("RIFF"), uint(length, 4), ascii("WEBP"), ...chunks]);
}

export function readWebpJson(webp: Uint8Array): string | undefined {
  const view = new DataView(webp.buffer, webp.byteOffset, webp.byteLength);
  for (let at = HEADER_BYTES; at + 8 <= webp.length;) {
    const length = view.getUint32(at + 4, true);
    if (nameAt(webp, at) === "EXIF") return readExifJson(webp.subarray(at + 8, at + 8 + length));
    at += 8 + length + length % 2;
  }
  return undefined;
}

function extended({ width, height }: WebpSize): Uint8Array<ArrayBuffer> {
  return chunk("VP8X", joinBytes([uint(HAS_EXIF, 4), uint(width - 1, 3), uint(height - 1, 3)]));
}

/** Chunks begin at even places. */
function chunk(name: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  return joinBytes([ascii(name), uint(data.length, 4), data, new Uint8Array(data.length % 2)]);
}

function nameAt(bytes: Uint8Array, at: number): string {
  return new TextDecoder("latin1").decode(bytes.subarray(at, at + 4));
}

function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Little-endian. */
function uint(value: number, bytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i));
}
