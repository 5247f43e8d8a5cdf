// EXIF in JPEG files: the segment APP1.
import { encodeExif, readExifJson } from "./exif.ts";
import type { FileMetadata } from "./file_metadata.ts";
import { joinBytes } from "./join_bytes.ts";

const APP0 = 0xe0;
const APP1 = 0xe1;
const START_OF_SCAN = 0xda;
const EXIF = new TextEncoder().encode("Exif\0\0");
/** Largest segment, its length included. */
const MAX_SEGMENT = 65_535;

/**
 * Returns the file with an EXIF segment. Of a prompt too long for a segment it holds
 * the JSON alone, or nothing.
 */
export function addJpegExif(
  jpeg: Uint8Array<ArrayBuffer>,
  metadata: FileMetadata,
): Uint8Array<ArrayBuffer> {
  const fits = [metadata, { json: metadata.json }].map(encodeExif)
    .find(({ length }) => length + EXIF.length + 2 <= MAX_SEGMENT);
  if (fits === undefined) return jpeg;
  const length = fits.length + EXIF.length + 2;
  const segment = joinBytes([Uint8Array.of(0xff, APP1, length >> 8, length & 255), EXIF, fits]);
  const [first] = segmentsOf(jpeg);
  // JFIF's own segment comes first.
  const at = first?.marker === APP0 ? first.end : 2;
  return joinBytes([jpeg.subarray(0, at), segment, jpeg.subarray(at)]);
}

export function readJpegJson(jpeg: Uint8Array): string | undefined {
  for (const { marker, start, end } of segmentsOf(jpeg)) {
    if (marker !== APP1) continue;
    const json = readExifJson(jpeg.subarray(start + EXIF.length, end));
    if (json !== undefined) return json;
  }
  return undefined;
}

/** Returns the segments before the pixels, without markers and lengths. */
function* segmentsOf(jpeg: Uint8Array): Generator<{ marker: number; start: number; end: number }> {
  for (let at = 2; at + 4 <= jpeg.length && jpeg[at] === 0xff && jpeg[at + 1] !== START_OF_SCAN;) {
    const length = jpeg[at + 2]! << 8 | jpeg[at + 3]!;
    yield { marker: jpeg[at + 1]!, start: at + 4, end: at + 2 + length };
    at += 2 + length;
  }
}
