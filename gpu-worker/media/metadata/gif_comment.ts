// Comments in GIF files: https://www.w3.org/Graphics/GIF/spec-gif89a.txt, section 24.
import { JSON_KEYWORD } from "./file_metadata.ts";
import { joinBytes } from "./join_bytes.ts";

const EXTENSION = 0x21;
const COMMENT = 0xfe;
/** Largest part of a comment. */
const PART_BYTES = 255;
/** Behind the last picture. */
const TRAILER_BYTES = 1;

/** Returns the file with a comment at its end. */
export function addGifJson(gif: Uint8Array<ArrayBuffer>, json: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(`${JSON_KEYWORD}\0${json}`);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < text.length; at += PART_BYTES) {
    const part = text.subarray(at, at + PART_BYTES);
    parts.push(Uint8Array.of(part.length), part);
  }
  const end = gif.length - TRAILER_BYTES;
  return joinBytes([
    gif.subarray(0, end),
    Uint8Array.of(EXTENSION, COMMENT),
    ...parts,
    Uint8Array.of(0),
    gif.subarray(end),
  ]);
}

/** Looks for our own comment only, by the way it begins. */
export function readGifJson(gif: Uint8Array): string | undefined {
  const mark = new TextEncoder().encode(`${JSON_KEYWORD}\0`);
  for (let at = gif.lastIndexOf(EXTENSION); at > 0; at = gif.lastIndexOf(EXTENSION, at - 1)) {
    const isOurs = gif[at + 1] === COMMENT && mark.every((byte, i) => gif[at + 3 + i] === byte);
    if (!isOurs) continue;
    const parts: Uint8Array[] = [];
    for (let part = at + 2; gif[part]! > 0; part += gif[part]! + 1) {
      parts.push(gif.subarray(part + 1, part + 1 + gif[part]!));
    }
    return new TextDecoder().decode(joinBytes(parts).subarray(mark.length));
  }
  return undefined;
}
